"""``/api/admin/throttles``: system admins list and clear the throttle's active counters."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from manifest_auth.api.admin import lists
from manifest_auth.errors import NotFound
from manifest_auth.http import AUTH_LIMIT, Access, Call, Items, Paging, Route, Time, Wire
from manifest_auth.operations import clear_throttles
from manifest_auth.services import RequestContext
from manifest_auth.store import Filters
from manifest_auth.text import fields
from manifest_auth.text.canonical import ADDRESS
from manifest_auth.text.json_schema import having, matching, none_of
from manifest_auth.throttle import throttle


class ThrottlesQuery(Paging, frozen=True):
    """Query parameters of the list."""

    sort: Annotated[
        Literal["ID", "ID_DESC", "ALLOWED", "ALLOWED_DESC", "FAILURES", "FAILURES_DESC"], Meta(description="Order.")
    ] = "ALLOWED_DESC"


class ClearBody(msgspec.Struct, frozen=True):
    """What to clear: an account of a client (`client` and `email`), a system admin (`username`), an `address`, or the
    attempts on an account from an address."""

    MORE_SCHEMA: ClassVar = {
        "dependentRequired": {"client": ["email"], "email": ["client"]},
        **none_of(having("username", "email"), {"maxProperties": 0}),
    }

    client: Annotated[str, Meta(min_length=1, max_length=63)] | UnsetType = UNSET
    email: fields.Email | UnsetType = UNSET
    username: Annotated[str, fields.USERNAME.meta] | UnsetType = UNSET
    address: Annotated[str, Meta(min_length=2, max_length=45, extra_json_schema=matching(ADDRESS))] | UnsetType = UNSET


class ThrottleData(Wire, frozen=True):
    """A counter that blocks attempts now. ``id`` is a hash: account and address are not stored."""

    id: str
    failures: int
    allowed_at: Time
    updated_at: Time


class ThrottlesData(Items[ThrottleData], frozen=True): ...


class Cleared(Wire, frozen=True):
    cleared: int


async def _list(ctx: RequestContext, call: Call[None]) -> ThrottlesData:
    asked: ThrottlesQuery = call.parameters
    filters = Filters(now=ctx.now)
    return await ctx.services.store.read(
        lambda unit: lists.page(ThrottlesData, ThrottleData.of, unit, throttle.LISTING, asked, filters)
    )


async def _clear_all(ctx: RequestContext, call: Call[None]) -> Cleared:
    return Cleared(await ctx.services.store.write(lambda unit: clear_throttles.clear_all(unit, ctx)))


async def _clear(ctx: RequestContext, call: Call[ClearBody]) -> Cleared:
    named = {f: str(v) for f in call.body.__struct_fields__ if (v := getattr(call.body, f)) is not UNSET}
    clear_throttles.check(named)
    return Cleared(await ctx.services.store.write(lambda unit: clear_throttles.clear(unit, ctx, named)))


_BASE = "/api/admin/throttles"
ROUTES = (
    Route("GET", _BASE, _list, Access.ADMIN, "Counters that block attempts now", query=ThrottlesQuery),
    Route("DELETE", _BASE, _clear_all, Access.ADMIN, "Clear all counters of the throttle"),
    Route("POST", f"{_BASE}/clear", _clear, Access.ADMIN, "Clear the counters of an account or an address",
          limit=AUTH_LIMIT,
          refusals=(NotFound,)),
)  # fmt: skip
