"""Requests of this server to SAML providers (SAML 2.0 profiles, section 4.1).

A posted request has a page with its own address, which only the browser that started the sign-in may open: the answer
to a POST can name an address, but carry no page.
"""

from __future__ import annotations

import base64

from manifest_auth import providers, tenants
from manifest_auth.errors import Conflict, SsoFailed
from manifest_auth.providers import Provider, sign_in_flows
from manifest_auth.providers.sign_in_flows import Flow
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.providers import provider_factors, provider_flow
from manifest_auth.sign_in.providers.kind import CookieOf, SignInStart
from manifest_auth.sign_in.providers.provider_flow import ProviderChoice
from manifest_auth.sign_in.providers.saml_settings import START, SamlSettings, acs, entity_id
from manifest_auth.store import SystemUnit

FORM = f"{START}/form"


async def begin(ctx: RequestContext, chosen: ProviderChoice) -> SignInStart:
    """The address to go to, and for the POST binding a page that posts the request. Raises RateLimited, and Conflict
    where an identity is to be linked at a provider without a redirect address."""
    own, is_link = chosen.provider.own(SamlSettings), chosen.request.is_link
    if is_link and not own.redirect_url:
        raise Conflict("Linking needs the provider's redirect binding")
    started = await provider_flow.begin(ctx, chosen, None)
    client, request_id, state = chosen.tenant.identifier, started.request_id, started.state
    force = chosen.request.is_reauthentication
    if own.binding != "post" or is_link:
        from manifest_auth.protocols import saml

        request, key, _ = _request(ctx, chosen.provider, client, request_id, own.redirect_url, force=force)
        return SignInStart(started, saml.redirect_address(own.redirect_url, request, state, key))
    form = f"{ctx.services.settings.public_url.rstrip('/')}{FORM}?state={state}"
    return SignInStart(started, form, _page(ctx, chosen.provider, client, request_id, state, force=force))


async def page_of(ctx: RequestContext, state: str, cookie_of: CookieOf) -> tuple[bytes, str]:
    """The page that posts the request, and its content security policy. Raises SsoFailed for a flow of another browser,
    or one that needs no page."""

    def work(unit: SystemUnit) -> tuple[Flow, Provider, str]:
        flow = sign_in_flows.find_by_state(unit, state, ctx.now)
        if flow is None or not flow.is_from(cookie_of(flow.cookie)):
            raise SsoFailed(reason="no open request of this browser")
        provider = providers.get_by_id(unit.of(flow.tenant_id), flow.provider_id)
        return flow, provider, tenants.get(unit, flow.tenant_id).identifier

    flow, provider, client = await ctx.services.store.read(work)
    if flow.request_id is None or not provider.own(SamlSettings).post_url:
        raise SsoFailed(reason="the provider takes no posted requests")
    return _page(ctx, provider, client, flow.request_id, state, force=flow.is_reauthentication)


def _page(
    ctx: RequestContext, provider: Provider, client: str, request_id: str, state: str, *, force: bool
) -> tuple[bytes, str]:
    from manifest_auth.protocols import saml

    destination = provider.own(SamlSettings).post_url
    request, key, certificate = _request(ctx, provider, client, request_id, destination, force=force)
    return saml.post_page(destination, request, state, key, certificate)


def _request(
    ctx: RequestContext, provider: Provider, client: str, request_id: str, destination: str, *, force: bool
) -> tuple[bytes, bytes | None, bytes | None]:
    """The request, and this server's key and certificate where requests are signed. ``force``: the person must
    authenticate anew."""
    from manifest_auth.protocols import saml

    contexts = provider_factors.contexts_of(provider.rules)
    request = saml.authn_request(request_id, ctx.now, destination, entity_id(ctx, client), acs(ctx), force, contexts)
    if not provider.own(SamlSettings).sign_requests:
        return request, None, None
    secrets = providers.open_secrets(ctx.services.sealer, provider)
    return request, secrets.keys[0].encode(), base64.b64decode(secrets.certificates[0])
