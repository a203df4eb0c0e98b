"""Signing in at an OpenID provider: the code flow with PKCE, state and nonce (OpenID Connect Core; RFC 9700).

The issuer comes from the stored provider, never from what comes back. What ``oidc`` hands over is verified; here it
becomes a :class:`Person`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, NamedTuple

from manifest_auth import providers
from manifest_auth.errors import ProviderUnavailable, SsoFailed
from manifest_auth.protocols import oidc
from manifest_auth.protocols.oidc import CallbackAddresses
from manifest_auth.providers import OidcSettings, Provider, sign_in_flows
from manifest_auth.providers.sign_in_flows import Begun, Flow
from manifest_auth.runtime.metrics import Method
from manifest_auth.runtime.outgoing import Unreachable
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import known_refusals
from manifest_auth.sign_in.completion import Browser
from manifest_auth.sign_in.known_refusals import START_AGAIN
from manifest_auth.sign_in.providers import account_matching
from manifest_auth.sign_in.providers import flow as provider_flow
from manifest_auth.sign_in.providers.account_matching import Person
from manifest_auth.sign_in.providers.flow import Chosen, Outcome
from manifest_auth.sign_in.sign_in_metrics import begun, counted
from manifest_auth.text import base64url

METHOD: Method = "oidc"
CALLBACK = "/api/client/auth/oidc/callback"
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


def shared_callback(ctx: RequestContext) -> str:
    """The callback address of all providers that are marked for it and announce ``iss``."""
    return ctx.services.settings.public_url.rstrip("/") + CALLBACK


def own_callback(ctx: RequestContext, client: str, provider: str) -> str:
    """The callback address of one provider of one client, made of their names, which never change: known before either
    side is set up. From the configured public address, never from a header."""
    return f"{shared_callback(ctx)}/{client}/{provider}"


def callbacks_of(ctx: RequestContext, client: str, provider: Provider) -> CallbackAddresses:
    """The addresses that the provider may send browsers to; ``client``: identifier of the provider's client."""
    shared = shared_callback(ctx) if _settings(provider).shared_callback else None
    return CallbackAddresses(own_callback(ctx, client, provider.name), shared)


async def begin(ctx: RequestContext, chosen: Chosen, login_hint: str) -> tuple[str, Begun]:
    """The address at the provider to go to. Raises ProviderUnavailable, SsoFailed."""
    provider = chosen.provider
    addresses = callbacks_of(ctx, chosen.tenant.identifier, provider)
    beginning = begin_at(ctx, chosen, registration_of(ctx, provider), addresses, login_hint)
    return await counted(ctx, METHOD, beginning, begun)


async def begin_at(
    ctx: RequestContext, chosen: Chosen, registration: oidc.Registration, addresses: CallbackAddresses, login_hint: str
) -> tuple[str, Begun]:
    """As :func:`begin`, for every kind of provider that speaks OpenID Connect; counts nothing."""
    provider, services = chosen.provider, ctx.services
    try:
        found = await services.oidc.discover(registration.issuer, services.outgoing.deadline(provider.tenant_id))
    except Unreachable as error:
        raise ProviderUnavailable(reason=f"discovery: {error}") from error
    except oidc.Refused as error:
        raise await provider_flow.refuse(ctx, provider, error.reason, error.sentence) from error
    callback = addresses.chosen(found)
    started = await provider_flow.begin(ctx, chosen, callback)
    authorization = oidc.Authorization(
        state=started.state,
        nonce=started.nonce,
        challenge=base64url.encode(hashlib.sha256(started.verifier.encode()).digest()),
        redirect_uri=callback.redirect_uri,
        login_hint=login_hint or None,
        prompt=None,
    )
    return services.oidc.authorization_address(found, registration, authorization), started


async def end(
    ctx: RequestContext, returned: Returned, cookie_of: Callable[[str], str | None], browser: Browser
) -> tuple[Flow, Outcome]:
    """Judges what came back. Raises SsoFailed, AccountDisabled, ProviderUnavailable."""
    return await counted(ctx, METHOD, _end(ctx, returned, cookie_of, browser), lambda ended: ended[1].result)


async def _end(
    ctx: RequestContext, returned: Returned, cookie_of: Callable[[str], str | None], browser: Browser
) -> tuple[Flow, Outcome]:
    flow, provider = await open_flow(ctx, METHOD, lambda asked: _settings(asked).issuer, returned, cookie_of)
    person = await _redeem(ctx, provider, flow, returned)
    return flow, await provider_flow.complete(ctx, provider, person, browser, flow=flow, return_to=flow.return_to)


async def open_flow(
    ctx: RequestContext,
    method: Method,
    issuer_of: Callable[[Provider], str],
    returned: Returned,
    cookie_of: Callable[[str], str | None],
) -> tuple[Flow, Provider]:
    """The sign-in that an answer belongs to, used up. ``cookie_of``: from a cookie's name to its value.

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
    if provider.disabled_at is not None:
        raise await provider_flow.refuse(ctx, provider, "provider is switched off")
    if returned.error or not returned.code:
        sentence = oidc.sentence_for(returned.error)
        why = oidc.with_number(returned.error[:100] or "no code", returned.description)
        raise await provider_flow.refuse(ctx, provider, f"redirect: {why}", sentence)
    return flow, provider


async def _redeem(ctx: RequestContext, provider: Provider, flow: Flow, returned: Returned) -> Person:
    settings = _settings(provider)
    nonce, verifier = sign_in_flows.open_secrets(ctx.services.sealer, flow)
    answer = oidc.Answer(returned.code, verifier, nonce, flow.redirect_uri)
    wants = {"email", *([settings.group_claim] if provider.rules.group_roles else ())}
    try:
        deadline = ctx.services.outgoing.deadline(provider.tenant_id)
        claims = await ctx.services.oidc.redeem(
            registration_of(ctx, provider), answer, frozenset(wants - {""}), deadline
        )
    except Unreachable as error:
        await provider_flow.refuse(ctx, provider, f"unreachable: {error}")
        raise ProviderUnavailable(reason=str(error)) from error
    except oidc.Refused as error:
        raise await provider_flow.refuse(ctx, provider, error.reason, error.sentence) from error
    return person_of(claims, settings)


def person_of(claims: dict[str, Any], settings: OidcSettings) -> Person:
    """The person of verified claims."""
    email, verified = claims.get("email"), claims.get("email_verified")
    if isinstance(verified, str):  # some providers write booleans as text
        verified = {"true": True, "false": False}.get(verified.lower())
    if not isinstance(verified, bool):
        verified = True if settings.trust_email and "email_verified" not in claims else None
    first, last = _text(claims.get("given_name")), _text(claims.get("family_name"))
    if not first and not last:
        first, _, last = _text(claims.get("name")).partition(" ")
    return Person(
        subject=claims["sub"],
        email=email if isinstance(email, str) and email else None,
        vouched=verified,
        first_name=first,
        last_name=last,
        groups=account_matching.groups_of(claims, settings.group_claim),
        told=tuple(claims),
    )


def registration_of(ctx: RequestContext, provider: Provider) -> oidc.Registration:
    """How this server is known at the provider."""
    settings = _settings(provider)
    secret = providers.open_secrets(ctx.services.sealer, provider).client_secret
    return oidc.Registration(
        settings.issuer,
        settings.client_id,
        secret,
        settings.scopes,
        settings.client_authentication,
        settings.audiences,
    )


def _settings(provider: Provider) -> OidcSettings:
    found = provider.rules.oidc
    if found is None:
        raise SsoFailed(reason="the provider is of another kind")
    return found


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
