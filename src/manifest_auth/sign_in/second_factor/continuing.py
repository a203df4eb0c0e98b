"""Goes on with a sign-in that waits for its second factor: counts the answer, judges it, and does what was pending."""

from __future__ import annotations

from typing import Any, NamedTuple

from manifest_auth import audit, tenants
from manifest_auth.accounts import factors, users
from manifest_auth.accounts.factors import Kind, challenges, totp, trusted_browsers
from manifest_auth.accounts.factors.challenges import Challenge, Pending
from manifest_auth.accounts.users import User
from manifest_auth.audit import Event
from manifest_auth.errors import InvalidToken, Refusal, TokenExpired
from manifest_auth.protocols import totp as protocol
from manifest_auth.protocols import webauthn
from manifest_auth.protocols.webauthn import Refused
from manifest_auth.runtime.metrics import EntryPoint
from manifest_auth.runtime.sealing import CannotOpen
from manifest_auth.services import RequestContext
from manifest_auth.sessions.proofs import MFA, Way, ways_of
from manifest_auth.sign_in import completion, exchange_codes, password, set_password
from manifest_auth.sign_in.completion import Account, SignedIn
from manifest_auth.sign_in.identity import BrowserCookies, Identity
from manifest_auth.sign_in.passkeys import assertions, registration
from manifest_auth.sign_in.second_factor import gate
from manifest_auth.sign_in.second_factor.answer import Answer, Judged, judge
from manifest_auth.sign_in.sign_in_metrics import counted
from manifest_auth.store import SystemUnit
from manifest_auth.tenants import Tenant
from manifest_auth.throttle import throttle
from manifest_auth.throttle.throttle import Counters, Wait

ENTRY_POINT: EntryPoint = "second_factor"
_OVER = "the challenge is over"


class Enrolment(NamedTuple):
    """A new secret of an authenticator app, in base32 and as the address of its QR code."""

    secret: str
    uri: str


class Finished(NamedTuple):
    """What a right answer led to: a session, or a one-time code for an app. ``pending``: where the browser ends;
    ``provider_id``: of the provider that the sign-in came through; ``trust``: a new cookie of a trusted browser;
    ``recovery_codes``: of a first factor. With those a code waits until it is handed out, see
    :func:`.exchange_codes.hand_out`."""

    account: Account
    pending: Pending
    signed_in: SignedIn | None = None
    code: str | None = None
    provider_id: int | None = None
    trust: str | None = None
    recovery_codes: tuple[str, ...] = ()


class _Attempt(NamedTuple):
    challenge: Challenge
    tenant: Tenant
    user: User
    counters: Counters
    number: int


async def enrol_totp(ctx: RequestContext, text: str) -> Enrolment:
    """A new secret for a sign-in that has to enrol a factor; it counts with its first right code. Raises InvalidToken,
    TokenExpired, ValidationError where the client does not allow it."""

    def work(unit: SystemUnit) -> Enrolment:
        challenge, tenant, user = open_challenge(unit, ctx, text)
        bound, sealer = unit.of(tenant.id), ctx.services.sealer
        gate.check_method(tenants.settings_of(tenant.settings), "totp")
        if not challenge.enrols:
            raise InvalidToken(reason="the challenge asks for a factor, not for an enrolment")
        secret = protocol.new_secret(ctx.services.random)
        pending = pending_of(ctx, challenge)
        challenges.keep(bound, sealer, challenge, pending.with_totp(secret), ctx.now)
        return enrolment_of(secret, tenant, user)

    return await ctx.services.store.write(work)


async def continue_sign_in(
    ctx: RequestContext, text: str, answer: Answer, browser: BrowserCookies, *, trust: bool = False
) -> Finished:
    """Finishes a sign-in with the challenge of ``MFA_REQUIRED`` (``text``) and an answer. ``trust``: this browser is
    not asked for a while.

    Raises InvalidToken, TokenExpired, AccountDisabled, MfaRequired for a wrong answer, RateLimited, ValidationError.
    """
    member = answer.member
    if answer.passkey is not None or answer.new_passkey is not None:
        await webauthn.load()
    await ctx.services.keys.ensure_current()  # the new tokens are signed with a current key
    attempt = await ctx.services.store.write_quickly(lambda unit: _count(unit, ctx, text, browser))
    if isinstance(attempt, Wait):
        raise ctx.services.throttle.refusal(ENTRY_POINT, attempt)
    judged = ctx.services.store.write_quickly(
        lambda unit: _judge(unit, ctx, text, attempt, member, answer, browser, trust)
    )
    return await counted(ctx, attempt.challenge.method, judged)


