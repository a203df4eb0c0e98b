"""Questions for a second factor in a sign-in: the challenge that waits, its options, and the check of the answer."""

from __future__ import annotations

from typing import Any, NamedTuple

from manifest_auth import tenants
from manifest_auth.accounts import users
from manifest_auth.accounts.factors import challenges, one_time_codes
from manifest_auth.accounts.factors.challenges import Challenge, Pending
from manifest_auth.accounts.mail_queue import reader
from manifest_auth.accounts.users import User
from manifest_auth.errors import AccountDisabled, InvalidToken, Replay, TokenExpired, ValidationError
from manifest_auth.protocols import totp as protocol
from manifest_auth.runtime import mail
from manifest_auth.runtime.mail import Email
from manifest_auth.runtime.sealing import CannotOpen
from manifest_auth.runtime.settings import DAY
from manifest_auth.services import RequestContext
from manifest_auth.sessions.sessions import Way
from manifest_auth.sign_in.passkeys import ceremonies
from manifest_auth.sign_in.second_factor import gate
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.tenants import Tenant
from manifest_auth.throttle import throttle

# Finds the challenge of a sign-in under way, as long as it can be answered.

OVER = "the challenge is over"


def open_challenge(
    unit: SystemUnit, ctx: RequestContext, text: str, *, lock: bool = False
) -> tuple[Challenge, Tenant, User]:
    """The challenge, as long as it can be answered. ``lock``: locks the user's row, before the challenge is read again.
    Raises InvalidToken, TokenExpired, AccountDisabled where the client is suspended, Forbidden for one of another
    client than the request names."""
    found = challenges.find(unit, text)
    if found is None:
        raise InvalidToken(reason="no challenge of ours")
    user = users.get(unit.of(found.tenant_id), found.user_id, lock=lock)
    found = challenges.find(unit, text) if lock else found
    if found is None or found.used_at is not None or found.proof != challenges.hash_of(user.password_hash):
        raise InvalidToken(reason=OVER)
    if found.expires_at <= ctx.now:
        raise TokenExpired()
    tenant = tenants.get(unit, found.tenant_id)
    ctx.client_hint.check(tenant.identifier, tenant.id, "challenge")
    if tenant.suspended_at is not None:
        raise AccountDisabled(client=tenant.identifier)
    if user.deactivated_at is not None:
        raise InvalidToken(reason="the account was switched off meanwhile")
    return found, tenant, user


def pending_of(ctx: RequestContext, challenge: Challenge) -> Pending:
    """What a right answer leads to. Raises InvalidToken."""
    try:
        return challenges.pending_of(ctx.services.sealer, challenge)
    except CannotOpen:
        raise InvalidToken(reason="the challenge was sealed with a key that is gone") from None


# The question that a sign-in under way waits for, as pages show it.


class WaitingApp(NamedTuple):
    """An authenticator app that waits for its first code. ``secret``: base32; ``uri``: the address of its QR code."""

    secret: str
    uri: str


class Question(NamedTuple):
    """What a sign-in under way waits for. ``members``: that can answer, the one that was used last first; ``enrols``: a
    factor has to be enrolled, by one of ``methods``; ``app``: that is being enrolled; ``trusted_days``: 0
    where no browser can be trusted; ``pending`` and ``provider_id``: as in :class:`.continuing.Finished`."""

    tenant: Tenant
    user: User
    pending: Pending
    provider_id: int | None
    members: tuple[str, ...]
    enrols: bool
    methods: tuple[str, ...]
    app: WaitingApp | None
    trusted_days: int


async def look_at_question(ctx: RequestContext, text: str) -> Question:
    """What the challenge asks for; changes nothing. Raises InvalidToken, TokenExpired, AccountDisabled."""

    def work(unit: SystemUnit) -> Question:
        challenge, tenant, user = open_challenge(unit, ctx, text)
        settings = tenants.settings_of(tenant.settings)
        pending = pending_of(ctx, challenge)
        return Question(
            tenant=tenant,
            user=user,
            pending=pending,
            provider_id=challenge.provider_id,
            members=() if challenge.enrols else gate.answers_by_use(unit.of(tenant.id), ctx, user),
            enrols=bool(challenge.enrols),
            methods=gate.methods_of(ctx, settings),
            app=_app(pending.totp, tenant, user) if pending.totp else None,
            trusted_days=settings.second_factor.trusted_days,
        )

    return await ctx.services.store.read(work)


def _app(secret: str, tenant: Tenant, user: User) -> WaitingApp:
    return WaitingApp(secret, protocol.address(secret, user.email, tenants.shown_name(tenant)))


# Options for a browser whose sign-in waits for its second factor: to answer with a passkey, or to make the first one.
#
# The WebAuthn challenge of 32 random bytes is kept in the row of the sign-in's own challenge, so it ends with that.

_BYTES = 32


async def to_answer(ctx: RequestContext, text: str) -> dict[str, Any]:
    """What the browser needs to answer the challenge of ``MFA_REQUIRED`` (``text``) with a passkey of this user. Raises
    InvalidToken, TokenExpired, Conflict where passkeys are off."""

    def work(unit: SystemUnit) -> dict[str, Any]:
        challenge, tenant, user = _opened(unit, ctx, text, enrols=False)
        return ceremonies.assertion_options(unit, ctx, user, _kept(unit, ctx, challenge, tenant))

    return await ctx.services.store.write(work)


