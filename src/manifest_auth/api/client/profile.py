"""``PATCH /api/client/auth/me``: one's own names, title and language."""

from __future__ import annotations

from typing import cast

import msgspec
from msgspec import UNSET, UnsetType

from manifest_auth.accounts import accounts
from manifest_auth.accounts.accounts import ProfileChange
from manifest_auth.errors import ValidationError
from manifest_auth.http import AUTH_LIMIT, Access, Call, Route, Wire
from manifest_auth.services import RequestContext
from manifest_auth.text import fields
from manifest_auth.text.languages import Language


class ProfileBody(msgspec.Struct, frozen=True, rename="camel"):
    """Members that are left out stay as they are. ``language`` null: the client's default counts."""

    first_name: fields.FirstName | UnsetType = UNSET
    last_name: fields.LastName | UnsetType = UNSET
    title: fields.Title | UnsetType = UNSET
    language: Language | UnsetType | None = UNSET


class ProfileData(Wire, frozen=True):
    first_name: str
    last_name: str
    title: str
    language: str | None


async def _change(ctx: RequestContext, call: Call[ProfileBody]) -> ProfileData:
    body = call.body
    given = {name: value for name in body.__struct_fields__ if (value := getattr(body, name)) is not UNSET}
    work = cast(ProfileChange, given)
    return ProfileData.of(await ctx.store.write(lambda unit: accounts.change_own(unit, ctx, work)))


ROUTES = (
    Route("PATCH", "/api/client/auth/me", _change, Access.CLIENT, "Change one's own names, title or language",
          limit=AUTH_LIMIT, refusals=(ValidationError,)),
)  # fmt: skip
