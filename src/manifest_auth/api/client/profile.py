"""``PATCH /api/client/auth/me``: one's own names, title and language."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from manifest_auth import accounts
from manifest_auth.accounts.own_profile import MOST, Profile
from manifest_auth.errors import ValidationError
from manifest_auth.http import AUTH_LIMIT, Access, Call, Route, Wire
from manifest_auth.services import RequestContext
from manifest_auth.text.languages import Language

Text = Annotated[str, Meta(max_length=MOST)]


class ProfileBody(msgspec.Struct, frozen=True, rename="camel"):
    """What is left out stays as it is. ``language``: empty for none."""

    first_name: Text | UnsetType = UNSET
    last_name: Text | UnsetType = UNSET
    title: Text | UnsetType = UNSET
    language: Language | Literal[""] | UnsetType = UNSET


class ProfileData(Wire, frozen=True):
    first_name: str
    last_name: str
    title: str
    language: str | None


async def _change(ctx: RequestContext, call: Call[ProfileBody]) -> ProfileData:
    wanted = Profile(**{name: text for name, text in msgspec.structs.asdict(call.body).items() if text is not UNSET})
    return ProfileData.of(await ctx.store.write(lambda unit: accounts.change_own(unit, ctx, wanted)))


ROUTES = (
    Route("PATCH", "/api/client/auth/me", _change, Access.CLIENT, "Change one's own names, title and language",
          limit=AUTH_LIMIT, refusals=(ValidationError,)),
)  # fmt: skip