async def to_enrol(ctx: RequestContext, text: str) -> dict[str, Any]:
    """What the browser needs to make the passkey that this sign-in has to enrol. Raises InvalidToken, TokenExpired,
    ValidationError where the client does not allow it, Conflict where passkeys are off."""

    def work(unit: SystemUnit) -> dict[str, Any]:
        challenge, tenant, user = _opened(unit, ctx, text, enrols=True)
        gate.check_enrolment(unit.of(tenant.id), ctx, tenants.settings_of(tenant.settings), user, challenge, "passkey")
        return ceremonies.registration_options(unit, ctx, tenant, user, _kept(unit, ctx, challenge, tenant))

    return await ctx.services.store.write(work)


def _opened(unit: SystemUnit, ctx: RequestContext, text: str, *, enrols: bool) -> tuple[Challenge, Tenant, User]:
    found, tenant, user = open_challenge(unit, ctx, text, lock=True)
    if bool(found.enrols) != enrols:
        raise InvalidToken(reason="the challenge asks for something else")
    return found, tenant, user


def _kept(unit: SystemUnit, ctx: RequestContext, challenge: Challenge, tenant: Tenant) -> str:
    """A new WebAuthn challenge in place of a former one."""
    services, fresh = ctx.services, ctx.services.random.text(_BYTES)
    pending = challenges.pending_of(services.sealer, challenge)
    challenges.keep(unit.of(tenant.id), services.sealer, challenge, pending.with_passkey(fresh), ctx.now)
    return fresh


# The one answer to a question for a second factor, and its check against what the user has enrolled.


class Answer(NamedTuple):
    """The members of a request; exactly one of the first four is given. ``passkey`` and ``new_passkey``: credentials as
    a browser returns them (WebAuthn Level 3, section 5.1); ``name``: of a new passkey."""

    otp: str | None = None
    recovery_code: str | None = None
    passkey: dict[str, Any] | None = None
    new_passkey: dict[str, Any] | None = None
    name: str = ""

    @property
    def member(self) -> str:
        """The name of the member that is given. Raises ValidationError for none, or for more than one."""
        given = [
            name
            for name, value in zip(("otp", "recoveryCode", "passkey", "newPasskey"), self[:4], strict=True)
            if value is not None
        ]
        if len(given) == 1:
            return given[0]
        sentence = "Required: otp, recoveryCode or passkey" if not given else "Only one answer at a time"
        raise ValidationError(details=[(given[1] if given else "otp", sentence)])


class Judged(NamedTuple):
    """``way``: how it was proved, None for a wrong answer; ``replay``: it was right, and used before; ``why``: what is
    wrong with it, for the log."""

    way: Way | None
    replay: Replay | None = None
    why: str = ""


def judge(unit: TenantUnit, ctx: RequestContext, user: User, answer: Answer) -> Judged:
    """Checks an answer with a code, and marks the code as used. A passkey is judged by :mod:`..passkeys.ceremonies`."""
    if answer.otp is not None:
        found = one_time_codes.use_totp(unit, ctx.services.sealer, user.id, answer.otp, ctx.now)
        return Judged("otp" if found.is_right else None, found.replay)
    if answer.recovery_code is not None:
        used = one_time_codes.use_code(unit, user.id, answer.recovery_code, ctx.now)
        return Judged("recovery" if used.is_right else None, used.replay)
    return Judged(None)


# E-mails to a user about answers with a second factor: a recovery code was used, codes were wrong.
#
# What changes the factors themselves is told by :mod:`manifest_auth.accounts.mail_queue`.


#: So many wrong codes behind a right password, without a day between two of them, are told to the user.
TOLD_AFTER = 5


def recovery_code_used(unit: TenantUnit, ctx: RequestContext, tenant: Tenant, user: User) -> None:
    """Says that a code was used, from where, and how many are left."""
    left = one_time_codes.codes_left(unit, user.id)
    email = mail.recovery_code_used(reader(user, tenant), ctx.address, left)
    _add(unit, ctx, user, email, "recovery_code_used")


def wrong_code(unit: TenantUnit, ctx: RequestContext, tenant: Tenant, user: User) -> None:
    """Counts a wrong code behind a right password. The fifth says that someone else knows the password; so do the
    10th, 20th, 40th … of an attack that goes on. A right code does not reset the count: the owner's own sign-ins must
    not hide the guesses of another."""
    key = throttle.key_of("wrong_codes", unit.tenant_id, user.id)
    times, rest = divmod(throttle.tally(unit, key, ctx.now, DAY * 1000), TOLD_AFTER)
    if times and not rest and not times & (times - 1):
        email = mail.wrong_codes(reader(user, tenant), ctx.address)
        _add(unit, ctx, user, email, "second_factor_failed")


def _add(unit: TenantUnit, ctx: RequestContext, user: User, email: Email, purpose: str) -> None:
    ctx.services.mail_queue.add(unit, ctx, email, purpose, f"user:{user.id}")
