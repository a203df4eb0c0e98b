"""The code flow with PKCE, state and nonce (OpenID Connect Core; RFC 9700), for every kind of provider that sends
browsers back with ``state`` and ``code``."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple

from manifest_auth import providers
from manifest_auth.errors import ProviderUnavailable, SsoFailed
from manifest_auth.protocols import oidc
from manifest_auth.protocols.microsoft import Throttled
from manifest_auth.protocols.oidc import CallbackAddresses
from manifest_auth.providers import Provider, sign_in_flows
from manifest_auth.providers.sign_in_flows import Begun, Flow
from manifest_auth.runtime.outgoing import Unreachable
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import known_refusals
from manifest_auth.sign_in.completion import Browser
from manifest_auth.sign_in.known_refusals import START_AGAIN
from manifest_auth.sign_in.providers import flow as provider_flow
from manifest_auth.sign_in.providers import tries
from manifest_auth.sign_in.providers.flow import Chosen, Outcome
from manifest_auth.sign_in.providers.kind import Beginning, CookieOf
from manifest_auth.text import base64url

_ELSEWHERE = "the answer came to another callback address"


class Returned(NamedTuple):
    """What the browser brought back; ``came_to``: the callback address that it brought it to; ``description``: the
    provider's words about ``error``, which anybody can write."""

    state: str
    code: str
    iss: str | None
    error: str
    came_to: str
    description: str = ""


async def begin_at(
    ctx: RequestContext, chosen: Chosen, registration: oidc.Registration, addresses: CallbackAddresses, login_hint: str
) -> Beginning:
    """The address at the provider to go to. Raises ProviderUnavailable, SsoFailed."""
    provider, services = chosen.provider, ctx.services
    try:
        found = await services.oidc.discover(registration.issuer, services.outgoing.deadline(provider.tenant_id))
    except Unreachable as error:
        raise ProviderUnavailable(reason=f"discovery: {error}") from error
    except oidc.Refused as error:
        raise await provider_flow.refuse(ctx, provider, error.reason, error.sentence) from error
    callback = addresses.chosen(found)
    started = await provider_flow.begin(ctx, chosen, callback)
    authorization = authorization_of(started, callback.redirect_uri, login_hint=login_hint or None)
    return Beginning(started, services.oidc.authorization_address(found, registration, authorization))


def authorization_of(
    begun: Begun, redirect_uri: str, *, login_hint: str | None = None, prompt: str | None = None
) -> oidc.Authorization:
    """What the browser asks the provider for."""
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
async def asking(ctx: RequestContext, provider: Provider) -> AsyncIterator[None]:
    """Calls to the provider while its answer is judged: what fails is recorded. Raises ProviderUnavailable,
    SsoFailed."""
    try:
        yield
    except Unreachable as error:
        await provider_flow.refuse(ctx, provider, f"unreachable: {error}")
        wait = error.seconds if isinstance(error, Throttled) else None
        raise ProviderUnavailable(reason=str(error), retry_after=wait) from error
    except oidc.Refused as error:
        raise await provider_flow.refuse(ctx, provider, error.reason, error.sentence) from error


async def end_at(
    ctx: RequestContext,
    method: str,
    issuer_of: Callable[[Provider], str],
    returned: Returned,
    cookie_of: CookieOf,
    browser: Browser,
    judge: Callable[[Flow, Provider], Awaitable[Outcome]],
) -> tuple[Flow, Outcome]:
    """What comes of an answer: ``judge`` says it of a code that the provider gave for a sign-in of this browser. Raises
    what that does, SsoFailed."""
    flow, provider = await _open_flow(ctx, method, issuer_of, returned, cookie_of)

    async def judged() -> Outcome:
        if provider.disabled_at is not None and not flow.is_try:
            raise await provider_flow.refuse(ctx, provider, "provider is switched off")
        if returned.error or not returned.code:
            sentence = oidc.sentence_for(returned.error)
            why = oidc.with_number(returned.error[:100] or "no code", returned.description)
            raise await provider_flow.refuse(ctx, provider, f"redirect: {why}", sentence)
        return await judge(flow, provider)

    return flow, await tries.told(ctx, flow, provider, browser, judged, Outcome.of_try(flow))


async def _open_flow(
    ctx: RequestContext,
    method: str,
    issuer_of: Callable[[Provider], str],
    returned: Returned,
    cookie_of: CookieOf,
) -> tuple[Flow, Provider]:
    """The sign-in that an answer belongs to, used up.

    Raises SsoFailed. Until state, browser, callback address and issuer were found right nothing is used up and no call
    goes out. The issuer is the one that was asked: with other settings of the provider the flow would be gone.
    """
    services = ctx.services
    flow = await services.store.read(lambda unit: sign_in_flows.find_by_state(unit, returned.state, ctx.now))
    if flow is None:
        raise SsoFailed(START_AGAIN, reason="state: unknown or expired")
    whose = (flow.tenant_id, flow.provider_id)
    if flow.is_used:
        refusal = SsoFailed(START_AGAIN, reason="state: used before", replay="oidc_state")
        raise await known_refusals.refuse(ctx, method, *whose, refusal)
    if not flow.is_from(cookie_of(flow.cookie)):
        refusal = SsoFailed(known_refusals.other_browser(ctx), reason="state: of another browser")
        raise await known_refusals.refuse(ctx, method, *whose, refusal)
    bound = services.store.of(flow.tenant_id)
    provider = await bound.read(lambda unit: providers.get_by_id(unit, flow.provider_id))
    if not flow.callback.fits(returned.came_to, returned.iss, lambda: issuer_of(provider)):
        raise await provider_flow.refuse(ctx, provider, _ELSEWHERE)
    if not await bound.write_quickly(lambda unit: sign_in_flows.take(unit, flow)):
        refusal = SsoFailed(START_AGAIN, reason="state: used meanwhile", replay="oidc_state")
        raise await known_refusals.refuse(ctx, method, *whose, refusal)
    return flow, provider
