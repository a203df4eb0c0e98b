"""``/api/admin/keys``: system admins list, rotate and retire the signing keys.

Secrets are never returned.
"""

from __future__ import annotations

from typing import Annotated, Literal, get_args

import msgspec
from msgspec import UNSET, Meta, UnsetType

from manifest_auth.api.admin import lists
from manifest_auth.errors import Conflict, NotFound
from manifest_auth.http import AUTH_LIMIT, Access, Call, Items, Paging, Route, Wire, or_none
from manifest_auth.operations import signing_keys
from manifest_auth.services import RequestContext
from manifest_auth.sessions import tokens
from manifest_auth.sessions.tokens import KeyData, Purpose, PurposeName
from manifest_auth.store import Filters


class KeysQuery(Paging, frozen=True):
    """Query parameters of the list."""

    sort: Annotated[Literal["ID", "ID_DESC", "CREATED", "CREATED_DESC"], Meta(description="Order.")] = "CREATED_DESC"
    purpose: Annotated[Literal["", PurposeName], Meta(description="Only keys for that.")] = ""
    state: Annotated[Literal["", "signing", "verifying", "expired"], Meta(description="Only those.")] = ""


class RotateBody(msgspec.Struct, frozen=True):
    purpose: Annotated[PurposeName, Meta(description="Left out: all.")] | UnsetType = UNSET


class RetireBody(msgspec.Struct, frozen=True, rename="camel"):
    """``atOnce``: tokens that the key signed are void from now on; for a key that may be stolen."""

    at_once: bool = False


class KeysData(Items[KeyData], frozen=True): ...


class KeysRotated(Wire, frozen=True):
    rotated: tuple[PurposeName, ...]


async def _list(ctx: RequestContext, call: Call[None]) -> KeysData:
    asked: KeysQuery = call.parameters
    filters = Filters("purpose" if asked.purpose else None, asked.state, of_purpose=asked.purpose, now=ctx.now)
    return await ctx.services.store.read(
        lambda unit: lists.page(KeysData, lambda key: KeyData.at(key, ctx.now), unit, tokens.LISTING, asked, filters)
    )


async def _rotate(ctx: RequestContext, call: Call[RotateBody]) -> KeysRotated:
    purpose = or_none(call.body.purpose)
    purposes: tuple[PurposeName, ...] = get_args(PurposeName) if purpose is None else (purpose,)
    await signing_keys.rotate_now(ctx, [Purpose(name) for name in purposes])
    return KeysRotated(purposes)


async def _retire(ctx: RequestContext, call: Call[RetireBody]) -> KeyData:
    return KeyData.at(await signing_keys.retire_now(ctx, call.path["key"], at_once=call.body.at_once), ctx.now)


_BASE = "/api/admin/keys"
ROUTES = (
    Route("GET", _BASE, _list, Access.ADMIN, "List signing keys, without their secrets", query=KeysQuery),
    Route("POST", f"{_BASE}/rotate", _rotate, Access.ADMIN, "Sign with new keys; the old ones verify what they signed",
          limit=AUTH_LIMIT),
    Route("POST", f"{_BASE}/{{key}}/retire", _retire, Access.ADMIN,
          "Retire a key: it signs no more, and with `atOnce` verifies no more", limit=AUTH_LIMIT,
          refusals=(NotFound, Conflict)),
)  # fmt: skip
