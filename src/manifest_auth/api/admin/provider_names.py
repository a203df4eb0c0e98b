"""``/api/admin/provider-names``: which client a provider's name means in requests that name no client."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from manifest_auth import tenants
from manifest_auth.api.admin import lists
from manifest_auth.errors import NotFound, ValidationError
from manifest_auth.http import Access, Call, Items, Page, Route, Wire
from manifest_auth.services import RequestContext
from manifest_auth.store import Filters, SystemUnit
from manifest_auth.tenants.claims import pinned_names


class PinBody(msgspec.Struct, frozen=True):
    client: Annotated[str, Meta(min_length=1, max_length=63, description="Identifier or number of the client.")]


class PinData(Wire, frozen=True):
    name: str
    client: str


class PinsData(Items[PinData], frozen=True): ...


class PinsQuery(Page, frozen=True):
    """Query parameters of the list."""

    sort: Annotated[Literal["NAME", "NAME_DESC"], Meta(description="Order.")] = "NAME"


class Unpinned(Wire, frozen=True): ...


async def _list(ctx: RequestContext, call: Call[None]) -> PinsData:
    asked: PinsQuery = call.parameters
    filters = Filters().search(asked.q)
    return await ctx.services.store.read(
        lambda unit: lists.page(PinsData, PinData.of, unit, pinned_names.LISTING, asked, filters)
    )


async def _pin(ctx: RequestContext, call: Call[PinBody]) -> PinData:
    def work(unit: SystemUnit) -> pinned_names.Pin:
        return pinned_names.pin(unit, ctx, call.path["name"], tenants.get_named(unit, call.body.client))

    return PinData.of(await ctx.services.store.write(work))


async def _unpin(ctx: RequestContext, call: Call[None]) -> Unpinned:
    await ctx.services.store.write(lambda unit: pinned_names.unpin(unit, ctx, call.path["name"]))
    return Unpinned()


_BASE = "/api/admin/provider-names"
ROUTES = (
    Route("GET", _BASE, _list, Access.ADMIN, "Provider names that are pinned to a client",
          query=PinsQuery),
    Route("PUT", f"{_BASE}/{{name}}", _pin, Access.ADMIN, "Pin a provider's name to a client",
          refusals=(ValidationError, NotFound)),
    Route("DELETE", f"{_BASE}/{{name}}", _unpin, Access.ADMIN, "Unpin a provider's name",
          refusals=(NotFound,)),
)  # fmt: skip
