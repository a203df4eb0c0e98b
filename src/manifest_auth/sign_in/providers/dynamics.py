"""Signing in with Microsoft Dynamics: the code flow at the client's directory, then Dataverse says who this is.

The ID token is checked as any other (v2.0 issuer of the directory, audience, nonce). ``WhoAmI`` is asked with the token
that came with it: only somebody who is a user of the organisation's environment gets further.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from manifest_auth import providers
from manifest_auth.errors import ProviderUnavailable, SsoFailed
from manifest_auth.protocols import oidc
from manifest_auth.protocols.microsoft import Cloud, NoMember, Organization, Refused, Throttled
from manifest_auth.providers import DynamicsSettings, Provider, sign_in_flows
from manifest_auth.providers.sign_in_flows import Begun, Flow
from manifest_auth.runtime.metrics import Method
from manifest_auth.runtime.outgoing import Unreachable
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.completion import Browser
from manifest_auth.sign_in.providers import flow as provider_flow
from manifest_auth.sign_in.providers import microsoft_person
from manifest_auth.sign_in.providers import oidc as openid
from manifest_auth.sign_in.providers.account_matching import Person
from manifest_auth.sign_in.providers.flow import Chosen, Outcome
from manifest_auth.sign_in.providers.oidc import Returned
from manifest_auth.sign_in.sign_in_metrics import begun, counted
from manifest_auth.store import TenantUnit

METHOD: Method = "dynamics"
PATH = "/api/client/auth/ms-dynamics"
CALLBACK = f"{PATH}/callback"
_NO_MEMBER = "You are not a user of the organisation in Dynamics"


def callback_of(ctx: RequestContext) -> str:
    """The redirect address to register in the app registration: one for all, since all of them have one authorisation
    server."""
    return ctx.services.settings.public_url.rstrip("/") + CALLBACK


async def begin(ctx: RequestContext, chosen: Chosen, login_hint: str) -> tuple[str, Begun]:
    """The address at the directory's authority. Raises ProviderUnavailable, SsoFailed."""
    addresses = oidc.CallbackAddresses(callback_of(ctx))
    beginning = openid.begin_at(ctx, chosen, registration_of(ctx, chosen.provider), addresses, login_hint)
    return await counted(ctx, METHOD, beginning, begun)


async def end(
    ctx: RequestContext, returned: Returned, cookie_of: Callable[[str], str | None], browser: Browser
) -> tuple[Flow, Outcome]:
    """Judges what came back. Raises SsoFailed, AccountDisabled, ProviderUnavailable."""
    return await counted(ctx, METHOD, _end(ctx, returned, cookie_of, browser), lambda ended: ended[1].result)


async def _end(
    ctx: RequestContext, returned: Returned, cookie_of: Callable[[str], str | None], browser: Browser
) -> tuple[Flow, Outcome]:
    flow, provider = await openid.open_flow(
        ctx, METHOD, lambda asked: registration_of(ctx, asked).issuer, returned, cookie_of
    )
    settings = _settings(provider)
    person, tokens = await _ask(ctx, provider, settings, flow, returned)

    def also(unit: TenantUnit, user_id: int) -> None:
        if settings.keep_tokens:
            providers.keep_tokens(unit, ctx.services.sealer, provider, user_id, tokens, ctx.now)

    return flow, await provider_flow.complete(
        ctx, provider, person, browser, flow=flow, return_to=flow.return_to, also=also
    )


async def _ask(
    ctx: RequestContext, provider: Provider, settings: DynamicsSettings, flow: Flow, returned: Returned
) -> tuple[Person, bytes]:
    services = ctx.services
    cloud, deadline = microsoft_person.cloud_of(ctx, settings), services.outgoing.deadline(provider.tenant_id)
    nonce, verifier = sign_in_flows.open_secrets(services.sealer, flow)
    answer = oidc.Answer(returned.code, verifier, nonce, flow.redirect_uri)
    try:
        redeemed = await services.oidc.redeem_tokens(registration_of(ctx, provider), answer, frozenset(), deadline)
        if redeemed.claims.get("tid") != settings.directory:
            raise Refused("tid: of another directory")
        person = microsoft_person.person_of(redeemed.claims, settings)
        found = await services.microsoft.who_am_i(redeemed.access_token, settings.organization, cloud, deadline)
    except Unreachable as error:
        await provider_flow.refuse(ctx, provider, f"unreachable: {error}")
        wait = error.seconds if isinstance(error, Throttled) else None
        raise ProviderUnavailable(reason=str(error), retry_after=wait) from error
    except oidc.Refused as error:
        raise await provider_flow.refuse(ctx, provider, error.reason, error.sentence) from error
    except SsoFailed as error:
        raise await provider_flow.refuse(ctx, provider, error.reason, oidc.SET_UP) from error
    except Refused as error:
        sentence = _NO_MEMBER if isinstance(error, NoMember) else oidc.SET_UP
        raise await provider_flow.refuse(ctx, provider, str(error), sentence) from error
    kept = msgspec.json.encode({"access_token": redeemed.access_token, "refresh_token": redeemed.refresh_token})
    return person._replace(aliases=(_alias(found),)), kept


def registration_of(ctx: RequestContext, provider: Provider) -> oidc.Registration:
    """How this server is known at the directory: its scope asks for a token for the organisation's environment."""
    settings = _settings(provider)
    cloud: Cloud = microsoft_person.cloud_of(ctx, settings)
    scopes = ["openid", "profile", "email", f"{settings.organization.rstrip('/')}/user_impersonation"]
    if settings.keep_tokens:
        scopes.append("offline_access")
    secret = providers.open_secrets(ctx.services.sealer, provider).client_secret
    issuer = cloud.issuer_v2(settings.directory)
    how = "post" if secret else "none"
    return oidc.Registration(issuer, settings.client_id, secret, tuple(scopes), how, settings.audiences)


def _alias(found: Organization) -> str:
    """The Dataverse user, as a second subject of the same person."""
    return f"{providers.ALIAS}{found.organization_id}:{found.user_id}"


def _settings(provider: Provider) -> DynamicsSettings:
    found = provider.rules.dynamics
    if found is None:
        raise SsoFailed(reason="the provider is of another kind")
    return found
