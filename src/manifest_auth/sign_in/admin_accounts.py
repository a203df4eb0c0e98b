"""Accounts of system admins: the first one, by a setup code, and changes of the caller's password and second factor."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar
from urllib.parse import urlsplit

from manifest_auth import audit
from manifest_auth.accounts import admins, password_rules
from manifest_auth.accounts.admins import Admin, management, second_factor
from manifest_auth.accounts.admins import admins as admin_rows
from manifest_auth.audit import Act, Event, Origin
from manifest_auth.errors import Conflict, InvalidCredentials, NotFound, ValidationError
from manifest_auth.runtime.metrics import EntryPoint
from manifest_auth.services import RequestContext, Services
from manifest_auth.sign_in.sign_in_metrics import NO_CODE
from manifest_auth.store import SystemUnit
from manifest_auth.tenants import PasswordRules, step_up
from manifest_auth.text.languages import marked as _
from manifest_auth.text.models import ErrorCollector
from manifest_auth.throttle import throttle

SETUP_ENTRY_POINT: EntryPoint = "setup"


class SetupCode(NamedTuple):
    """A setup code for the operator. ``code`` is None if a code that was printed earlier is still valid, until
    ``ends_at`` (milliseconds)."""

    code: str | None
    ends_at: int


async def is_setup_open(ctx: RequestContext) -> bool:
    """Whether there is no system admin yet."""
    return await ctx.services.store.read(admin_rows.is_first_needed)


async def set_up(ctx: RequestContext, code: str, username: str, password: str) -> int:
    """Creates the first system admin and returns its number. Only one of several concurrent calls succeeds. Attempts
    are counted by address, so nobody can guess the code or block the operator.

    Raises NotFound once there is an admin, InvalidCredentials for a wrong or expired code, ValidationError,
    RateLimited, Overloaded.
    """
    services = ctx.services
    services.hasher.check_capacity()
    counters = throttle.counters(SETUP_ENTRY_POINT, "", ctx.address, None)._replace(account=None)

    def begin(unit: SystemUnit) -> throttle.Wait | None:
        if not admin_rows.is_first_needed(unit):
            raise NotFound()
        wait = services.throttle.count(unit, counters, ctx.now)
        if wait is None and not admin_rows.is_setup_code(admin_rows.find_setup_code(unit, ctx.now), code):
            raise _failed(unit, ctx)
        return wait

    if wait := await services.store.write(begin):
        raise services.throttle.refusal(SETUP_ENTRY_POINT, wait)
    with ErrorCollector() as each:
        with each:
            admin_rows.check_username(username)
        with each:
            password_rules.check(password, PasswordRules(), (username,))
    stored = await services.hasher.hash(password)

    def work(unit: SystemUnit) -> int:
        stored_code = admin_rows.lock_setup_code(unit, ctx.now)
        if not admin_rows.is_first_needed(unit):
            raise NotFound()
        if not admin_rows.is_setup_code(stored_code, code):
            raise _failed(unit, ctx)
        throttle.succeeded(unit, counters)
        return management.create(unit, ctx, username, stored)

    return await services.store.write(work)


def _failed(unit: SystemUnit, ctx: RequestContext) -> InvalidCredentials:
    """Records the failed attempt. Returns the error to raise."""
    ctx.services.anonymous_limits.record(unit.of(audit.INSTALLATION), ctx, Event.SETUP_CODE_FAILED, "")
    sentence = "The setup code is incorrect or expired. Run `manifest-auth setup-code` to get a new one"
    return InvalidCredentials(sentence, details=[("code", sentence)])


async def setup_code_at_start(services: Services) -> SetupCode | None:
    """Returns the setup code for the terminal, or None once there is a system admin. A valid code that was printed
    earlier stays valid, since several nodes can start at the same time."""

    def work(unit: SystemUnit) -> SetupCode | None:
        if not admin_rows.is_first_needed(unit):
            return None
        now = services.clock.now_ms()
        stored_code = admin_rows.lock_setup_code(unit, now)
        if stored_code is not None:
            return SetupCode(None, stored_code.ends_at)
        return _create(unit, services, Origin(now, "system", "", "start"))

    return await services.store.write(work)


async def new_setup_code(services: Services, origin: Origin) -> SetupCode:
    """Creates a setup code that replaces any earlier one. Raises Conflict once there is a system admin."""

    def work(unit: SystemUnit) -> SetupCode:
        if not admin_rows.is_first_needed(unit):
            raise Conflict("A system admin already exists. To create another one, run manifest-auth admin create NAME")
        return _create(unit, services, origin)

    return await services.store.write(work)


def _create(unit: SystemUnit, services: Services, origin: Origin) -> SetupCode:
    code, ends_at = admin_rows.make_setup_code(unit, services.random, origin.at), origin.at + admin_rows.LIFE_S * 1000
    audit.record_installation(unit, origin, Event.SETUP_CODE_MADE)
    return SetupCode(code, ends_at)


# Every change requires the password again, and a code if the admin has a second factor, so that a stolen token can't
# take over the account. Ending other sessions requires re-authentication instead. The console also requires it when an
# admin adds a second factor.

T = TypeVar("T")
ENTRY_POINT: EntryPoint = "admin-own"


class Credentials(NamedTuple):
    """The password and the code that an admin enters again. ``password`` is None if re-authentication replaces it."""

    password: str | None
    otp: str | None


async def proven(ctx: RequestContext, credentials: Credentials, work: Callable[[SystemUnit, Admin], T]) -> T:
    """Runs ``work`` for the caller after verifying the password and the code. Attempts are counted as at sign-in.

    Raises InvalidCredentials, ReauthenticationRequired without a password, RateLimited, Overloaded, and InvalidToken if
    the admin's access has ended in the meantime.
    """
    if credentials.password is None:
        step_up.check(ctx, Act.FACTORS)
    services, me = ctx.services, ctx.admin
    services.hasher.check_capacity()
    counters, subject = throttle.counters(ENTRY_POINT, str(me.admin_id), ctx.address, None), f"admin:{me.admin_id}"

    def count(unit: SystemUnit) -> tuple[throttle.Wait | None, str]:
        wait = ctx.services.throttle.count(unit, counters, ctx.now)
        if wait:
            audit.record_installation(unit, ctx, Event.THROTTLED, subject, method=ENTRY_POINT, wait_ms=wait.ms)
        return wait, admins.get_locked(unit, me.admin_id).password_hash

    wait, stored = await services.store.write(count)
    if wait:
        raise ctx.services.throttle.refusal(ENTRY_POINT, wait)
    if credentials.password is not None and not await _is_right(ctx, counters, stored, credentials.password):
        await services.store.write(
            lambda unit: audit.record_installation(unit, ctx, Event.PASSWORD_CHECK_FAILED, subject)
        )
        raise InvalidCredentials(_("The password is incorrect"))

    def then(unit: SystemUnit) -> T:
        management.lock_active_admins(unit, ctx)
        fresh = admins.get_locked(unit, me.admin_id)
        if fresh.password_hash != stored:
            raise InvalidCredentials(_("The password was changed in the meantime"), keeps_writes=False)
        check_code(unit, ctx, fresh, credentials.otp)
        done = work(unit, fresh)
        throttle.succeeded(unit, counters)  # not if ``work`` itself raises an error
        return done

    return await services.store.write(then)


async def _is_right(ctx: RequestContext, counters: throttle.Counters, stored: str, password: str) -> bool:
    return (await throttle.prove(ctx.services.hasher, ctx.services.store, counters, stored, password)).matches


def check_code(unit: SystemUnit, ctx: RequestContext, admin: Admin, otp: str | None) -> str:
    """Verifies the second factor. Returns the method, or an empty string if the admin has none. Call it only after the
    password is verified.

    Raises InvalidCredentials, with ``otp`` in its details.
    """
    if not second_factor.has_one(unit, admin.id):
        return ""
    used = second_factor.use(unit, ctx.services.sealer, admin.id, otp or "", ctx.now)
    if not used.how:
        why = ("the code was already used" if used.replay else "wrong code") if otp else NO_CODE
        audit.record_installation(unit, ctx, Event.SIGN_IN_FAILED, f"admin:{admin.id}", method="admin", why=why)
        sentence = (
            _("The code is incorrect or was already used")
            if otp
            else _("A code from your authenticator app is required")
        )
        raise InvalidCredentials(
            _("Invalid username or password"), details=[("otp", sentence)], reason=why, replay=used.replay
        )
    return used.how


async def reauthenticate(ctx: RequestContext, credentials: Credentials) -> int:
    """Verifies password and code again, for :mod:`manifest_auth.tenants.step_up`. Returns the time in milliseconds.
    Raises the errors of :func:`proven`."""
    session_id = ctx.admin.session_id

    def work(unit: SystemUnit, me: Admin) -> None:
        admins.proved(unit, session_id, ctx.now)
        audit.record_installation(unit, ctx, Event.REAUTHENTICATED, f"admin:{me.id}", session=session_id)

    await proven(ctx, credentials, work)
    return ctx.now


async def change_password(ctx: RequestContext, credentials: Credentials, new: str) -> None:
    """Sets a new password and ends the admin's other sessions. Raises the errors of :func:`proven`, and
    ValidationError."""
    password_rules.check(new, PasswordRules(), (ctx.admin.username,), "newPassword")
    if new == credentials.password:
        raise ValidationError(details=[("newPassword", _("Must be different from the current password"))])
    stored = await ctx.services.hasher.hash(new)

    def work(unit: SystemUnit, me: Admin) -> None:
        management.set_password(unit, me.id, stored)
        ended = management.end_all(unit, me.id, "password_changed", ctx.now, but=ctx.admin.session_id)
        audit.record_installation(unit, ctx, Event.PASSWORD_CHANGED, f"admin:{me.id}", sessions_ended=ended)

    await proven(ctx, credentials, work)


async def enrol(ctx: RequestContext, credentials: Credentials) -> str:
    """Creates a TOTP secret, which takes effect with its first code. Raises the errors of :func:`proven`, and
    Conflict."""
    services = ctx.services

    def work(unit: SystemUnit, me: Admin) -> str:
        audit.record_installation(unit, ctx, Event.SECOND_FACTOR_BEGUN, f"admin:{me.id}")
        return second_factor.start(unit, services.sealer, services.random, me.id, ctx.now)

    return await proven(ctx, credentials, work)


def app_address(ctx: RequestContext, secret: str) -> str:
    """Returns the content of the QR code that adds the caller's secret to an authenticator app."""
    return second_factor.address(secret, ctx.admin.username, urlsplit(ctx.services.settings.public_url).hostname or "")


