"""The second factor of a sign-in: whether one is due, the challenge for it, and the check of the response."""

from __future__ import annotations

from typing import Any, NamedTuple

from manifest_auth import sessions, tenants
from manifest_auth.accounts import users
from manifest_auth.accounts.factors import Kind, challenges, one_time_codes, passkey_rows, trusted_browsers
from manifest_auth.accounts.factors.challenges import Asked, Challenge, Pending
from manifest_auth.accounts.mail_queue import reader
from manifest_auth.accounts.users import User
from manifest_auth.errors import AccountDisabled, InvalidToken, MfaRequired, Replay, TokenExpired, ValidationError
from manifest_auth.protocols import totp as protocol
from manifest_auth.runtime.mail import emails
from manifest_auth.runtime.sealing import CannotOpen
from manifest_auth.runtime.settings import DAY, why_no_passkeys
from manifest_auth.services import RequestContext
from manifest_auth.sessions.sessions import MFA, SessionProof, Way
from manifest_auth.sign_in.browser_identity import Identity
from manifest_auth.sign_in.passkeys import ceremonies
from manifest_auth.sign_in.refusal_reasons import SUSPENDED
from manifest_auth.sign_in.sign_in_metrics import NO_CODE
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.tenants import StoredSettings, Tenant, step_up
from manifest_auth.text.languages import marked as _
from manifest_auth.throttle import throttle

# Sign-in requires an enrolled factor, unless this browser is trusted. Trust skips nothing after a one-time link, since
# a mailbox is no password. A missing factor that the client's policy requires must be enrolled, after a grace period.
# Users who have only passkeys that no longer work at this address must enter a recovery code. If they have none left,
# they must enroll another factor immediately, since a password alone never signs in to an account that has a factor.
# Factors that were already verified are accepted, and so is the word of a provider that the client trusts with second
# factors.

_SENTENCES = {
    "otp": "A code from your authenticator app",
    "passkey": "Your passkey",
    "recoveryCode": "One of your recovery codes",
    "enrol": "Set up a second factor first",
}
#: First proofs after which a trusted browser skips the second factor.
_SPARED: frozenset[Way] = frozenset({"pwd", "provider"})


class GateVerdict(NamedTuple):
    """The verdict on a second factor. ``proof``: for the new session, or None if a factor is due; ``enrols``: it must
    be enrolled first; ``due_at``: from when, in milliseconds."""

    proof: SessionProof | None
    enrols: bool = False
    due_at: int | None = None


def judge(
    unit: TenantUnit,
    ctx: RequestContext,
    settings: StoredSettings,
    user: User,
    identity: Identity,
    trust: str | None,
    *,
    always: bool = False,
) -> GateVerdict:
    """Decides whether the sign-in of a locked user can continue. ``trust`` is the cookie of a trusted browser.
    ``always``: an app requires two factors, whatever the client's policy. Stores since when an enrollment is due."""
    proof = SessionProof(identity.amr, identity.authenticated_at)
    if MFA in identity.amr or not (identity.needs_factor or always):
        return GateVerdict(proof)
    if user.factors:
        days = 0 if always or _SPARED.isdisjoint(identity.amr) else settings.second_factor.trusted_days
        if days and trusted_browsers.is_trusted(unit, user.id, trust, days, ctx.now):
            return GateVerdict(proof._replace(amr=(*proof.amr, "trusted")))
        return GateVerdict(None, enrols=not answers(unit, ctx, user))
    if always:
        return GateVerdict(None, enrols=True)
    due_at = user.second_factor_due_at
    if not tenants.is_required(settings, user.roles):
        if due_at is not None:  # a later policy gives the whole grace period again
            users.factor_due(unit, user.id, None)
        return GateVerdict(proof)
    latest = tenants.due_from(settings, user.roles, ctx.now)
    if due_at is None or due_at > latest:  # a shorter grace period runs from the first sign-in that finds it
        due_at = latest
        users.factor_due(unit, user.id, due_at)
    return GateVerdict(proof, due_at=due_at) if ctx.now < due_at else GateVerdict(None, enrols=True)


def of_device(*amr: Way) -> SessionProof:
    """Returns the proof of a session that a device holds. Its user was verified before, in a browser or with a PIN. It
    has no time, so it never counts as recent."""
    return SessionProof(amr, None)


