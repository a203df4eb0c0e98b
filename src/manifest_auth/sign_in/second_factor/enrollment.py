"""Enrollment of second factors: during a sign-in that requires one, and by signed-in users for themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from manifest_auth import audit, tenants
from manifest_auth.accounts import factors, mail_queue, users
from manifest_auth.accounts.factors import Kind, challenges, one_time_codes, passkey_rows, trusted_browsers
from manifest_auth.accounts.factors.challenges import Challenge, Pending
from manifest_auth.accounts.factors.one_time_codes import Totp
from manifest_auth.accounts.factors.passkey_rows import Passkey
from manifest_auth.accounts.factors.trusted_browsers import TrustedData
from manifest_auth.accounts.users import User
from manifest_auth.audit import Act, Event
from manifest_auth.errors import Conflict, NotFound, ValidationError
from manifest_auth.protocols import totp as protocol
from manifest_auth.protocols import webauthn
from manifest_auth.protocols.webauthn import WebauthnRefused
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.passkeys import ceremonies
from manifest_auth.sign_in.second_factor import gate
from manifest_auth.sign_in.second_factor.gate import Answer, Judged, open_challenge, pending_of
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.tenants import Tenant, TenantSettings, step_up
from manifest_auth.text import fields, scan_codes
from manifest_auth.text.languages import marked as _
from manifest_auth.text.models import Wire

_WRONG = "The browser's response doesn't match. Start again"


async def begin_passkey(ctx: RequestContext) -> dict[str, Any]:
    """Returns the options with which the caller's browser creates a passkey. Raises ValidationError if the client
    doesn't allow passkeys, and Conflict if passkeys are off, or the caller already has the maximum number."""
    step_up.check(ctx, Act.FACTORS)

    def work(unit: SystemUnit) -> dict[str, Any]:
        challenge = ceremonies.new_challenge(ctx, "add", ctx.user.session_id)
        return ceremonies.registration_options(unit, ctx, *_who_may_add(unit, ctx), challenge)

    return await ctx.services.store.write(work)


async def add_passkey(ctx: RequestContext, credential: dict[str, Any], name: str) -> tuple[Passkey, tuple[str, ...]]:
    """Adds the passkey that the caller's browser created. The caller's other sessions end. Raises ValidationError for a
    wrong response or name, and Conflict as :func:`begin_passkey` does and for a credential that is already
    registered."""
    step_up.check(ctx, Act.FACTORS)
    await webauthn.load()
    caller = ctx.user

    def work(unit: SystemUnit) -> tuple[Passkey, tuple[str, ...]]:
        tenant, user = _who_may_add(unit, ctx)
        try:
            challenge = webauthn.challenge_of(credential)
            if why := ceremonies.why_not_valid(ctx, "add", caller.session_id, challenge):
                raise WebauthnRefused(why)
            added = ceremonies.add(unit, ctx, tenant, user, challenge, credential, name, but=caller.session_id)
        except WebauthnRefused as refused:
            raise ValidationError(details=[("credential", _WRONG)], reason=f"passkey: {refused}") from None
        if not ceremonies.use_challenge(unit, challenge):
            refusal = ValidationError(details=[("credential", _WRONG)], reason="passkey: challenge already used")
            refusal.replay = "passkey"
            raise refusal
        gate.enrolled(unit.of(tenant.id), ctx, "passkey")
        return added

    return await ctx.services.store.write(work)


def _who_may_add(unit: SystemUnit, ctx: RequestContext) -> tuple[Tenant, User]:
    """Returns the client and the locked user of the caller. Raises ValidationError if the client doesn't allow
    passkeys."""
    tenant = tenants.get(unit, ctx.user.tenant_id)
    user = users.get(unit.of(tenant.id), ctx.user.user_id, lock=True)
    gate.check_method(ctx, tenants.settings_of(tenant.settings), "passkey")
    return tenant, user


async def accepted_passkeys(ctx: RequestContext) -> dict[str, Any] | None:
    """Returns the caller's passkeys that work here, so that the caller's browser offers no others. None if the caller
    never had any."""
    caller = ctx.user

    def work(unit: SystemUnit) -> dict[str, Any] | None:
        bound, rp_id = unit.of(caller.tenant_id), ceremonies.rp_id_in_force(unit, ctx.services.settings)
        handle = passkey_rows.handle_of(bound, caller.user_id)
        if not rp_id or handle is None:
            return None
        rows = passkey_rows.list_all(bound, caller.user_id)
        return webauthn.accepted(rp_id, handle, [row.credential_id for row in rows if row.rp_id == rp_id])

    return await ctx.services.store.read(work)


