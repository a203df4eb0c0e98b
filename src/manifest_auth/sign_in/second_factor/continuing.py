"""Continuation of a sign-in that waits for its second factor: check the response and complete the sign-in."""

from __future__ import annotations

from typing import NamedTuple

from manifest_auth import audit, tenants
from manifest_auth.accounts.factors import challenges, trusted_browsers
from manifest_auth.accounts.factors.challenges import Challenge, Pending
from manifest_auth.accounts.users import User
from manifest_auth.audit import Act, Event
from manifest_auth.errors import InvalidToken, MfaRequired, Refusal
from manifest_auth.protocols import webauthn
from manifest_auth.runtime.metrics import EntryPoint
from manifest_auth.services import RequestContext
from manifest_auth.sessions.sessions import MFA, Way, ways_of
from manifest_auth.sign_in import browser_identity, completion, exchange_codes, password, set_password
from manifest_auth.sign_in.browser_identity import BrowserCookies, Identity
from manifest_auth.sign_in.completion import Account, SignedIn
from manifest_auth.sign_in.passkeys import ceremonies
from manifest_auth.sign_in.password import Credentials
from manifest_auth.sign_in.second_factor import enrollment, gate
from manifest_auth.sign_in.second_factor.gate import OVER, Answer, Judged, check_answer, open_challenge, pending_of
from manifest_auth.sign_in.sign_in_metrics import counted, counts
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.tenants import Tenant, step_up
from manifest_auth.throttle import throttle
from manifest_auth.throttle.throttle import Counters, Wait

ENTRY_POINT: EntryPoint = "second_factor"


class Finished(NamedTuple):
    """The result of a correct code: a session, or a one-time code for an app. ``pending``: where the browser ends;
    ``trust``: a cookie to set; ``recovery_codes``: those of a first factor, shown once before a code is handed out
    (:func:`.exchange_codes.hand_out`); ``provider_id``: the provider of the sign-in."""

    account: Account
    pending: Pending
    signed_in: SignedIn | None = None
    code: str | None = None
    trust: str | None = None
    recovery_codes: tuple[str, ...] = ()
    provider_id: int | None = None


class _Attempt(NamedTuple):
    """A counted response, the ``number``-th to its challenge (``text``), or the time to ``wait``."""

    text: str
    challenge: Challenge
    tenant: Tenant
    user: User
    counters: Counters
    number: int = 0
    wait: Wait | None = None


@counts(password.METHOD)
async def sign_in(ctx: RequestContext, credentials: Credentials, otp: str | None, *, trust: bool) -> SignedIn:
    """Signs in a user with a password, and with a code if one is due and given. ``trust`` is the same as for
    :func:`continue_sign_in`. Raises the errors of :func:`.password.sign_in`, and InvalidToken."""
    proved = await password.prove(ctx, credentials)
    try:
        return await password.complete(ctx, proved)
    except MfaRequired as due:
        if otp is None or due.methods:  # a factor that must be enrolled has no code yet
            raise
        finished = await _go_on(ctx, due.challenge, Answer(otp=otp), credentials.browser, trust)
    assert finished.signed_in is not None, "the challenge was made for a session"
    return finished.signed_in


async def continue_sign_in(
    ctx: RequestContext, text: str, answer: Answer, browser: BrowserCookies, *, trust: bool = False
) -> Finished:
    """Completes a sign-in with the challenge of ``MFA_REQUIRED`` (``text``) and a response. ``trust``: skip the second
    factor in this browser for a while.

    Raises InvalidToken, TokenExpired, AccountDisabled, MfaRequired for a wrong response, RateLimited, ValidationError,
    Forbidden for a challenge of another client than the request names, Conflict if passwords were turned off.
    """
    answer.member  # noqa: B018 - raises ValidationError before anything is read
    if answer.passkey is not None or answer.new_passkey is not None:
        await webauthn.load()
    found, _, _ = await ctx.services.store.read(lambda unit: open_challenge(unit, ctx, text))
    done = _go_on(ctx, text, answer, browser, trust)
    return await counted(ctx, found.method, done, lambda end: "ok" if end.code is None else "code")


async def _go_on(ctx: RequestContext, text: str, answer: Answer, browser: BrowserCookies, trust: bool) -> Finished:
    services = ctx.services
    await services.keys.ensure_current()  # the new tokens are signed with a current key
    attempt = await services.store.write_quickly(lambda unit: _count(unit, ctx, text, browser))
    if attempt.wait is not None:
        raise services.throttle.refusal(ENTRY_POINT, attempt.wait)
    finished = await services.store.write_quickly(lambda unit: _judge(unit, ctx, attempt, answer, browser, trust))
    if finished.signed_in is not None:
        completion.log(ctx, attempt.tenant, attempt.user.id, attempt.challenge.method)
    return finished


def _count(unit: SystemUnit, ctx: RequestContext, text: str, browser: BrowserCookies) -> _Attempt:
    """Counts the response before it is checked: for the challenge, for the user, and for the user from this origin. The
    user's row is locked first, in the same order as when the response is checked."""
    challenge, tenant, user = open_challenge(unit, ctx, text, lock=True)
    bound = unit.of(tenant.id)
    counters = browser_identity.counters_of(bound, ctx, ENTRY_POINT, f"{tenant.id}:{user.id}", user.id, browser.devices)
    attempt = _Attempt(text=text, challenge=challenge, tenant=tenant, user=user, counters=counters)
    if wait := ctx.services.throttle.count(unit, counters, ctx.now):
        limits = ctx.services.anonymous_limits
        limits.record(bound, ctx, Event.THROTTLED, f"user:{user.id}", method=ENTRY_POINT, wait_ms=wait.ms)
        return attempt._replace(wait=wait)
    number = challenges.count_try(bound, challenge)
    if not number:
        raise InvalidToken(reason="the challenge has no attempts left", keeps_writes=True)
    return attempt._replace(number=number)