def ask(
    unit: TenantUnit,
    ctx: RequestContext,
    settings: StoredSettings,
    user: User,
    identity: Identity,
    pending: Pending,
    link_id: int | None,
    *,
    enrols: bool,
) -> MfaRequired:
    """Returns the refusal that requires a factor, with a new challenge, for the caller to raise."""
    services = ctx.services
    asked = Asked(
        user_id=user.id,
        password_hash=user.password_hash,
        method=identity.method,
        amr=" ".join(identity.amr),
        authenticated_at=identity.authenticated_at,
        provider_id=identity.provider_id,
        link_id=link_id,
        enrols=enrols,
    )
    text = challenges.add(unit, services.random, services.sealer, asked, pending, ctx.now)
    life_s = challenges.ENROL_S if enrols else challenges.ANSWER_S
    return asking(unit, ctx, user, text, NO_CODE, life_s, methods_of(ctx, settings) if enrols else ())


def asking(
    unit: TenantUnit, ctx: RequestContext, user: User, text: str, why: str, life_s: int, methods: tuple[str, ...]
) -> MfaRequired:
    """Returns the refusal with a challenge (``text``) that lives this many more seconds. ``methods``: those of a factor
    that must be enrolled, or empty if the user already has one."""
    members = ("enrol",) if methods else answers(unit, ctx, user)
    details = [(member, _SENTENCES[member]) for member in members]
    return MfaRequired(text, details, why, expires_in=life_s, methods=methods)


def usable(unit: TenantUnit, ctx: RequestContext, user: User) -> Kind:
    """Returns the user's factors that work here. Passkeys count if browsers can use them at the public address, and one
    was created for it."""
    found = Kind(user.factors)
    if found & Kind.PASSKEY and not ceremonies.knows_any(unit, ctx.services.settings, user.id):
        found &= ~Kind.PASSKEY
    return found


def answers(unit: TenantUnit, ctx: RequestContext, user: User) -> tuple[str, ...]:
    """Returns the members that can answer for a user who has a factor; none if no factor works here."""
    works = usable(unit, ctx, user)
    found = {
        "otp": bool(works & Kind.TOTP),
        "passkey": bool(works & Kind.PASSKEY),
        "recoveryCode": bool(one_time_codes.codes_left(unit, user.id)),
    }
    return tuple(name for name, is_there in found.items() if is_there)


def answers_by_use(unit: TenantUnit, ctx: RequestContext, user: User) -> tuple[str, ...]:
    """Returns the same members as :func:`answers`, with the most recently used factor first."""
    found = one_time_codes.find_totp(unit, user.id) if user.factors & Kind.TOTP else None
    owned = passkey_rows.list_all(unit, user.id) if user.factors & Kind.PASSKEY else []
    used = {
        "otp": (found.last_used_at if found else None) or 0,
        "passkey": max((passkey.last_used_at or 0 for passkey in owned), default=0),
    }
    return tuple(sorted(answers(unit, ctx, user), key=lambda member: -used.get(member, -1)))


def methods_of(ctx: RequestContext, settings: StoredSettings) -> tuple[str, ...]:
    """Returns the factors that a user can enroll here: those of the client's policy, without passkeys if browsers can't
    create them at the public address. If nothing remains, an authenticator app, so that no policy locks users out."""
    none_made = why_no_passkeys(ctx.services.settings)
    found = tuple(name for name in settings.second_factor.methods if not (none_made and name == "passkey"))
    return found or ("totp",)


def check_method(ctx: RequestContext, settings: StoredSettings, method: str, *, in_place: bool = False) -> None:
    """Raises ValidationError if the client doesn't let users enroll such a factor. ``in_place``: it replaces one that
    no longer works, which every policy allows."""
    allowed = {*settings.second_factor.methods, *methods_of(ctx, settings)}
    if method not in allowed or (settings.second_factor.policy == "off" and not in_place):
        raise ValidationError(details=[("method", _("Your organization doesn't allow this kind of second factor"))])


def check_enrolment(
    unit: TenantUnit, ctx: RequestContext, settings: StoredSettings, user: User, challenge: Challenge, method: str
) -> None:
    """Checks that a sign-in can enroll such a factor. Raises ValidationError as :func:`check_method` does, and
    InvalidToken if the challenge requires an existing factor, or one works again in the meantime."""
    if not challenge.enrols or (user.factors and answers(unit, ctx, user)):
        raise InvalidToken(reason="the challenge requires a factor, not an enrollment")
    check_method(ctx, settings, method, in_place=bool(user.factors))


