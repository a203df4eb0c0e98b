"""Identity providers of the caller: discovery, SAML metadata, the exchange of one-time codes, and linked identities."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from manifest_auth import providers, tenants
from manifest_auth.api.admin import lists
from manifest_auth.audit.acts import Act
from manifest_auth.errors import (
    AccountDisabled,
    Conflict,
    Forbidden,
    NotFound,
    ProviderUnavailable,
    SsoFailed,
    ValidationError,
)
from manifest_auth.http import AUTH_LIMIT, NO_STORE, Access, Answer, Call, Header, Items, Route, Wire, ok
from manifest_auth.http.cookies import browser_of
from manifest_auth.http.sign_in_answer import ClientQuery, Name, SignInData, set_flow_cookie, signed_in_answer
from manifest_auth.providers.identities import IdentityData
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import exchange_codes, identities
from manifest_auth.sign_in.providers import entra, kinds, saml, saml_requests
from manifest_auth.sign_in.providers.kinds import start_address
from manifest_auth.store import Filters, SystemUnit, TenantUnit
from manifest_auth.text import fields
from manifest_auth.text.models import REQUIRED


class LinkBody(msgspec.Struct, frozen=True, rename="camel"):
    provider: Annotated[str, Meta(min_length=1, max_length=63)]
    return_to: Annotated[str, Meta(max_length=2000)] = ""


class TokenBody(msgspec.Struct, frozen=True):
    """``token``: an Entra ID access token of the person to link."""

    provider: Annotated[str, Meta(min_length=1, max_length=63)]
    token: Annotated[str, Meta(min_length=1, max_length=16 * 1024)]


class LinkData(Wire, frozen=True):
    location: str


class Unlinked(Wire, frozen=True): ...


class Linked(Wire, frozen=True): ...


async def _list(ctx: RequestContext, call: Call[None]) -> Items[IdentityData]:
    def work(unit: TenantUnit) -> Items[IdentityData]:
        return lists.listed(unit, providers.IDENTITIES, call.parameters, Filters(of_user=ctx.user.user_id))

    return await ctx.store.read(work)


async def _link(ctx: RequestContext, call: Call[LinkBody]) -> Answer[LinkData]:
    started = await identities.begin_linking(ctx, call.body.provider, call.body.return_to)
    return ok(LinkData(started.address), headers=(set_flow_cookie(ctx, started.begun, cross_site=started.cross_site),))


async def _link_by_token(ctx: RequestContext, call: Call[TokenBody]) -> Linked:
    await entra.link(ctx, call.body.provider, call.body.token)
    return Linked()


async def _unlink(ctx: RequestContext, call: Call[None]) -> Unlinked:
    await ctx.store.write(lambda unit: identities.unlink_own(unit, ctx, call.id()))
    return Unlinked()


_IDENTITY_BASE = "/api/client/auth/identities"
IDENTITY_ROUTES = (
    Route("GET", _IDENTITY_BASE, _list, Access.CLIENT, "List your identities at providers",
          query=lists.query(providers.IDENTITIES.sorts, "ID", q=False)),
    Route("POST", _IDENTITY_BASE, _link, Access.CLIENT,
          "Link another identity to your account; returns the URL to send the browser to",
          limit=AUTH_LIMIT, refusals=(ValidationError, NotFound, Conflict, SsoFailed, ProviderUnavailable),
          operation="startLinkingIdentity", asks=Act.IDENTITIES),
    Route("POST", f"{_IDENTITY_BASE}/token", _link_by_token, Access.CLIENT,
          "Link the user of an Entra ID token to your account",
          limit=AUTH_LIMIT,
          refusals=(ValidationError, NotFound, Conflict, SsoFailed, AccountDisabled, ProviderUnavailable),
          operation="linkIdentityByToken", asks=Act.IDENTITIES),
    Route("DELETE", f"{_IDENTITY_BASE}/{{id}}", _unlink, Access.CLIENT, "Unlink one of your identities",
          limit=AUTH_LIMIT, refusals=(NotFound, Conflict), asks=Act.IDENTITIES),
)  # fmt: skip


_METADATA: Header = (b"content-type", b"application/samlmetadata+xml; charset=utf-8")


class MetadataQuery(ClientQuery, frozen=True):
    provider: Annotated[Name, Meta(description="Only the keys of this provider.")] = ""


class ExchangeBody(msgspec.Struct, frozen=True, rename="camel"):
    code: fields.Token
    code_verifier: Annotated[str, Meta(max_length=128)] = ""


class DiscoverBody(msgspec.Struct, frozen=True):
    email: fields.Email


class WireWayIn(Wire, frozen=True):
    name: str
    display_name: str
    kind: str
    client_id: str
    url: str


class DiscoverData(Wire, frozen=True):
    client_id: str | None
    password: bool
    providers: tuple[WireWayIn, ...]


async def _saml_metadata(ctx: RequestContext, call: Call[None]) -> Answer[None]:
    q: MetadataQuery = call.parameters
    client = ctx.client_hint.resolve(q.client)
    if client is None:
        raise ValidationError(details=[("client", REQUIRED)])

    def work(unit: SystemUnit) -> tuple[str, list[providers.Provider]]:
        tenant = tenants.find(unit, client)
        if tenant is None or tenant.suspended_at is not None:
            raise NotFound()
        listed = [p for p in providers.list_all(unit.of(tenant.id)) if p.kind == saml.KIND.name]
        fitting = [p for p in listed if q.provider in ("", p.name)]
        if q.provider and not fitting:
            raise NotFound()
        return tenant.identifier, fitting

    identifier, found = await ctx.services.store.read(work)
    return Answer(200, saml.metadata(ctx, identifier, found), (_METADATA, NO_STORE))


async def _exchange(ctx: RequestContext, call: Call[ExchangeBody]) -> Answer[SignInData]:
    body, browser = call.body, browser_of(ctx, call.head)
    return signed_in_answer(ctx, await exchange_codes.exchange(ctx, body.code, body.code_verifier, browser))


async def _discover(ctx: RequestContext, call: Call[DiscoverBody]) -> DiscoverData:
    found = await kinds.discover(ctx, call.body.email, ctx.client_hint.resolve(call.parameters.client))
    ways = tuple(
        WireWayIn.of(way, client_id=way.client, url=start_address(ctx, way.client, way.kind, way.name))
        for way in found.providers
    )
    return DiscoverData(found.client or None, found.password, ways)


_EXCHANGE_BASE = "/api/client/auth"
SIGN_IN_ROUTES = (
    Route("POST", f"{_EXCHANGE_BASE}/discover", _discover, Access.OPEN, "Get the sign-in methods of an email address",
          limit=AUTH_LIMIT, query=ClientQuery, operation="discoverProviders"),
    Route("GET", f"{saml_requests.START}/metadata", _saml_metadata, Access.OPEN,
          "Get the server's SAML metadata for a client",
          query=MetadataQuery, sends=("application/samlmetadata+xml",), refusals=(ValidationError, NotFound),
          operation="getSamlMetadata"),
    Route("POST", f"{_EXCHANGE_BASE}/exchange", _exchange, Access.OPEN, "Get tokens for a one-time code",
          limit=AUTH_LIMIT, refusals=(SsoFailed, AccountDisabled, Forbidden), operation="exchangeCode"),
)  # fmt: skip
