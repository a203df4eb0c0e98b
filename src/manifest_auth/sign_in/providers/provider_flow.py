"""Start and completion of a sign-in at a provider, for all kinds of providers.

Completion is one unit of work: mark the flow as used, match the person, then open a session, issue a one-time code, or
link the identity.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, NamedTuple, TypeVar

from manifest_auth import sessions, tenants
from manifest_auth.accounts import users
from manifest_auth.accounts.factors.challenges import Pending
from manifest_auth.audit import Act, Event
from manifest_auth.errors import (
    AccountDisabled,
    Conflict,
    Marked,
    MfaRequired,
    Reason,
    Refusal,
    SsoFailed,
    ValidationError,
)
from manifest_auth.protocols.oidc import Callback
from manifest_auth.providers import Provider, sign_in_flows
from manifest_auth.providers.sign_in_flows import Flow, FlowRequest, StartedFlow
from manifest_auth.runtime.metrics import Result
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import completion, exchange_codes, return_addresses
from manifest_auth.sign_in.browser_identity import BrowserCookies
from manifest_auth.sign_in.completion import SignedIn
from manifest_auth.sign_in.providers import account_matching, provider_proofs
from manifest_auth.sign_in.providers.account_matching import LinkGrant, Person
from manifest_auth.sign_in.refusal_reasons import LONGEST_WHY, START_AGAIN, SUSPENDED, UNLISTED
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.tenants import Tenant, step_up
from manifest_auth.text.canonical import check_email
from manifest_auth.text.languages import marked as _
from manifest_auth.throttle import limits, throttle

T = TypeVar("T")
_MORE_ATTEMPTS = 3
_UNCONFIRMED = Reason(
    "no Admin has saved the return address that a User Admin added",
    cause="The user is an Admin, and the address is `unconfirmed`",
    cure="An Admin saves `returnAddresses` as it is, or removes the address",
)
_LINK_ENDED = Reason(
    "the session that requested the link has ended",
    cause="The user signed out before coming back",
    cure="Sign in, and link again",
)
_LINK_TOO_OLD = Reason(
    "the re-authentication for the link is too old",
    cause="The user returned more than ten minutes after they re-authenticated",
    cure="Link again, and re-authenticate when asked",
)


class ProviderChoice(NamedTuple):
    tenant: Tenant
    provider: Provider
    request: FlowRequest


class Outcome(NamedTuple):
    """The outcome of a sign-in at a provider. If neither ``signed_in`` nor ``code`` is set, an identity was linked, a
    provider tested, or a session re-authenticated."""

    return_to: str
    signed_in: SignedIn | None = None
    code: str | None = None
    is_try: bool = False
    is_proof: bool = False

    @property
    def result(self) -> Result:
        """The result's label in the metrics."""
        if self.is_try:
            return "tried"
        return "ok" if self.signed_in is not None or self.is_proof else "code" if self.code is not None else "linked"

    @classmethod
    def of_try(cls, flow: Flow) -> Outcome:
        return cls(flow.return_to, is_try=True)


async def begin(ctx: RequestContext, chosen: ProviderChoice, callback: Callback | None) -> StartedFlow:
    """Starts a flow, see :func:`.sign_in_flows.begin`. Raises RateLimited if anonymous callers started too many."""
    provider = chosen.provider

    def work(unit: TenantUnit) -> StartedFlow | throttle.Wait:
        is_anonymous = chosen.request.link_session_id is None
        if is_anonymous and (wait := ctx.services.anonymous_limits.count_start(unit, ctx, chosen.request.devices)):
            ctx.services.anonymous_limits.record(unit, ctx, Event.THROTTLED, "", method=provider.kind, wait_ms=wait.ms)
            return wait
        random, sealer = ctx.services.random, ctx.services.sealer
        return sign_in_flows.begin(
            unit, provider.id, chosen.request, callback, random=random, sealer=sealer, now=ctx.now
        )

    started = await ctx.services.store.of(provider.tenant_id).write_quickly(work)
    if isinstance(started, StartedFlow):
        return started
    raise ctx.services.throttle.refusal(limits.ENTRY_POINT, started)


