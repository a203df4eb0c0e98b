"""``/api/client/auth``: providers of an address, SAML metadata, and the exchange of one-time codes."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from manifest_auth import providers, tenants
from manifest_auth.errors import (
    AccountDisabled,
    Forbidden,
    NotFound,
    SsoFailed,
    ValidationError,
)
from manifest_auth.http import (
    AUTH_LIMIT,
    NO_STORE,
    Access,
    Answer,
    Call,
    Header,
    Route,
    Wire,
)
from manifest_auth.http.cookies import browser_of
from manifest_auth.http.sign_in_answer import ClientQuery, Name, SignInData, signed_in_answer
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import exchange_codes
from manifest_auth.sign_in.providers import kinds, saml, saml_requests
from manifest_auth.sign_in.providers.kinds import start_address
from manifest_auth.store import SystemUnit
from manifest_auth.text import fields
from manifest_auth.text.languages import marked as _

_METADATA: Header = (b"content-type", b"application/samlmetadata+xml; charset=utf-8")


class MetadataQuery(msgspec.Struct, frozen=True):
    client: Name = ""
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
        raise ValidationError(details=[("client", _("Required"))])

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
    client = ctx.client_hint.resolve(call.parameters.client)
    found = await kinds.discover(ctx, call.body.email, client)
    ways = tuple(
        WireWayIn.of(way, client_id=way.client, url=start_address(ctx, way.client, way.kind, way.name))
        for way in found.providers
    )
    return DiscoverData(found.client or None, found.password, ways)


_BASE = "/api/client/auth"
ROUTES = (
    Route("POST", f"{_BASE}/discover", _discover, Access.OPEN, "How an e-mail address can sign in",
          limit=AUTH_LIMIT, query=ClientQuery, operation="discoverProviders"),
    Route("GET", f"{saml_requests.START}/metadata", _saml_metadata, Access.OPEN,
          "This server's SAML metadata for a client",
          query=MetadataQuery, sends=("application/samlmetadata+xml",), refusals=(ValidationError, NotFound),
          operation="getSamlMetadata"),
    Route("POST", f"{_BASE}/exchange", _exchange, Access.OPEN, "Get tokens for a one-time code",
          limit=AUTH_LIMIT, refusals=(SsoFailed, AccountDisabled, Forbidden), operation="exchangeCode"),
)  # fmt: skip
