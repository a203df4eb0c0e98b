"""Decides for every sign-in whether a second factor is due: the one place that makes a proof for a new session."""

from __future__ import annotations

from typing import NamedTuple

from manifest_auth import sessions, tenants
from manifest_auth.accounts import users
from manifest_auth.accounts.factors import Kind, challenges, one_time_codes, passkey_rows, trusted_browsers
from manifest_auth.accounts.factors.challenges import Asked, Challenge, Pending
from manifest_auth.accounts.users import User
from manifest_auth.errors import InvalidToken, MfaRequired, ValidationError
from manifest_auth.runtime.settings import why_no_passkeys
from manifest_auth.services import RequestContext
from manifest_auth.sessions.sessions import MFA, SessionProof, Way
from manifest_auth.sign_in.browser_identity import Identity
from manifest_auth.sign_in.passkeys import relying_party
from manifest_auth.sign_in.sign_in_metrics import NO_CODE
from manifest_auth.store import TenantUnit
from manifest_auth.tenants import StoredSettings, step_up

# A factor that is enrolled is asked for, unless this browser is trusted; trust spares no question after a one-time
# link, since a mailbox is no password. One that the client's policy requires and that is missing has to be enrolled,
# after a time of grace. Who has passkeys alone, which work at this address no more, is asked for a recovery code, and
# without any left enrols another factor at once: a password alone never signs in an account that has a factor. Whatever
# was proved already, and a provider that the client trusts with the question, are taken as they are.

_SENTENCES = {
    "otp": "A code of your authenticator app",
    "passkey": "Your passkey",
    "recoveryCode": "One of your recovery codes",
    "enrol": "A second factor has to be set up first",
}
#: First proofs after which a trusted browser is not asked.
_SPARED: frozenset[Way] = frozenset({"pwd", "provider"})


class GateVerdict(NamedTuple):
    """``proof``: of the new session; None: a factor is due. ``enrols``: it has to be enrolled first; ``due_at``: from
    when on that is so, milliseconds."""

    proof: SessionProof | None
    enrols: bool = False
    due_at: int | None = None


def judge(
    unit: TenantUnit, ctx: RequestContext, settings: StoredSettings, user: User, identity: Identity, trust: str | None
) -> GateVerdict:
    """Whether the sign-in of a locked user may go on. ``trust``: the cookie of a trusted browser. Marks since when an
    enrolment is due."""
    proof = SessionProof(identity.amr, identity.authenticated_at)
    if not identity.needs_factor or MFA in identity.amr:
        return GateVerdict(proof)
    if user.factors:
        days = 0 if _SPARED.isdisjoint(identity.amr) else settings.second_factor.trusted_days
        if days and trusted_browsers.is_trusted(unit, user.id, trust, days, ctx.now):
            return GateVerdict(proof._replace(amr=(*proof.amr, "trusted")))
        return GateVerdict(None, enrols=not answers(unit, ctx, user))
    due_at = user.second_factor_due_at
    if not tenants.is_required(settings, user.roles):
        if due_at is not None:  # a policy that comes later gives the whole time of grace again
            users.factor_due(unit, user.id, None)
        return GateVerdict(proof)
    latest = tenants.due_from(settings, user.roles, ctx.now)
    if due_at is None or due_at > latest:  # fewer days of grace run from the first sign-in that finds them
        due_at = latest
        users.factor_due(unit, user.id, due_at)
    return GateVerdict(proof, due_at=due_at) if ctx.now < due_at else GateVerdict(None, enrols=True)


def of_device(*amr: Way) -> SessionProof:
    """The proof of a session that a device holds: its user was asked before, in a browser or for a PIN. It is of no
    moment, so that it never counts as recent."""
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
    """The refusal that asks for a factor, with a new challenge; for the caller to raise."""
    services, amr = ctx.services, " ".join(identity.amr)
    asked = Asked(
        user_id=user.id,
        password_hash=user.password_hash,
        method=identity.method,
        amr=amr,
        authenticated_at=identity.authenticated_at,
        provider_id=identity.provider_id,
        link_id=link_id,
        enrols=enrols,
    )
    text = challenges.add(unit, services.random, services.sealer, asked, pending, ctx.now)
    life_s = challenges.ENROL_S if enrols else challenges.ANSWER_S
    if enrols:
        methods = methods_of(ctx, settings)
        return MfaRequired(text, _details("enrol"), NO_CODE, expires_in=life_s, methods=methods)
    return MfaRequired(text, _details(*answers(unit, ctx, user)), NO_CODE, expires_in=life_s)


