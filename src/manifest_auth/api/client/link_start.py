"""``/api/client/auth/link/start``: an invited person signs in at a provider.

The token is sent in a body, so that no address, log or redirect contains it.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from manifest_auth.accounts.one_time_links import Purpose
from manifest_auth.api.client.identities import LinkData
from manifest_auth.api.client.one_time_links import Token
from manifest_auth.errors import (
    Forbidden,
    InvalidToken,
    NotFound,
    ProviderUnavailable,
    SsoFailed,
    ValidationError,
)
from manifest_auth.http import AUTH_LIMIT, Access, Answer, Call, Route, ok, page
from manifest_auth.http.cookies import browser_of
from manifest_auth.http.sign_in_answer import set_flow_cookie
from manifest_auth.providers import Provider
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import early_refusals, set_password
from manifest_auth.sign_in.providers import saml_requests
from manifest_auth.sign_in.providers.kinds import KINDS
from manifest_auth.sign_in.providers.provider_choice import StartRequest, choose
from manifest_auth.store import SystemUnit
from manifest_auth.tenants import Tenant


class StartBody(msgspec.Struct, frozen=True):
    token: Token
    provider: Annotated[str, Meta(min_length=1, max_length=63, description="Its name, as `link` lists it.")]


class FormQuery(msgspec.Struct, frozen=True):
    state: Annotated[str, Meta(max_length=500, description="Of the sign-in that this browser started.")] = ""


async def _start(ctx: RequestContext, call: Call[StartBody]) -> Answer[LinkData]:
    body, head, public = call.body, call.head, ctx.services.settings.public_url
    if ctx.client_hint.subdomain is not None:  # the flow's cookie would not come back
        raise ValidationError(details=[("Host", f"Begin at {public}, where providers answer")])

    def work(unit: SystemUnit) -> tuple[Tenant, Provider | None]:
        found = set_password.find(unit, ctx, body.token, Purpose.INVITATION)
        return found.tenant, next((p for p in set_password.ways(unit, found) if p.name == body.provider), None)

    tenant, provider = await ctx.services.store.read(work)
    ctx.client_hint.check(tenant.identifier, tenant.id, "link")
    kind = KINDS[provider.kind] if provider is not None else None
    if provider is None or kind is None or not kind.start:
        missing = NotFound(reason="no such provider for an invited person")
        raise await early_refusals.refuse(ctx, "link", tenant.id, None, missing)
    asked = StartRequest(
        provider=provider.name,
        client=tenant.identifier,
        return_to="",
        response="cookie",
        challenge="",
        invitation=body.token,
        devices=browser_of(ctx, head).devices,
    )
    beginning = await kind.begin(ctx, await choose(ctx, kind, asked), "")
    return ok(LinkData(beginning.address), headers=(set_flow_cookie(ctx, beginning.begun, cross_site=kind.cross_site),))


async def _form(ctx: RequestContext, call: Call[None]) -> Answer[None]:
    body, policy = await saml_requests.page_of(ctx, call.parameters.state, call.head.cookie)
    return page(body, policy)


ROUTES = (
    Route("POST", "/api/client/auth/link/start", _start, Access.OPEN,
          "Sign in at a provider with an invitation: the address to send the browser to", limit=AUTH_LIMIT,
          refusals=(ValidationError, InvalidToken, Forbidden, NotFound, SsoFailed, ProviderUnavailable),
          operation="startSignInWithLink"),
    Route("GET", saml_requests.FORM, _form, Access.OPEN,
          "The page that posts a request to a provider, see `link/start`", query=FormQuery,
          sends=("text/html",), refusals=(ValidationError, SsoFailed), operation="getSamlForm"),
)  # fmt: skip