def return_address(
    tenant: Tenant, provider: Provider | None, asked: str, response: str = "cookie", roles: int = 0
) -> str:
    """Returns where the browser ends, by the rules of the module ``return_addresses``. ``roles`` are those of the user
    who is already signed in. Raises ValidationError."""
    return return_addresses.choose(_listed(tenant, provider, roles), asked, response)


def _listed(tenant: Tenant, provider: Provider | None, roles: int) -> tuple[str, ...]:
    """Returns the listed addresses for a user with those roles."""
    of_provider = provider.rules.return_addresses if provider is not None else ()
    return (*of_provider, *tenants.return_addresses_for(tenants.settings_of(tenant.settings), roles))


class _Arrival(NamedTuple):
    """A person whom a provider identified, until the sign-in completes. :func:`complete` describes the members."""

    ctx: RequestContext
    provider: Provider
    person: Person
    browser: BrowserCookies
    flow: Flow | None
    return_to: str
    use: Callable[[TenantUnit], None] | None
    also: Callable[[TenantUnit, int], None] | None


async def complete(
    ctx: RequestContext,
    provider: Provider,
    person: Person,
    browser: BrowserCookies,
    *,
    flow: Flow | None,
    return_to: str,
    use: Callable[[TenantUnit], None] | None = None,
    also: Callable[[TenantUnit, int], None] | None = None,
) -> Outcome:
    """Completes the sign-in. ``use`` marks flow and assertion as used, in the same unit of work, or raises SsoFailed.
    ``also`` stores more about the user whose ID it gets. A test sign-in stores nothing more.

    Raises SsoFailed, AccountDisabled.
    """
    if flow is not None and flow.is_try:
        await provider_proofs.complete_try(ctx, provider, person, flow, browser, use)
        return Outcome.of_try(flow)
    if flow is not None and flow.is_reauthentication:
        came_from = flow.return_to

        def is_listed(unit: SystemUnit, roles: int) -> bool:
            listed = _listed(tenants.get(unit, provider.tenant_id), provider, roles)
            return return_addresses.is_allowed(listed, came_from)

        await provider_proofs.complete_reauthentication(ctx, provider, person, flow, use, is_listed)
        return Outcome(return_to, is_proof=True)
    arrival = _Arrival(
        ctx=ctx, provider=provider, person=person, browser=browser, flow=flow, return_to=return_to, use=use, also=also
    )
    if flow is not None and flow.link_session_id is not None:
        await retry_conflicts(
            lambda: ctx.services.store.write(lambda unit: _store(unit, arrival, _match(unit, arrival)))
        )
        return Outcome(return_to)
    if flow is not None and flow.response == "code":
        pending = Pending("code", flow.return_to, "code", flow.challenge)
        work: Callable[[SystemUnit], Any] = partial(_end, arrival, pending, exchange_codes.complete_for_code)
        _account, code = await retry_conflicts(lambda: ctx.services.store.write(work))
        return Outcome(return_to, code=code)
    work = partial(_end, arrival, Pending(return_to=return_to), completion.complete_sign_in)
    return Outcome(return_to, signed_in=await retry_conflicts(lambda: completion.run(ctx, provider.kind, work)))


def _match(unit: SystemUnit, arrival: _Arrival) -> int:
    """Returns the user who has this identity. Raises SsoFailed, AccountDisabled, which are recorded."""
    ctx, provider, flow, bound = arrival.ctx, arrival.provider, arrival.flow, unit.of(arrival.provider.tenant_id)
    if flow is not None and flow.link_session_id is None:
        ctx.services.anonymous_limits.finished(bound, ctx)
    try:
        if arrival.use is not None:
            arrival.use(bound)
        tenant = tenants.get(unit, provider.tenant_id)
        if tenant.suspended_at is not None:  # before any user is created or changed
            suspended = AccountDisabled(reason=SUSPENDED, client=tenant.identifier)
            record(bound, ctx, provider, suspended)
            raise suspended
        if flow is not None and not return_addresses.is_allowed(_listed(tenant, provider, 0), flow.return_to):
            raise SsoFailed(reason=UNLISTED)
        user = account_matching.match(bound, ctx, provider, arrival.person, _link_grant(unit, ctx, provider, flow))
        if arrival.return_to and not return_addresses.is_allowed(
            _listed(tenant, provider, user.roles), arrival.return_to
        ):
            raise SsoFailed(reason=_UNCONFIRMED)
    except SsoFailed as refusal:
        with contextlib.suppress(ValidationError):
            refusal.email = check_email(arrival.person.email or "")
        record(bound, ctx, provider, refusal, proved=True)
        raise
    return user.id


