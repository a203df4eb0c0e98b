"""``/api/client/auth/identities``: the caller's identities at providers, and linking another one by consent."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from manifest_auth import providers
from manifest_auth.api.admin import lists
from manifest_auth.errors import (
    AccountDisabled,
    Conflict,
    NotFound,
    ProviderUnavailable,
    SsoFailed,
    ValidationError,
)
from manifest_auth.http import AUTH_LIMIT, Access, Answer, Call, Items, Paging, Route, Time, Wire, ok
from manifest_auth.http.sign_in_answer import set_flow_cookie
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import identities
from manifest_auth.sign_in.providers import entra
from manifest_auth.store import Filters, TenantUnit


class LinkBody(msgspec.Struct, frozen=True, rename="camel"):
    provider: Annotated[str, Meta(min_length=1, max_length=63)]
    return_to: Annotated[str, Meta(max_length=2000)] = ""


class TokenBody(msgspec.Struct, frozen=True):
    """``token``: an Entra ID access token of the person who is to be linked."""

    provider: Annotated[str, Meta(min_length=1, max_length=63)]
    token: Annotated[str, Meta(min_length=1, max_length=16 * 1024)]


class LinkData(Wire, frozen=True):
    location: str


class IdentityData(Wire, frozen=True):
    """``vouched``: at the last sign-in, the provider sent ``email`` as verified and listed its domain. ``confirmedBy``:
    the Admin who confirmed that the identity is the user's, as in the audit trail."""

    id: int
    provider: str
    display_name: str
    kind: str
    subject: str
    email: str
    how: str
    vouched: bool
    confirmed_at: Time | None
    confirmed_by: str | None
    created_at: Time
    last_sign_in_at: Time


class OwnIdentitiesQuery(Paging, frozen=True):
    """Query parameters of the list."""

    sort: Annotated[Literal["ID", "ID_DESC", "CREATED", "CREATED_DESC"], Meta(description="Order.")] = "ID"


class IdentitiesData(Items[IdentityData], frozen=True): ...


class Unlinked(Wire, frozen=True): ...


class Linked(Wire, frozen=True): ...


async def _list(ctx: RequestContext, call: Call[None]) -> IdentitiesData:
    def work(unit: TenantUnit) -> IdentitiesData:
        own = Filters(of_user=ctx.user.user_id)
        return lists.page(IdentitiesData, IdentityData.of, unit, providers.IDENTITIES, call.parameters, own)

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


_BASE = "/api/client/auth/identities"
ROUTES = (
    Route("GET", _BASE, _list, Access.CLIENT, "Your identities at providers", query=OwnIdentitiesQuery),
    Route("POST", _BASE, _link, Access.CLIENT, "Link another identity to your account: the address to send the "
                                               "browser to",
          limit=AUTH_LIMIT, refusals=(ValidationError, NotFound, Conflict, SsoFailed, ProviderUnavailable),
          operation="startLinkingIdentity"),
    Route("POST", f"{_BASE}/token", _link_by_token, Access.CLIENT, "Link the person of an Entra ID token to your "
                                                                   "account",
          limit=AUTH_LIMIT,
          refusals=(ValidationError, NotFound, Conflict, SsoFailed, AccountDisabled, ProviderUnavailable),
          operation="linkIdentityByToken"),
    Route("DELETE", f"{_BASE}/{{id}}", _unlink, Access.CLIENT, "Unlink one of your identities",
          limit=AUTH_LIMIT, refusals=(NotFound, Conflict)),
)  # fmt: skip
