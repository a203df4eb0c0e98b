"""Start and completion of a sign-in at a provider, for all kinds of providers.

Completion is one unit of work: mark the flow as used, match the person, then open a session, issue a one-time code, or
link the identity.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, NamedTuple, TypeVar

from manifest_auth import sessions, tenants
from manifest_auth.accounts import users
from manifest_auth.accounts.factors.challenges import Pending
from manifest_auth.audit import Act, Event
from manifest_auth.errors import AccountDisabled, Conflict, MfaRequired, Refusal, SsoFailed, ValidationError
from manifest_auth.protocols.oidc import Callback
from manifest_auth.providers import Provider, sign_in_flows
from manifest_auth.providers.sign_in_flows import Flow, FlowRequest, StartedFlow
from manifest_auth.runtime.metrics import Result
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import completion, exchange_codes, return_addresses
from manifest_auth.sign_in.completion import SignedIn
from manifest_auth.sign_in.early_refusals import LONGEST_WHY, START_AGAIN
from manifest_auth.sign_in.identity import BrowserCookies
from manifest_auth.sign_in.providers import (
    account_matching,
    provider_factors,
    provider_reauthentication,
    provider_tries,
)
from manifest_auth.sign_in.providers.account_matching import LinkGrant, Person
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.tenants import Tenant, step_up
from manifest_auth.throttle import anonymous_limits, throttle

T = TypeVar("T")
_MORE_ATTEMPTS = 3
SUSPENDED = "the client is suspended"


class ProviderChoice(NamedTuple):
    tenant: Tenant
    provider: Provider
    request: FlowRequest


class Outcome(NamedTuple):
    """How a sign-in at a provider ended. Neither ``signed_in`` nor ``code``: an identity was linked, a provider
    tried, or a session proved anew."""

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
    """A new flow, see :func:`.sign_in_flows.begin`. Raises RateLimited where anonymous callers started too many."""
    provider = chosen.provider

    def work(unit: TenantUnit) -> StartedFlow | throttle.Wait:
        is_anonymous = chosen.request.link_session_id is None
        if is_anonymous and (wait := ctx.services.anonymous_limits.count_start(unit, ctx, chosen.request.devices)):
            ctx.services.anonymous_limits.record(unit, ctx, Event.THROTTLED, "", method=provider.kind, wait_ms=wait.ms)
            return wait
        tools = ctx.services
        return sign_in_flows.begin(
            unit, provider.id, chosen.request, callback, random=tools.random, sealer=tools.sealer, now=ctx.now
        )

    started = await ctx.services.store.of(provider.tenant_id).write_quickly(work)
    if isinstance(started, StartedFlow):
        return started
    raise ctx.services.throttle.refusal(anonymous_limits.ENTRY_POINT, started)


def return_address(
    tenant: Tenant, provider: Provider | None, asked: str, response: str = "cookie", roles: int = 0
) -> str:
    """Where the browser ends, by the rules of the module ``return_addresses``. ``roles``: of who is signed in already.
    Raises ValidationError."""
    return return_addresses.choose(_listed(tenant, provider, roles), asked, response)


def _listed(tenant: Tenant, provider: Provider | None, roles: int) -> tuple[str, ...]:
    """The addresses that count for a user with those roles."""
    of_provider = provider.rules.return_addresses if provider is not None else ()
    return (*of_provider, *tenants.return_addresses_for(tenants.settings_of(tenant.settings), roles))


def unsolicited_return_address(tenant: Tenant, provider: Provider, asked: str) -> str:
    """As :func:`return_address`, for a sign-in that began at the provider. Raises SsoFailed."""
    try:
        return return_address(tenant, provider, asked)
    except ValidationError as error:
        raise SsoFailed(reason=f"RelayState: {asked[:200]!r} is not a listed return address") from error


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
    """Completes the sign-in. ``use`` marks flow and assertion as used, in the same unit of work, or raises SsoFailed;
    ``also`` stores more about the user whose id it gets. Of a try nothing more is stored.

    Raises SsoFailed, AccountDisabled.
    """

    if flow is not None and flow.is_try:
        await provider_tries.complete(ctx, provider, person, flow, browser, use)
        return Outcome.of_try(flow)
    if flow is not None and flow.is_reauthentication:

        def is_listed(unit: SystemUnit, roles: int) -> bool:
            tenant = tenants.get(unit, provider.tenant_id)
            return return_addresses.is_allowed(_listed(tenant, provider, roles), flow.return_to)

        await provider_reauthentication.complete(ctx, provider, person, flow, use, is_listed)
        return Outcome(return_to, is_proof=True)

    def matched(unit: SystemUnit) -> int:
        bound = unit.of(provider.tenant_id)
        if flow is not None and flow.link_session_id is None:
            ctx.services.anonymous_limits.finished(bound, ctx)
        try:
            if use is not None:
                use(bound)
            tenant = tenants.get(unit, provider.tenant_id)
            if tenant.suspended_at is not None:  # before any user is created or changed
                suspended = AccountDisabled(reason=SUSPENDED, client=tenant.identifier)
                record(bound, ctx, provider, suspended)
                raise suspended
            if flow is not None and not return_addresses.is_allowed(_listed(tenant, provider, 0), flow.return_to):
                raise SsoFailed(reason="the return address was taken off the list meanwhile")
            user = account_matching.match(bound, ctx, provider, person, _link_grant(unit, ctx, provider, flow))
            if return_to and not return_addresses.is_allowed(_listed(tenant, provider, user.roles), return_to):
                raise SsoFailed(reason="no Admin has saved the return address, which a User Admin added")
        except SsoFailed as refusal:
            record(bound, ctx, provider, refusal, proved=True)
            raise
        return user.id

    @contextlib.contextmanager
    def stored_unless_refused(unit: SystemUnit, user_id: int) -> Iterator[None]:
        """A refusal keeps earlier writes: ``also`` runs after the completion, or where only a second factor is due."""
        try:
            yield
        except MfaRequired:
            store(unit, user_id)
            raise
        store(unit, user_id)

    def store(unit: SystemUnit, user_id: int) -> None:
        if also is not None:
            also(unit.of(provider.tenant_id), user_id)

    if flow is not None and flow.link_session_id is not None:
        await retry_conflicts(lambda: ctx.services.store.write(lambda unit: store(unit, matched(unit))))
        return Outcome(return_to)
    if flow is not None and flow.response == "code":

        def coded(unit: SystemUnit) -> str:
            user_id = matched(unit)
            with stored_unless_refused(unit, user_id):
                return _code(unit, ctx, provider, person, user_id, flow, browser)

        return Outcome(return_to, code=await retry_conflicts(lambda: ctx.services.store.write(coded)))

    def complete_with_session(unit: SystemUnit) -> SignedIn:
        identity = provider_factors.identity_of(provider, matched(unit), person, ctx.now)
        with stored_unless_refused(unit, identity.user_id):
            pending = Pending(return_to=return_to)
            return completion.complete_sign_in(unit, ctx, provider.tenant_id, identity, browser, pending)

    return Outcome(
        return_to, signed_in=await retry_conflicts(lambda: completion.run(ctx, provider.kind, complete_with_session))
    )


async def retry_conflicts(work: Callable[[], Awaitable[T]]) -> T:
    """Repeats ``work`` on Conflict: two sign-ins of a new person at the same moment; the second finds what the first
    created. A person may be new twice, as a user and at the provider."""
    for _ in range(_MORE_ATTEMPTS):
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
    """The consent of the session's user, who is locked. Raises SsoFailed when the session has ended, or its proof is no
    longer recent: what began with a proof is not finished long after it."""
    session = sessions.read(unit, session_id)
    if session is not None and session.tenant_id == provider.tenant_id:
        users.get(unit.of(session.tenant_id), session.user_id, lock=True)
        session = sessions.read(unit, session_id)  # again, now that nothing ends it before the link is there
    if session is None or not session.is_alive(ctx.now) or session.tenant_id != provider.tenant_id:
        raise SsoFailed("You are not signed in any more", reason="the session that asked for the link has ended")
    if not step_up.has_proved(session, Act.IDENTITIES, ctx.now):
        raise SsoFailed(START_AGAIN, reason="the proof of who asked for the link is too old")
    return LinkGrant(session.user_id, None)


def _code(
    unit: SystemUnit, ctx: RequestContext, provider: Provider, person: Person, user_id: int, flow: Flow,
    browser: BrowserCookies,
) -> str:  # fmt: skip
    bound, identity = unit.of(provider.tenant_id), provider_factors.identity_of(provider, user_id, person, ctx.now)
    pending = Pending("code", flow.return_to, "code", flow.challenge)
    account = completion.check(unit, ctx, provider.tenant_id, identity, browser, pending)
    return exchange_codes.issue(bound, ctx, identity, account.proof, flow.challenge)


def record(
    unit: TenantUnit, ctx: RequestContext, provider: Provider, refusal: Refusal, *, proved: bool = False
) -> None:
    """Records why a sign-in was refused. ``proved``: the provider had identified the person."""
    event = Event.SIGN_IN_REFUSED if isinstance(refusal, AccountDisabled) else Event.SIGN_IN_FAILED
    detail: dict[str, Any] = {"method": provider.kind, "provider": provider.id, "why": refusal.reason[:LONGEST_WHY]}
    ctx.services.anonymous_limits.record(unit, ctx, event, "", proved=proved, **detail)


async def refuse(ctx: RequestContext, provider: Provider, reason: str, sentence: str | None = None) -> SsoFailed:
    """Records a refusal outside completion; returns it, for the caller to raise."""
    refusal = SsoFailed(sentence, reason=reason)
    bound = ctx.services.store.of(provider.tenant_id)
    await bound.write(lambda unit: record(unit, ctx, provider, refusal))
    return refusal