def ask_again(
    unit: TenantUnit,
    ctx: RequestContext,
    settings: StoredSettings,
    user: User,
    text: str,
    challenge: Challenge,
    reason: str,
) -> MfaRequired:
    """As :func:`ask`, after a wrong answer: the same challenge, whose life goes on."""
    left_s = max(0, (challenge.expires_at - ctx.now) // 1000)
    if challenge.enrols:
        methods = methods_of(ctx, settings)
        return MfaRequired(text, _details("enrol"), reason, expires_in=left_s, methods=methods)
    return MfaRequired(text, _details(*answers(unit, ctx, user)), reason, expires_in=left_s)


def usable(unit: TenantUnit, ctx: RequestContext, user: User) -> Kind:
    """The user's factors that work here: passkeys where browsers use them at the public address, and one was made for
    it."""
    found = Kind(user.factors)
    if found & Kind.PASSKEY and not relying_party.knows_any(unit, ctx.services.settings, user.id):
        found &= ~Kind.PASSKEY
    return found


def answers(unit: TenantUnit, ctx: RequestContext, user: User) -> tuple[str, ...]:
    """The members that can answer for a user who has a factor; none where nothing is left that works here."""
    works = usable(unit, ctx, user)
    found = {
        "otp": bool(works & Kind.TOTP),
        "passkey": bool(works & Kind.PASSKEY),
        "recoveryCode": bool(one_time_codes.codes_left(unit, user.id)),
    }
    return tuple(name for name, is_there in found.items() if is_there)


def answers_by_use(unit: TenantUnit, ctx: RequestContext, user: User) -> tuple[str, ...]:
    """The same, with the factor that was used last at first."""
    found = one_time_codes.find_totp(unit, user.id) if user.factors & Kind.TOTP else None
    owned = passkey_rows.list_all(unit, user.id) if user.factors & Kind.PASSKEY else []
    used = {
        "otp": (found.last_used_at if found else None) or 0,
        "passkey": max((passkey.last_used_at or 0 for passkey in owned), default=0),
    }
    return tuple(sorted(answers(unit, ctx, user), key=lambda member: -used.get(member, -1)))


def methods_of(ctx: RequestContext, settings: StoredSettings) -> tuple[str, ...]:
    """The factors that a user may enrol here: those of the client's policy, without passkeys where browsers make none
    at the public address. An authenticator app where nothing else is left, so that no policy locks users out."""
    none_made = why_no_passkeys(ctx.services.settings)
    found = tuple(name for name in settings.second_factor.methods if not (none_made and name == "passkey"))
    return found or ("totp",)


def check_method(ctx: RequestContext, settings: StoredSettings, method: str, *, in_place: bool = False) -> None:
    """Raises ValidationError where the client does not let users enrol such a factor. ``in_place``: of one that works
    no more, which every policy allows."""
    allowed = {*settings.second_factor.methods, *methods_of(ctx, settings)}
    if method not in allowed or (settings.second_factor.policy == "off" and not in_place):
        raise ValidationError(details=[("method", "Your organisation does not allow this kind of second factor")])


def check_enrolment(
    unit: TenantUnit, ctx: RequestContext, settings: StoredSettings, user: User, challenge: Challenge, method: str
) -> None:
    """Checks that a sign-in may enrol such a factor. Raises ValidationError as :func:`check_method`, InvalidToken where
    the challenge asks for a factor, or one works again meanwhile."""
    if not challenge.enrols or (user.factors and answers(unit, ctx, user)):
        raise InvalidToken(reason="the challenge asks for a factor, not for an enrolment")
    check_method(ctx, settings, method, in_place=bool(user.factors))


def _details(*fields: str) -> list[tuple[str, str]]:
    return [(field, _SENTENCES[field]) for field in fields]


# A session that enrolled the first factor has proved it: two factors, where the password or the provider is recent.


def enrolled(unit: TenantUnit, ctx: RequestContext, way: Way) -> None:
    """Stores in the caller's session that the new factor was proved too, as a sign-in that enrols one does. The moment
    of the proof stays. A one-time link is no first factor, so such a session stays as it is."""
    caller = ctx.user
    if not caller.factors and caller.authenticated_at is not None and step_up.has_recent_first(caller, ctx.now):
        amr = (*step_up.first_ways(caller), way, MFA)
        sessions.proved_again(unit, caller.session_id, caller.user_id, amr, caller.authenticated_at)