async def confirm(ctx: RequestContext, password: str | None, otp: str) -> tuple[str, ...]:
    """Turns on the second factor and returns the recovery codes. The other sessions end, since no code opened them. A
    wrong code counts as a failed attempt, like a wrong password. Raises the errors of :func:`proven`, and Conflict,
    ValidationError."""
    services = ctx.services

    def work(unit: SystemUnit, me: Admin) -> tuple[str, ...]:
        try:
            codes = second_factor.confirm(unit, services.sealer, services.random, me.id, otp, ctx.now)
        except ValidationError as wrong:
            wrong.keeps_writes = True
            audit.record_installation(unit, ctx, Event.PASSWORD_CHECK_FAILED, f"admin:{me.id}", why="wrong first code")
            raise
        ended = management.end_all(unit, me.id, "second_factor_enrolled", ctx.now, but=ctx.admin.session_id)
        audit.record_installation(unit, ctx, Event.SECOND_FACTOR_ENROLLED, f"admin:{me.id}", sessions_ended=ended)
        return codes

    return await proven(ctx, Credentials(password, None), work)


async def new_codes(ctx: RequestContext, credentials: Credentials) -> tuple[str, ...]:
    """Creates ten recovery codes, which replace the previous ones. Raises the errors of :func:`proven`, and
    Conflict."""

    def work(unit: SystemUnit, me: Admin) -> tuple[str, ...]:
        if not second_factor.has_one(unit, me.id):
            raise Conflict(_("You have no second factor"))
        audit.record_installation(unit, ctx, Event.RECOVERY_CODES_MADE, f"admin:{me.id}")
        return second_factor.new_codes(unit, ctx.services.random, me.id)

    return await proven(ctx, credentials, work)


async def remove(ctx: RequestContext, credentials: Credentials) -> None:
    """Removes the caller's second factor. Raises the errors of :func:`proven`, and Conflict if a second factor is
    required."""

    def work(unit: SystemUnit, me: Admin) -> None:
        if second_factor.is_required(unit):
            raise Conflict(_("Every system admin must have a second factor"))
        if not second_factor.remove(unit, me.id):
            raise Conflict(_("You have no second factor"))
        audit.record_installation(unit, ctx, Event.SECOND_FACTOR_REMOVED, f"admin:{me.id}")

    await proven(ctx, credentials, work)


async def end_other_sessions(ctx: RequestContext) -> int:
    """Ends the caller's other sessions. Returns how many there were. Raises ReauthenticationRequired."""
    step_up.check(ctx, Act.SESSIONS)
    me = ctx.admin

    def work(unit: SystemUnit) -> int:
        ended = management.end_all(unit, me.admin_id, "ended", ctx.now, but=me.session_id)
        audit.record_installation(unit, ctx, Event.SIGNED_OUT_ALL, f"admin:{me.admin_id}", sessions=ended)
        return ended

    return await ctx.services.store.write(work)
