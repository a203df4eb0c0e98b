"""The authorization code flow with PKCE, state and nonce (OpenID Connect Core; RFC 9700).

It is shared by every kind of provider that sends browsers back with ``state`` and ``code``.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple

from manifest_auth import providers
from manifest_auth.errors import ProviderUnavailable, Reason, Refusal, SsoFailed
from manifest_auth.protocols import oidc
from manifest_auth.protocols.microsoft import Throttled
from manifest_auth.protocols.oidc import CallbackAddresses
from manifest_auth.providers import Provider, sign_in_flows
from manifest_auth.providers.sign_in_flows import TRY, Flow, StartedFlow
from manifest_auth.runtime.outgoing import NotPublic, Unreachable
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import early_refusals
from manifest_auth.sign_in.browser_identity import BrowserCookies
from manifest_auth.sign_in.early_refusals import (
    OTHER_BROWSER,
    START_AGAIN,
    STATE_TAKEN,
    STATE_UNKNOWN,
    STATE_USED,
    SWITCHED_OFF,
)
from manifest_auth.sign_in.providers import provider_factors, provider_flow, provider_tries
from manifest_auth.sign_in.providers.kind import CookieOf, SignInStart
from manifest_auth.sign_in.providers.provider_flow import Outcome, ProviderChoice
from manifest_auth.text import base64url

_UNREACHABLE = Reason(
    "unreachable: …",
    cause="the provider was down, slow, redirected, or at an address that may not be called; where a User Admin saved "
    "it last, only a test by an Admin says which",
    cure="`test`; [`MANIFEST_OUTGOING_PRIVATE`](../settings.md)",
)
_WITHHELD = "a test by an Admin says why"


class CallbackParams(NamedTuple):
    """Parameters of the callback. ``callback_address``: the address that was called; ``description``:
    ``error_description``, which anyone can write."""

    state: str
    code: str
    iss: str | None
    error: str
    callback_address: str
    description: str = ""


async def start_code_flow(
    ctx: RequestContext,
    chosen: ProviderChoice,
    registration: oidc.Registration,
    addresses: CallbackAddresses,
    login_hint: str,
) -> SignInStart:
    """The address at the provider to send the browser to. Raises ProviderUnavailable, SsoFailed."""
    provider, services = chosen.provider, ctx.services
    try:
        found = await services.oidc.discover(registration.issuer, services.outgoing.deadline(provider.tenant_id))
    except (Unreachable, oidc.OidcRefused) as error:
        raise await _not_begun(ctx, chosen, error) from error
    callback = addresses.chosen(found)
    started = await provider_flow.begin(ctx, chosen, callback)
    authorization = authorization_of(started, callback.redirect_uri, login_hint=login_hint or None)
    of_microsoft = services.microsoft.clouds.directory_of(registration.issuer) is not None
    authorization = provider_factors.asking(authorization, provider.rules, of_microsoft=of_microsoft)
    if chosen.request.is_reauthentication:  # both: each is ignored or removed somewhere
        authorization = authorization._replace(prompt="login", max_age=0)
    return SignInStart(started, services.oidc.authorization_address(found, registration, authorization))


async def _not_begun(ctx: RequestContext, chosen: ProviderChoice, error: Unreachable | oidc.OidcRefused) -> Refusal:
    """Records why a person could not be sent to the provider; the refusal, to raise. A try has an event of its own."""
    provider = chosen.provider
    refusal: Refusal = ProviderUnavailable(reason=f"discovery: {error}")
    told: Refusal = ProviderUnavailable(reason=_UNREACHABLE.with_(_WITHHELD).text)
    if not _is_withheld(ctx, provider, error):
        if isinstance(error, oidc.OidcRefused):
            refusal = SsoFailed(error.sentence, reason=error.reason)
        told = refusal
    if chosen.request.response != TRY:
        bound = ctx.services.store.of(provider.tenant_id)
        await bound.write(lambda unit: provider_flow.record(unit, ctx, provider, told))
    return refusal


def _is_withheld(ctx: RequestContext, provider: Provider, error: Unreachable | oidc.OidcRefused) -> bool:
    """Whether the audit trail withholds why a server did not answer as it should. A User Admin chose the address, and
    reads the trail: it must not be a scan of the operator's network."""
    may_be_private = isinstance(error, NotPublic) or any(ctx.services.settings.private_targets)
    return not provider.reaches_admins and may_be_private