def enrolment_of(secret: str, tenant: Tenant, user: User) -> Enrolment:
    """What an authenticator app takes. ``secret``: base32."""
    return Enrolment(secret, protocol.address(secret, user.email, tenants.shown_name(tenant)))


def pending_of(ctx: RequestContext, challenge: Challenge) -> Pending:
    """What a right answer leads to. Raises InvalidToken."""
    try:
        return challenges.pending_of(ctx.services.sealer, challenge)
    except CannotOpen:
        raise InvalidToken(reason="the challenge was sealed with a key that is gone") from None


def open_challenge(
    unit: SystemUnit, ctx: RequestContext, text: str, *, lock: bool = False
) -> tuple[Challenge, Tenant, User]:
    """The challenge, as long as it can be answered, with its client and user. ``lock``: locks the user's row, before
    the challenge is read again. Raises InvalidToken, TokenExpired."""
    found = challenges.find(unit, text)
    if found is None:
        raise InvalidToken(reason="no challenge of ours")
    user = users.get(unit.of(found.tenant_id), found.user_id, lock=lock)
    found = challenges.find(unit, text) if lock else found
    if found is None or found.used_at is not None or found.proof != challenges.hash_of(user.password_hash):
        raise InvalidToken(reason=_OVER)
    if found.expires_at <= ctx.now:
        raise TokenExpired()
    tenant = tenants.get(unit, found.tenant_id)
    ctx.client_hint.check(tenant.identifier, tenant.id, "challenge")
    return found, tenant, user


def _count(unit: SystemUnit, ctx: RequestContext, text: str, browser: BrowserCookies) -> _Attempt | Wait:
    """Counts the answer before it is judged: for the challenge, the user, and the user from this origin."""
    challenge, tenant, user = open_challenge(unit, ctx, text)
    bound = unit.of(tenant.id)
    known = password.known_origin(unit, tenant, user, browser.device, ctx.address)
    counters = throttle.counters(ENTRY_POINT, f"{tenant.id}:{user.id}", ctx.address, known)
    if wait := ctx.services.throttle.count(unit, counters, ctx.now):
        limits = ctx.services.anonymous_limits
        limits.record(bound, ctx, Event.THROTTLED, f"user:{user.id}", method=ENTRY_POINT, wait_ms=wait.ms)
        return wait
    number = challenges.count_try(bound, challenge)
    if not number:
        raise InvalidToken(reason="the challenge has had all its answers", keeps_writes=True)
    return _Attempt(challenge, tenant, user, counters, number)


def _judge(
    unit: SystemUnit, ctx: RequestContext, text: str, attempt: _Attempt, member: str, answer: Answer,
    browser: BrowserCookies, trust: bool,
) -> Finished:  # fmt: skip
    challenge, tenant, user = open_challenge(unit, ctx, text, lock=True)
    bound = unit.of(tenant.id)
    pending = pending_of(ctx, challenge)
    codes: tuple[str, ...] = ()
    if challenge.enrols:
        judged, codes = _enrol(unit, ctx, tenant, user, pending, answer)
    elif answer.passkey is not None:
        why = assertions.judge(unit, ctx, user, pending.passkey, answer.passkey)
        judged = Judged(None if why else "passkey", why=why)
    else:
        judged = judge(bound, ctx, user, answer)
    if judged.way is None:
        raise _wrong(unit, ctx, text, attempt, member, judged, challenge)
    if not challenges.use(bound, challenge, ctx.now) and not challenge.enrols:
        raise InvalidToken(reason=_OVER)
    if ctx.services.throttle.is_on:
        throttle.succeeded(unit, attempt.counters)
    if judged.way == "recovery":
        audit.record(bound, ctx, Event.RECOVERY_CODE_USED, f"user:{user.id}")
    cookie = None
    days = tenants.settings_of(tenant.settings).second_factor.trusted_days
    if trust and days and judged.way != "recovery":
        cookie = trusted_browsers.trust(bound, ctx, ctx.services.random, user.id, days, browser.trust)
        audit.record(bound, ctx, Event.BROWSER_TRUSTED, f"user:{user.id}", days=days)
    finished = _finish(unit, ctx, challenge, pending, judged.way, user, browser, waits=bool(codes))
    signed_in = finished.signed_in
    if signed_in is not None:
        signed_in = signed_in._replace(trust=cookie, recovery_codes=codes)
    return finished._replace(signed_in=signed_in, provider_id=challenge.provider_id, trust=cookie, recovery_codes=codes)