def enrolled(unit: TenantUnit, ctx: RequestContext, way: Way) -> None:
    """Stores in the caller's session that the new factor was also verified, as a sign-in that enrolls one does: two
    factors, if the password or the provider is recent. The time of the proof stays. A one-time link is no first factor,
    so such a session does not change."""
    caller = ctx.user
    if not caller.factors and caller.authenticated_at is not None and step_up.has_recent_first(caller, ctx.now):
        amr = (*step_up.first_ways(caller), way, MFA)
        sessions.proved_again(unit, caller.session_id, caller.user_id, amr, caller.authenticated_at)


OVER = "the challenge is no longer valid"


def open_challenge(
    unit: SystemUnit, ctx: RequestContext, text: str, *, lock: bool = False
) -> tuple[Challenge, Tenant, User]:
    """Returns the challenge, as long as it can be answered. ``lock``: lock the user's row before the challenge is read
    again. Raises InvalidToken, TokenExpired, AccountDisabled if the client is suspended, Forbidden for a challenge of
    another client than the request names."""
    found = challenges.find(unit, text)
    if found is None:
        raise InvalidToken(reason="unknown challenge")
    user = users.get(unit.of(found.tenant_id), found.user_id, lock=lock)
    found = challenges.find(unit, text) if lock else found
    if found is None or found.used_at is not None or found.proof != challenges.hash_of(user.password_hash):
        raise InvalidToken(reason=OVER)
    if found.expires_at <= ctx.now:
        raise TokenExpired()
    tenant = tenants.get(unit, found.tenant_id)
    ctx.client_hint.check(tenant.identifier, tenant.id, "challenge")
    if tenant.suspended_at is not None:
        raise AccountDisabled(client=tenant.identifier, reason=SUSPENDED)
    if user.deactivated_at is not None:
        raise InvalidToken(reason="the account was deactivated in the meantime")
    return found, tenant, user


def pending_of(ctx: RequestContext, challenge: Challenge) -> Pending:
    """Returns the continuation after a correct code. Raises InvalidToken."""
    try:
        return challenges.pending_of(ctx.services.sealer, challenge)
    except CannotOpen:
        raise InvalidToken(reason="the challenge was encrypted with a key that no longer exists") from None


class Question(NamedTuple):
    """The factor that a sign-in in progress waits for. ``members``: those that can answer, most recently used first;
    ``enrols``: a factor must be enrolled, by one of ``methods``; ``app``: secret (base32) and address of the QR code of
    an authenticator app that waits for its first code; ``trusted_days``: 0 if no browser can be trusted; ``pending``
    and ``provider_id``: as in :class:`.continuing.Finished`."""

    tenant: Tenant
    user: User
    pending: Pending
    provider_id: int | None
    members: tuple[str, ...]
    enrols: bool
    methods: tuple[str, ...]
    app: tuple[str, str] | None
    trusted_days: int


async def look_at_question(ctx: RequestContext, text: str) -> Question:
    """Returns the requirements of the challenge, without changes. Raises InvalidToken, TokenExpired,
    AccountDisabled."""

    def work(unit: SystemUnit) -> Question:
        challenge, tenant, user = open_challenge(unit, ctx, text)
        settings = tenants.settings_of(tenant.settings)
        pending, title = pending_of(ctx, challenge), tenants.shown_name(tenant)
        return Question(
            tenant=tenant,
            user=user,
            pending=pending,
            provider_id=challenge.provider_id,
            members=() if challenge.enrols else answers_by_use(unit.of(tenant.id), ctx, user),
            enrols=bool(challenge.enrols),
            methods=methods_of(ctx, settings),
            app=(pending.totp, protocol.address(pending.totp, user.email, title)) if pending.totp else None,
            trusted_days=settings.second_factor.trusted_days,
        )

    return await ctx.services.store.read(work)


# The WebAuthn challenge of 32 random bytes is stored in the row of the sign-in's own challenge, so it ends with it.

_BYTES = 32


async def to_answer(ctx: RequestContext, text: str) -> dict[str, Any]:
    """Returns the options to answer the challenge of ``MFA_REQUIRED`` (``text``) with a passkey of this user. Raises
    InvalidToken, TokenExpired, Conflict if passkeys are off."""

    def work(unit: SystemUnit) -> dict[str, Any]:
        challenge, tenant, user = _opened(unit, ctx, text, enrols=False)
        return ceremonies.assertion_options(unit, ctx, user, _kept(unit, ctx, challenge, tenant))

    return await ctx.services.store.write(work)