async def rename_passkey(ctx: RequestContext, passkey_id: str, name: str) -> Passkey:
    """Renames one of the caller's passkeys. Raises NotFound, ValidationError."""
    step_up.check(ctx, Act.FACTORS)
    caller = ctx.user
    fields.PASSKEY_NAME._replace(least=1).check(name, "name")

    def work(unit: SystemUnit) -> Passkey:
        bound = unit.of(caller.tenant_id)
        if not passkey_rows.rename(bound, caller.user_id, passkey_id, name):
            raise NotFound()
        audit.record(bound, ctx, Event.PASSKEY_RENAMED, caller.actor, passkey=passkey_id, name=name)
        found = passkey_rows.get(bound, caller.user_id, passkey_id)
        assert found is not None, "it was renamed in this transaction"
        return found

    return await ctx.services.store.write(work)


async def remove_passkey(ctx: RequestContext, passkey_id: str) -> None:
    """Removes one of the caller's passkeys. The caller's other sessions end. Raises NotFound, and Conflict for the last
    factor of an account that must have one."""
    step_up.check(ctx, Act.FACTORS)
    caller = ctx.user

    def work(unit: SystemUnit) -> None:
        bound = unit.of(caller.tenant_id)
        tenant, user = tenants.get(unit, caller.tenant_id), users.get(bound, caller.user_id, lock=True)
        if passkey_rows.get(bound, user.id, passkey_id) is None:
            raise NotFound()
        passkey_rows.drop(bound, user.id, passkey_id)
        factors.check_removable(gate.usable(bound, ctx, user), user.roles, tenants.settings_of(tenant.settings))
        factors.removed(bound, user.id, user.factors, ctx.now, but=caller.session_id)
        mail_queue.tell(bound, ctx, user, Event.PASSKEY_REMOVED, passkey=passkey_id)

    await ctx.services.store.write(work)


_TITLE = "QR code for the authenticator app"


class TotpSecretData(Wire, frozen=True):
    """The secret of a new authenticator app. ``secret``: in base32; ``uri``: as an `otpauth://` address; ``qr``: that
    address as an SVG QR code. Returned once."""

    secret: str
    uri: str
    qr: str


async def new_app_of(secret: str, email: str, client: str) -> TotpSecretData:
    """Returns the forms of a secret. ``email`` and ``client`` are the names under which the app lists it."""
    uri = protocol.address(secret, email, client)
    return TotpSecretData(secret, uri, await scan_codes.qr_svg(uri, _TITLE))


async def enrol_totp(ctx: RequestContext, text: str) -> TotpSecretData:
    """Creates a secret for a sign-in that must enroll a factor. It takes effect with its first correct code. Raises
    InvalidToken, TokenExpired, ValidationError if the client doesn't allow it."""

    secret = protocol.new_secret(ctx.services.random)

    def work(unit: SystemUnit) -> tuple[str, str]:
        challenge, tenant, user = open_challenge(unit, ctx, text, lock=True)
        bound, sealer = unit.of(tenant.id), ctx.services.sealer
        gate.check_enrolment(bound, ctx, tenants.settings_of(tenant.settings), user, challenge, "totp")
        challenges.keep(bound, sealer, challenge, pending_of(ctx, challenge).with_totp(secret), ctx.now)
        return user.email, tenants.shown_name(tenant)

    return await new_app_of(secret, *await ctx.services.store.write(work))


def confirm(
    unit: SystemUnit,
    ctx: RequestContext,
    tenant: Tenant,
    user: User,
    challenge: Challenge,
    pending: Pending,
    answer: Answer,
) -> tuple[Judged, tuple[str, ...]]:
    """Adds the first working factor of a locked user, confirmed by the response. Returns how the response was verified,
    and the recovery codes. ``pending`` contains the secret or challenge of the factor. Raises ValidationError if the
    client doesn't allow it, InvalidToken."""
    bound, services = unit.of(tenant.id), ctx.services
    method = "totp" if answer.otp is not None else "passkey"
    gate.check_enrolment(bound, ctx, tenants.settings_of(tenant.settings), user, challenge, method)
    if answer.new_passkey is not None:
        return _passkey(unit, ctx, tenant, user, pending, answer.new_passkey, answer.name)
    if answer.otp is None or not pending.totp:
        return Judged(None), ()
    if not one_time_codes.add_totp(bound, services.sealer, user.id, pending.totp, answer.otp, ctx.now):
        return Judged(None), ()
    codes = factors.added(bound, services.random, user.id, user.factors, Kind.TOTP, ctx.now)
    mail_queue.tell(bound, ctx, user, Event.SECOND_FACTOR_ENROLLED, factor="totp")
    return Judged("otp"), codes or _new_codes(bound, ctx, user)