def _end(arrival: _Arrival, pending: Pending, end: Callable[..., T], unit: SystemUnit) -> T:
    """Returns the result of ``end`` for the person: a session or a code. A refusal keeps earlier writes, so values that
    a provider sent for later are stored after completion, or if only a second factor is due."""
    ctx, provider = arrival.ctx, arrival.provider
    identity = provider_proofs.identity_of(provider, _match(unit, arrival), arrival.person, ctx.now)
    try:
        done = end(unit, ctx, provider.tenant_id, identity, arrival.browser, pending)
    except MfaRequired:
        _store(unit, arrival, identity.user_id)
        raise
    _store(unit, arrival, identity.user_id)
    return done


def _store(unit: SystemUnit, arrival: _Arrival, user_id: int) -> None:
    if arrival.also is not None:
        arrival.also(unit.of(arrival.provider.tenant_id), user_id)


async def retry_conflicts(work: Callable[[], Awaitable[T]]) -> T:
    """Repeats ``work`` on Conflict, when two sign-ins of a new person happen at the same moment and the second finds
    what the first created. A person can be new twice, as a user and at the provider."""
    for _attempt in range(_MORE_ATTEMPTS):
        with contextlib.suppress(Conflict):
            return await work()
    return await work()


def _link_grant(unit: SystemUnit, ctx: RequestContext, provider: Provider, flow: Flow | None) -> LinkGrant:
    if flow is None:
        return LinkGrant()
    if flow.link_session_id is None:
        return LinkGrant(None, flow.invitation_id)
    return consent(unit, ctx, provider, flow.link_session_id)


def consent(unit: SystemUnit, ctx: RequestContext, provider: Provider, session_id: str) -> LinkGrant:
    """Checks the consent of the session's user, who is locked. Raises SsoFailed if the session has ended, or its
    re-authentication is no longer recent, so that a flow cannot finish long after it."""
    session = sessions.read(unit, session_id)
    if session is not None and session.tenant_id == provider.tenant_id:
        users.get(unit.of(session.tenant_id), session.user_id, lock=True)
        session = sessions.read(unit, session_id)  # read again, now that nothing ends it before the link exists
    if session is None or not session.is_alive(ctx.now) or session.tenant_id != provider.tenant_id:
        raise SsoFailed(_("You're no longer signed in"), reason=_LINK_ENDED)
    if not step_up.has_proved(session, Act.IDENTITIES, ctx.now):
        raise SsoFailed(START_AGAIN, reason=_LINK_TOO_OLD)
    return LinkGrant(session.user_id, None)


def record(
    unit: TenantUnit, ctx: RequestContext, provider: Provider, refusal: Refusal, *, proved: bool = False
) -> None:
    """Records why a sign-in was rejected. ``proved``: the provider had identified the person."""
    event = Event.SIGN_IN_REFUSED if isinstance(refusal, AccountDisabled) else Event.SIGN_IN_FAILED
    detail: dict[str, Any] = {"method": provider.kind, "provider": provider.id, "why": refusal.reason[:LONGEST_WHY]}
    if isinstance(refusal, SsoFailed) and refusal.email:
        detail["email"] = refusal.email
    ctx.services.anonymous_limits.record(unit, ctx, event, "", proved=proved, **detail)


async def refuse(ctx: RequestContext, provider: Provider, reason: Reason, sentence: Marked | None = None) -> SsoFailed:
    """Records a refusal outside completion, and returns it for the caller to raise."""
    refusal = SsoFailed(sentence, reason=reason)
    await ctx.services.store.of(provider.tenant_id).write(lambda unit: record(unit, ctx, provider, refusal))
    return refusal