async def to_enrol(ctx: RequestContext, text: str) -> dict[str, Any]:
    """Returns the options to create the passkey that this sign-in must enroll. Raises InvalidToken, TokenExpired,
    ValidationError if the client doesn't allow it, Conflict if passkeys are off."""

    def work(unit: SystemUnit) -> dict[str, Any]:
        challenge, tenant, user = _opened(unit, ctx, text, enrols=True)
        check_enrolment(unit.of(tenant.id), ctx, tenants.settings_of(tenant.settings), user, challenge, "passkey")
        return ceremonies.registration_options(unit, ctx, tenant, user, _kept(unit, ctx, challenge, tenant))

    return await ctx.services.store.write(work)


def _opened(unit: SystemUnit, ctx: RequestContext, text: str, *, enrols: bool) -> tuple[Challenge, Tenant, User]:
    found, tenant, user = open_challenge(unit, ctx, text, lock=True)
    if bool(found.enrols) != enrols:
        raise InvalidToken(reason="the challenge requires something else")
    return found, tenant, user


def _kept(unit: SystemUnit, ctx: RequestContext, challenge: Challenge, tenant: Tenant) -> str:
    """Creates a WebAuthn challenge that replaces an earlier one."""
    services, fresh = ctx.services, ctx.services.random.text(_BYTES)
    pending = challenges.pending_of(services.sealer, challenge)
    challenges.keep(unit.of(tenant.id), services.sealer, challenge, pending.with_passkey(fresh), ctx.now)
    return fresh


class Answer(NamedTuple):
    """The members of a request, with exactly one of the first four set. ``passkey`` and ``new_passkey`` are credentials
    as a browser returns them (WebAuthn Level 3, section 5.1); ``name`` belongs to a new passkey."""

    otp: str | None = None
    recovery_code: str | None = None
    passkey: dict[str, Any] | None = None
    new_passkey: dict[str, Any] | None = None
    name: str = ""

    @property
    def member(self) -> str:
        """Returns the name of the member that is set. Raises ValidationError if there is none, or more than one."""
        given = [
            name
            for name, value in zip(("otp", "recoveryCode", "passkey", "newPasskey"), self[:4], strict=True)
            if value is not None
        ]
        if len(given) == 1:
            return given[0]
        sentence = (
            "Enter otp, recoveryCode, or passkey" if not given else ("Enter only one of otp, recoveryCode, and passkey")
        )
        raise ValidationError(details=[(given[1] if given else "otp", sentence)])


class Judged(NamedTuple):
    """The verdict on a response. ``way``: how it was verified, None if it is wrong; ``replay``: it was correct, but
    already used; ``why``: what is wrong with it, for the log."""

    way: Way | None
    replay: Replay | None = None
    why: str = ""


def check_answer(unit: TenantUnit, ctx: RequestContext, user: User, answer: Answer) -> Judged:
    """Checks a response with a code, and marks the code as used. :mod:`..passkeys.ceremonies` checks passkeys."""
    if answer.otp is not None:
        found = one_time_codes.use_totp(unit, ctx.services.sealer, user.id, answer.otp, ctx.now)
        return Judged("otp" if found.is_right else None, found.replay)
    if answer.recovery_code is not None:
        used = one_time_codes.use_code(unit, user.id, answer.recovery_code, ctx.now)
        return Judged("recovery" if used.is_right else None, used.replay)
    return Judged(None)


#: The user is notified of this many incorrect codes after a correct password, with no gap of a day between two of them.
TOLD_AFTER = 5


def recovery_code_used(unit: TenantUnit, ctx: RequestContext, tenant: Tenant, user: User) -> None:
    """Notifies the user that a code was used, from where, and how many are left."""
    email = emails.recovery_code_used(reader(user, tenant), ctx.address, one_time_codes.codes_left(unit, user.id))
    ctx.services.mail_queue.add(unit, ctx, email, "recovery_code_used", f"user:{user.id}")


def wrong_code(unit: TenantUnit, ctx: RequestContext, tenant: Tenant, user: User) -> None:
    """Counts a wrong code after a correct password. The fifth means that someone else knows the password, and so do the
    10th, 20th, 40th … of an attack that continues. A correct code does not reset the count, because the owner's own
    sign-ins must not hide another person's guesses."""
    key = throttle.key_of("wrong_codes", unit.tenant_id, user.id)
    times, rest = divmod(throttle.tally(unit, key, ctx.now, DAY * 1000), TOLD_AFTER)
    if times and not rest and not times & (times - 1):
        email = emails.wrong_codes(reader(user, tenant), ctx.address)
        ctx.services.mail_queue.add(unit, ctx, email, "second_factor_failed", f"user:{user.id}")