def _passkey(
    unit: SystemUnit, ctx: RequestContext, tenant: Tenant, user: User, pending: Pending, made: dict[str, Any], name: str
) -> tuple[Judged, tuple[str, ...]]:
    try:
        _row, codes = ceremonies.add(unit, ctx, tenant, user, pending.passkey, made, name)
    except WebauthnRefused as refused:
        return Judged(None, why=f"passkey: {refused}"), ()
    return Judged("passkey"), codes or _new_codes(unit.of(tenant.id), ctx, user)


def _new_codes(unit: TenantUnit, ctx: RequestContext, user: User) -> tuple[str, ...]:
    """Creates recovery codes for users who enroll because their passkeys no longer work, and who have no code left."""
    return one_time_codes.make_codes(unit, ctx.services.random, user.id, ctx.now)


# Each action has one function, and those that change data require re-authentication. A factor that the client's policy
# requires is replaced, never removed. Adding or removing a factor ends all trust, and every session except the current
# one.

T = TypeVar("T")


class Own(NamedTuple):
    """The caller's factors. ``due_at``: when sign-in requires enrollment of a factor, in milliseconds, or None;
    ``methods``: the factors that the client lets its users enroll; ``rp_id``: that of the passkeys that work here."""

    totp: Totp | None
    passkeys: list[Passkey]
    codes_left: int
    trusted: list[TrustedData]
    is_required: bool
    due_at: int | None
    methods: tuple[str, ...]
    rp_id: str

    def stays(self, passkey_id: str = "") -> bool:
        """Whether the passkey, or without one the app, can be replaced but not removed, because a factor is required
        and no other one works here."""
        others = (one.id for one in self.passkeys if one.rp_id == self.rp_id and one.id != passkey_id)
        return self.is_required and not any(others) and (not passkey_id or self.totp is None)


def due_at(settings: TenantSettings, user: User) -> int | None:
    """Returns when sign-in starts to require enrollment of a first factor, in milliseconds; None if none is due."""
    return user.second_factor_due_at if tenants.is_required(settings, user.roles) and not user.factors else None


async def look_at_factors(ctx: RequestContext) -> Own:
    """Returns the caller's factors, and the client's policy."""
    settings = tenants.settings_of(ctx.user.tenant_settings)
    rules = settings.second_factor

    def work(unit: TenantUnit) -> Own:
        user = users.get(unit, ctx.user.user_id)
        is_required = tenants.is_required(settings, user.roles)
        return Own(
            totp=one_time_codes.find_totp(unit, user.id),
            passkeys=passkey_rows.list_all(unit, user.id),
            codes_left=one_time_codes.codes_left(unit, user.id),
            trusted=trusted_browsers.list_all(unit, user.id, rules.trusted_days, ctx.now) if rules.trusted_days else [],
            is_required=is_required,
            due_at=due_at(settings, user),
            methods=() if rules.policy == "off" else gate.methods_of(ctx, settings),
            rp_id=ceremonies.rp_id_in_force(unit, ctx.services.settings),
        )

    return await ctx.store.read(work)


async def begin_totp(ctx: RequestContext) -> TotpSecretData:
    """Creates a secret, which takes effect with its first correct code (:func:`confirm_totp`). Until then the current
    app still works. Raises ValidationError if the client doesn't let users enroll one."""
    step_up.check(ctx, Act.FACTORS)
    caller = ctx.user
    gate.check_method(ctx, tenants.settings_of(caller.tenant_settings), "totp")
    secret = protocol.new_secret(ctx.services.random)

    def work(unit: TenantUnit) -> tuple[str, str]:
        user = users.get(unit, caller.user_id, lock=True)
        one_time_codes.begin_totp(unit, ctx.services.sealer, user.id, caller.session_id, secret, ctx.now)
        audit.record(unit, ctx, Event.SECOND_FACTOR_BEGUN, f"user:{user.id}", factor="totp")
        return user.email, tenants.shown_name(tenants.get(unit, unit.tenant_id))

    return await new_app_of(secret, *await ctx.store.write(work))


