"""Signing in at an OpenID provider: the code flow with PKCE, state and nonce (OpenID Connect Core; RFC 9700).

The issuer comes from the stored provider, never from what comes back. What ``oidc`` hands over is verified; here it
becomes a :class:`Person`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, NamedTuple

from manifest_auth import base64url, oidc, providers
from manifest_auth.context import Context
from manifest_auth.errors import ProviderUnavailable, SsoFailed
from manifest_auth.metrics import Method
from manifest_auth.outgoing import Unreachable
from manifest_auth.providers import OidcSettings, Provider
from manifest_auth.sign_in import flows, known_refusals, matching, provider_flow
from manifest_auth.sign_in.counting import begun, counted
from manifest_auth.sign_in.finish import Browser
from manifest_auth.sign_in.flows import Begun, Flow
from manifest_auth.sign_in.known_refusals import START_AGAIN
from manifest_auth.sign_in.matching import Person
from manifest_auth.sign_in.provider_flow import Chosen, Outcome

METHOD: Method = "oidc"
CALLBACK = "/api/client/auth/oidc/callback"


class Returned(NamedTuple):
    """What the browser brought back; ``number``: of the provider, when its own callback address was used;
    ``description``: the provider's words about ``error``, which anybody can write."""

    state: str
    code: str
    iss: str | None
    error: str
    number: str
    description: str = ""


def callback_of(ctx: Context, provider: Provider) -> str:
    """The redirect address to register at the provider: from the configured public address, never from a header."""
    base = ctx.house.settings.public_url.rstrip("/") + CALLBACK
    return f"{base}/{provider.id}" if _settings(provider).own_callback else base


async def begin(ctx: Context, chosen: Chosen, login_hint: str) -> tuple[str, Begun]:
    """The address at the provider to go to. Raises ProviderUnavailable, SsoFailed."""
    provider = chosen.provider
    beginning = begin_at(ctx, chosen, registration_of(ctx, provider), callback_of(ctx, provider), login_hint)
    return await counted(ctx, METHOD, beginning, begun)


async def begin_at(
    ctx: Context, chosen: Chosen, registration: oidc.Registration, redirect_uri: str, login_hint: str
) -> tuple[str, Begun]:
    """As :func:`begin`, for every kind of provider that speaks OpenID Connect; counts nothing."""
    provider, house = chosen.provider, ctx.house
    try:
        found = await house.oidc.discover(registration.issuer, house.outgoing.deadline(provider.tenant_id))
    except Unreachable as error:
        raise ProviderUnavailable(reason=f"discovery: {error}") from error
    except oidc.Refused as error:
        raise await provider_flow.refuse(ctx, provider, error.reason, error.sentence) from error
    started = await provider_flow.begin(ctx, chosen)
    authorization = oidc.Authorization(
        state=started.state,
        nonce=started.nonce,
        challenge=base64url.encode(hashlib.sha256(started.verifier.encode()).digest()),
        redirect_uri=redirect_uri,
        login_hint=login_hint or None,
        prompt=None,
    )
    return house.oidc.authorization_address(found, registration, authorization), started


async def end(
    ctx: Context, returned: Returned, cookie_of: Callable[[str], str | None], browser: Browser
) -> tuple[Flow, Outcome]:
    """Judges what came back. Raises SsoFailed, AccountDisabled, ProviderUnavailable."""
    return await counted(ctx, METHOD, _end(ctx, returned, cookie_of, browser), lambda ended: ended[1].result)


async def _end(
    ctx: Context, returned: Returned, cookie_of: Callable[[str], str | None], browser: Browser
) -> tuple[Flow, Outcome]:
    flow, provider = await open_flow(ctx, METHOD, returned, cookie_of)
    person = await _redeem(ctx, provider, flow, returned)
    return flow, await provider_flow.complete(ctx, provider, person, browser, flow=flow, return_to=flow.return_to)


async def open_flow(
    ctx: Context, kind: str, returned: Returned, cookie_of: Callable[[str], str | None]
) -> tuple[Flow, Provider]:
    """The sign-in that an answer belongs to, used up. ``cookie_of``: from a cookie's name to its value.

    Raises SsoFailed. Until state and browser were found right nothing is used up, and until the address was, no call
    goes out.
    """
    house = ctx.house
    flow = await house.store.read(lambda unit: flows.find_by_state(unit, returned.state, ctx.now))
    if flow is None:
        raise SsoFailed(START_AGAIN, reason="state: unknown or expired")
    whose = (flow.tenant_id, flow.provider_id)
    if flow.is_used:
        refusal = SsoFailed(START_AGAIN, reason="state: used before", replay="oidc_state")
        raise await known_refusals.refuse(ctx, kind, *whose, refusal)
    if not flow.is_from(cookie_of(flow.cookie)):
        refusal = SsoFailed(known_refusals.other_browser(ctx), reason="state: of another browser")
        raise await known_refusals.refuse(ctx, kind, *whose, refusal)
    bound = house.store.of(flow.tenant_id)
    provider = await bound.read(lambda unit: providers.get_by_id(unit, flow.provider_id))
    if not await bound.write_quickly(lambda unit: flows.take(unit, flow)):
        refusal = SsoFailed(START_AGAIN, reason="state: used meanwhile", replay="oidc_state")
        raise await known_refusals.refuse(ctx, kind, *whose, refusal)
    if provider.kind != kind or returned.number != _number(provider):
        raise await provider_flow.refuse(ctx, provider, "the answer came to another callback address")
    if provider.disabled_at is not None:
        raise await provider_flow.refuse(ctx, provider, "provider is switched off")
    if returned.error or not returned.code:
        sentence = oidc.sentence_for(returned.error)
        why = oidc.with_number(returned.error[:100] or "no code", returned.description)
        raise await provider_flow.refuse(ctx, provider, f"redirect: {why}", sentence)
    return flow, provider


def _number(provider: Provider) -> str:
    """What the callback address carries."""
    settings = provider.rules.oidc
    return str(provider.id) if settings is not None and settings.own_callback else ""


async def _redeem(ctx: Context, provider: Provider, flow: Flow, returned: Returned) -> Person:
    settings = _settings(provider)
    nonce, verifier = flows.open_secrets(ctx.house.sealer, flow)
    answer = oidc.Answer(returned.code, verifier, nonce, callback_of(ctx, provider), returned.iss)
    wants = {"email", *([settings.group_claim] if provider.rules.group_roles else ())}
    try:
        deadline = ctx.house.outgoing.deadline(provider.tenant_id)
        claims = await ctx.house.oidc.redeem(registration_of(ctx, provider), answer, frozenset(wants - {""}), deadline)
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
        groups=matching.groups_of(claims, settings.group_claim),
        told=tuple(claims),
    )


def registration_of(ctx: Context, provider: Provider) -> oidc.Registration:
    """How this server is known at the provider."""
    settings = _settings(provider)
    secret = providers.open_secrets(ctx.house.sealer, provider).client_secret
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