def _judge(
    unit: SystemUnit, ctx: RequestContext, attempt: _Attempt, answer: Answer, browser: BrowserCookies, trust: bool
) -> Finished:
    challenge, tenant, user = open_challenge(unit, ctx, attempt.text, lock=True)
    bound = unit.of(tenant.id)
    pending = pending_of(ctx, challenge)
    if why := exchange_codes.provider_refusal(bound, challenge.provider_id, user.id):
        raise InvalidToken(reason=why)
    codes: tuple[str, ...] = ()
    if challenge.enrols:
        step_up.proved_otherwise(ctx, Act.FACTORS)
        judged, codes = enrollment.confirm(unit, ctx, tenant, user, challenge, pending, answer)
    elif answer.passkey is not None:
        refused = ceremonies.judge(unit, ctx, user, pending.passkey, answer.passkey)
        judged = Judged(None if refused else "passkey", why=refused)
    else:
        judged = check_answer(bound, ctx, user, answer)
    if judged.way is None:
        raise _wrong(unit, ctx, attempt, answer, judged, challenge)
    if not challenges.use(bound, challenge, ctx.now) and not challenge.enrols:
        raise InvalidToken(reason=OVER)
    if ctx.services.throttle.is_on:
        throttle.succeeded(unit, attempt.counters)
    if judged.way == "recovery":
        audit.record(bound, ctx, Event.RECOVERY_CODE_USED, f"user:{user.id}")
        gate.recovery_code_used(bound, ctx, tenant, user)
    finished = _finish(unit, ctx, challenge, pending, judged.way, user, browser, waits=bool(codes))
    # This comes last, because a new password or a new factor ends existing trust.
    cookie = _trusted(bound, ctx, tenant, user, browser) if trust and judged.way != "recovery" else None
    signed_in = finished.signed_in
    if signed_in is not None:
        signed_in = signed_in._replace(trust=cookie, recovery_codes=codes)
    return finished._replace(signed_in=signed_in, trust=cookie, recovery_codes=codes, provider_id=challenge.provider_id)


def _trusted(unit: TenantUnit, ctx: RequestContext, tenant: Tenant, user: User, browser: BrowserCookies) -> str | None:
    days = tenants.settings_of(tenant.settings).second_factor.trusted_days
    if not days:
        return None
    cookie = trusted_browsers.trust(unit, ctx, ctx.services.random, user.id, days, browser.trust)
    audit.record(unit, ctx, Event.BROWSER_TRUSTED, f"user:{user.id}", days=days)
    return cookie


def _wrong(
    unit: SystemUnit, ctx: RequestContext, attempt: _Attempt, answer: Answer, judged: Judged, challenge: Challenge
) -> Refusal:
    bound, user = unit.of(attempt.tenant.id), attempt.user
    why = judged.why or f"{answer.member}: {'used before' if judged.replay else 'wrong'}"
    ctx.services.anonymous_limits.record(
        bound, ctx, Event.SECOND_FACTOR_FAILED, f"user:{user.id}", method=challenge.method, why=why, proved=True
    )
    if "pwd" in ways_of(challenge.amr):
        gate.wrong_code(bound, ctx, attempt.tenant, user)
    if attempt.number >= challenges.MOST_TRIES:
        challenges.use(bound, challenge, ctx.now)
        return InvalidToken(reason=f"{why}; the challenge ends", keeps_writes=True, replay=judged.replay)
    settings = tenants.settings_of(attempt.tenant.settings)
    left_s = max(0, (challenge.expires_at - ctx.now) // 1000)  # the challenge keeps its expiry
    methods = gate.methods_of(ctx, settings) if challenge.enrols else ()
    refusal = gate.asking(bound, ctx, user, attempt.text, why, left_s, methods)
    refusal.replay = judged.replay
    return refusal


def _finish(
    unit: SystemUnit,
    ctx: RequestContext,
    challenge: Challenge,
    pending: Pending,
    way: Way,
    user: User,
    browser: BrowserCookies,
    *,
    waits: bool,
) -> Finished:
    """Completes the pending sign-in, with the proof of both factors. ``waits``: recovery codes are shown before a
    code."""
    amr: tuple[Way, ...] = (*ways_of(challenge.amr), way, MFA)
    # Both factors are verified now; for a provider, only its own time counts. A new factor proves nothing.
    at = challenge.authenticated_at if challenge.provider_id is not None or challenge.enrols else ctx.now
    identity = Identity(
        challenge.method, user.id, amr, provider_id=challenge.provider_id, authenticated_at=at, needs_factor=False
    )
    counters = None
    if challenge.method == password.METHOD:
        account_name = password.account_of(tenants.get(unit, challenge.tenant_id), user.email)
        counters = browser_identity.counters_of(
            unit.of(challenge.tenant_id), ctx, password.ENTRY_POINT, account_name, user.id, browser.devices
        )
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
        signed_in = completion.open_session(unit, ctx, account, identity, browser, pending.return_to)
    return Finished(account, pending, signed_in)