async def waiting_app(ctx: RequestContext) -> TotpSecretData | None:
    """Returns the secret that waits for its first code, or None. Raises ReauthenticationRequired."""
    step_up.check(ctx, Act.FACTORS)

    def work(unit: TenantUnit) -> tuple[str, str, str]:
        user = users.get(unit, ctx.user.user_id)
        secret = one_time_codes.waiting_totp(unit, ctx.services.sealer, user.id, ctx.user.session_id)
        return secret, user.email, tenants.shown_name(tenants.get(unit, unit.tenant_id))

    secret, email, client = await ctx.store.read(work)
    return await new_app_of(secret, email, client) if secret else None


async def confirm_totp(ctx: RequestContext, code: str) -> tuple[str, ...]:
    """Activates the new secret, which replaces the previous one. Returns ten recovery codes if it is the first factor,
    otherwise none. Raises Conflict if no secret of this session waits, ValidationError for a wrong code."""
    step_up.check(ctx, Act.FACTORS)
    gate.check_method(ctx, tenants.settings_of(ctx.user.tenant_settings), "totp")

    def work(unit: TenantUnit, user: User) -> tuple[str, ...]:
        services = ctx.services
        replaces = bool(user.factors & Kind.TOTP)
        if not one_time_codes.confirm_totp(unit, services.sealer, user.id, ctx.user.session_id, code, ctx.now):
            raise ValidationError(details=[("otp", _("The code is incorrect. Enter the code that the app shows now"))])
        codes = factors.added(unit, services.random, user.id, user.factors, Kind.TOTP, ctx.now, but=ctx.user.session_id)
        gate.enrolled(unit, ctx, "otp")
        mail_queue.tell(unit, ctx, user, Event.SECOND_FACTOR_ENROLLED, factor="totp", replaces=replaces)
        return codes

    return await _locked(ctx, work)


async def remove_totp(ctx: RequestContext) -> None:
    """Removes the authenticator app, or a secret that waits for its first code. Raises NotFound if there is none,
    Conflict for the last factor of a user who must have one."""
    step_up.check(ctx, Act.FACTORS)
    settings = tenants.settings_of(ctx.user.tenant_settings)

    def work(unit: TenantUnit, user: User) -> None:
        if not one_time_codes.drop_totp(unit, user.id):
            raise NotFound()
        if not user.factors & Kind.TOTP:
            return
        factors.check_removable(gate.usable(unit, ctx, user) & ~Kind.TOTP, user.roles, settings)
        factors.removed(unit, user.id, user.factors, ctx.now, but=ctx.user.session_id)
        mail_queue.tell(unit, ctx, user, Event.SECOND_FACTOR_REMOVED, factor="totp")

    await _locked(ctx, work)


async def make_codes(ctx: RequestContext) -> tuple[str, ...]:
    """Creates ten recovery codes, to be shown once, which void all earlier ones. Raises Conflict without a factor,
    ReauthenticationRequired."""
    step_up.check(ctx, Act.FACTORS)

    def work(unit: TenantUnit, user: User) -> tuple[str, ...]:
        if not user.factors:
            raise Conflict(_("Recovery codes require a second factor. Set one up first"))
        codes = one_time_codes.make_codes(unit, ctx.services.random, user.id, ctx.now)
        mail_queue.tell(unit, ctx, user, Event.RECOVERY_CODES_MADE)
        return codes

    return await _locked(ctx, work)


async def end_trust(ctx: RequestContext, trusted_id: str | None = None) -> int:
    """Ends the trust of one of the caller's browsers, or of all. Returns how many there were. Raises NotFound if the
    browser is not the caller's, ReauthenticationRequired."""
    step_up.check(ctx, Act.FACTORS)
    user_id = ctx.user.user_id

    def work(unit: TenantUnit) -> int:
        if trusted_id is None:
            ended = trusted_browsers.end_all(unit, user_id)
        else:
            ended = int(trusted_browsers.end_one(unit, user_id, trusted_id))
            if not ended:
                raise NotFound()
        if ended:
            audit.record(unit, ctx, Event.BROWSER_TRUST_ENDED, f"user:{user_id}", browsers=ended)
        return ended

    return await ctx.store.write(work)


async def _locked(ctx: RequestContext, work: Callable[[TenantUnit, User], T]) -> T:
    """Runs a change of the caller's factors while the user is locked."""
    return await ctx.store.write(lambda unit: work(unit, users.get(unit, ctx.user.user_id, lock=True)))
