"""``/api/admin/provider-names``: whose provider a name means for those who name no client."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from manifest_auth.api.admin import lists
from manifest_auth.api.admin.clients import by_name
from manifest_auth.api.admin.lists import Asked, Filters
from manifest_auth.errors import NotFound, ValidationError
from manifest_auth.http import Access, Answer, Call, Route, ok
from manifest_auth.services import RequestContext
from manifest_auth.store import SystemUnit
from manifest_auth.tenants.claims import names


class PinBody(msgspec.Struct, frozen=True):
    client: Annotated[str, Meta(min_length=1, max_length=63, description="Identifier or number of the client.")]


class PinData(msgspec.Struct, frozen=True):
    name: str
    client: str


class PinsData(msgspec.Struct, frozen=True, rename="camel"):
    items: tuple[PinData, ...]
    next_cursor: str | None


class PinsQuery(msgspec.Struct, frozen=True):
    """Query parameters of the list."""

    sort: Annotated[Literal["NAME", "NAME_DESC"], Meta(description="Order.")] = "NAME"


class Unpinned(msgspec.Struct, frozen=True):
    pass


async def _list(ctx: RequestContext, call: Call[None]) -> Answer:
    page, asked = call.page, call.parameters

    def work(unit: SystemUnit) -> lists.Rows[names.Pin]:
        return lists.read(
            unit,
            names.LISTING,
            Asked(page.first, page.after, asked.sort),
            Filters().search(page.q),
            value_of=lambda pin, _sort: pin.name,
        )

    found = await ctx.services.store.read(work)
    return ok({"items": [pin._asdict() for pin in found.items], "nextCursor": found.next_cursor})


async def _pin(ctx: RequestContext, call: Call[PinBody]) -> Answer:
    def work(unit: SystemUnit) -> names.Pin:
        return names.pin(unit, ctx, call.path["name"], by_name(unit, call.body.client))

    return ok((await ctx.services.store.write(work))._asdict())


async def _unpin(ctx: RequestContext, call: Call[None]) -> Answer:
    await ctx.services.store.write(lambda unit: names.unpin(unit, ctx, call.path["name"]))
    return ok({})


_BASE = "/api/admin/provider-names"
ROUTES = (
    Route("GET", _BASE, _list, Access.ADMIN, "Names of providers that mean one client's where no client is named",
          None, PinsData, paged=True, query=PinsQuery),
    Route("PUT", f"{_BASE}/{{name}}", _pin, Access.ADMIN, "Pin a provider's name to a client", PinBody, PinData,
          refusals=(ValidationError, NotFound)),
    Route("DELETE", f"{_BASE}/{{name}}", _unpin, Access.ADMIN, "Let a provider's name mean nobody's", None, Unpinned,
          refusals=(NotFound,)),
)  # fmt: skip