def _enrol(
    unit: SystemUnit, ctx: RequestContext, tenant: Tenant, user: User, pending: Pending, answer: Answer
) -> tuple[Judged, tuple[str, ...]]:
    """Adds the first factor, which the answer confirms; the recovery codes."""
    bound, services = unit.of(tenant.id), ctx.services
    gate.check_method(tenants.settings_of(tenant.settings), "totp" if answer.otp is not None else "passkey")
    if answer.new_passkey is not None:
        return _enrol_passkey(unit, ctx, tenant, user, pending, answer.new_passkey, answer.name)
    if answer.otp is None or not pending.totp:
        return Judged(None), ()
    if not totp.add(bound, services.sealer, user.id, pending.totp, answer.otp, ctx.now):
        return Judged(None), ()
    codes = factors.added(bound, services.random, user.id, user.factors, Kind.TOTP, ctx.now)
    audit.record(bound, ctx, Event.SECOND_FACTOR_ENROLLED, f"user:{user.id}", factor="totp")
    return Judged("otp"), codes


def _enrol_passkey(
    unit: SystemUnit, ctx: RequestContext, tenant: Tenant, user: User, pending: Pending, made: dict[str, Any],
    name: str,
) -> tuple[Judged, tuple[str, ...]]:  # fmt: skip
    try:
        added = registration.add(unit, ctx, tenant, user, pending.passkey, made, name)
    except Refused as refused:
        return Judged(None, why=f"passkey: {refused}"), ()
    audit.record(unit.of(tenant.id), ctx, Event.SECOND_FACTOR_ENROLLED, f"user:{user.id}", factor="passkey")
    return Judged("passkey"), added.recovery_codes


def _wrong(
    unit: SystemUnit, ctx: RequestContext, text: str, attempt: _Attempt, member: str, judged: Judged,
    challenge: Challenge,
) -> Refusal:  # fmt: skip
    bound, user = unit.of(attempt.tenant.id), attempt.user
    why = judged.why or f"{member}: {'used before' if judged.replay else 'wrong'}"
    ctx.services.anonymous_limits.record(
        bound, ctx, Event.SECOND_FACTOR_FAILED, f"user:{user.id}", method=challenge.method, why=why, proved=True
    )
    if attempt.number >= challenges.MOST_TRIES:
        challenges.use(bound, challenge, ctx.now)
        return InvalidToken(reason=f"{why}; the challenge ends", keeps_writes=True, replay=judged.replay)
    settings = tenants.settings_of(attempt.tenant.settings)
    refusal = gate.ask_again(bound, ctx, settings, user, text, challenge, why)
    refusal.replay = judged.replay
    return refusal


def _finish(
    unit: SystemUnit, ctx: RequestContext, challenge: Challenge, pending: Pending, way: Way, user: User,
    browser: BrowserCookies, *, waits: bool,
) -> Finished:  # fmt: skip
    """Does what was pending, with the proof of both factors. ``waits``: recovery codes are shown before a code."""
    amr: tuple[Way, ...] = (*ways_of(challenge.amr), way, MFA)
    identity = Identity(
        challenge.method, user.id, amr, None, challenge.provider_id, challenge.authenticated_at, needs_factor=False
    )
    counters = None
    if challenge.method == password.METHOD:
        claim = password.Claim(user.email, None, browser.device)
        tenant = tenants.get(unit, challenge.tenant_id)
        counters = password.counters_of(unit, ctx, password.ENTRY_POINT, tenant, user, claim)
    account = completion.check(unit, ctx, challenge.tenant_id, identity, browser, pending, counters)
    if pending.purpose == "code":
        bound = unit.of(challenge.tenant_id)
        code = exchange_codes.issue(bound, ctx, identity, account.proof, pending.code_challenge, waits=waits)
        return Finished(account, pending, code=code)
    if pending.purpose == "link":
        assert challenge.link_id is not None
        link = set_password.find_by_id(unit, challenge.tenant_id, challenge.link_id, ctx.now)
        signed_in = set_password.finish(unit, ctx, link, pending.password_hash, account, identity, browser)
    else:
        signed_in = completion.open_session(unit, ctx, account, identity, browser)
    return Finished(account, pending, signed_in)