def authorization_of(
    begun: StartedFlow, redirect_uri: str, *, login_hint: str | None = None, prompt: str | None = None
) -> oidc.Authorization:
    """The parameters of the authorization request."""
    challenge = base64url.encode(hashlib.sha256(begun.verifier.encode()).digest())
    return oidc.Authorization(
        state=begun.state,
        nonce=begun.nonce,
        challenge=challenge,
        redirect_uri=redirect_uri,
        login_hint=login_hint,
        prompt=prompt,
    )


@contextlib.asynccontextmanager
async def calling_provider(ctx: RequestContext, provider: Provider) -> AsyncIterator[None]:
    """Wraps calls to the provider: failures are recorded, and become ProviderUnavailable or SsoFailed."""
    try:
        yield
    except Unreachable as error:
        why = _WITHHELD if _is_withheld(ctx, provider, error) else error
        await provider_flow.refuse(ctx, provider, _UNREACHABLE.with_(why))
        wait = error.seconds if isinstance(error, Throttled) else None
        raise ProviderUnavailable(reason=str(error), retry_after=wait) from error
    except oidc.OidcRefused as error:
        raise await provider_flow.refuse(ctx, provider, error.reason, error.sentence) from error


async def end_code_flow(
    ctx: RequestContext,
    method: str,
    issuer_of: Callable[[Provider], str],
    returned: CallbackParams,
    cookie_of: CookieOf,
    browser: BrowserCookies,
    judge: Callable[[Flow, Provider], Awaitable[Outcome]],
) -> tuple[Flow, Outcome]:
    """The flow of a callback, and its outcome: ``judge`` decides on a code that the provider issued for a sign-in of
    this browser. Raises SsoFailed and what ``judge`` raises."""
    flow, provider = await _open_flow(ctx, method, issuer_of, returned, cookie_of)

    async def judged() -> Outcome:
        await _check_address(ctx, flow, provider, issuer_of, returned)
        if provider.disabled_at is not None and not flow.is_try:
            raise await provider_flow.refuse(ctx, provider, SWITCHED_OFF)
        if returned.error or not returned.code:
            why = oidc.redirect_reason(returned.error, returned.description)
            raise await provider_flow.refuse(ctx, provider, why, oidc.sentence_for(returned.error))
        return await judge(flow, provider)

    return flow, await provider_tries.recorded(ctx, flow, provider, browser, judged, Outcome.of_try(flow))


async def _open_flow(
    ctx: RequestContext,
    method: str,
    issuer_of: Callable[[Provider], str],
    returned: CallbackParams,
    cookie_of: CookieOf,
) -> tuple[Flow, Provider]:
    """The flow that an answer belongs to, marked as used, and its provider.

    Raises SsoFailed. Before state, browser, callback address and issuer are verified, nothing is marked as used and no
    request goes out. The issuer is the one of the start: changing it would have deleted the flow.
    """
    services = ctx.services
    flow = await services.store.read(lambda unit: sign_in_flows.find_by_state(unit, returned.state, ctx.now))
    if flow is None:
        raise SsoFailed(START_AGAIN, reason=STATE_UNKNOWN)
    owner = (flow.tenant_id, flow.provider_id)
    if flow.is_used:
        refusal = SsoFailed(START_AGAIN, reason=STATE_USED, replay="oidc_state")
        raise await early_refusals.refuse(ctx, method, *owner, refusal)
    if not flow.is_from(cookie_of(flow.cookie)):
        refusal = SsoFailed(early_refusals.other_browser(ctx), reason=OTHER_BROWSER)
        raise await early_refusals.refuse(ctx, method, *owner, refusal)
    bound = services.store.of(flow.tenant_id)
    provider = await bound.read(lambda unit: providers.get_by_id(unit, flow.provider_id))
    if not flow.is_try:  # of a try it is a result
        await _check_address(ctx, flow, provider, issuer_of, returned)
    if not await bound.write_quickly(lambda unit: sign_in_flows.take(unit, flow)):
        refusal = SsoFailed(START_AGAIN, reason=STATE_TAKEN, replay="oidc_state")
        raise await early_refusals.refuse(ctx, method, *owner, refusal)
    return flow, provider


async def _check_address(
    ctx: RequestContext,
    flow: Flow,
    provider: Provider,
    issuer_of: Callable[[Provider], str],
    returned: CallbackParams,
) -> None:
    """Raises SsoFailed for an answer at another callback address, or of another issuer."""
    if not flow.callback.matches(returned.callback_address, returned.iss, lambda: issuer_of(provider)):
        raise await provider_flow.refuse(ctx, provider, oidc.ELSEWHERE)
