"""``PATCH /api/client/auth/me``: one's own names, title and language."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from manifest_auth.accounts import accounts, users
from manifest_auth.errors import ValidationError
from manifest_auth.http import AUTH_LIMIT, Access, Call, Route, Wire
from manifest_auth.services import RequestContext
from manifest_auth.text.fields import Details, Input, with_details
from manifest_auth.text.languages import Language


@with_details(users.OWN, Input.CHANGE)
class ProfileBody(msgspec.Struct, frozen=True, rename="camel"):
    """Members that are left out stay as they are. ``language`` null: the client's default counts."""

    details: Details
    language: Language | UnsetType | None = UNSET


@with_details(users.OWN)
class ProfileData(Wire, frozen=True):
    details: Details
    language: str | None


async def _change(ctx: RequestContext, call: Call[ProfileBody]) -> ProfileData:
    body = call.body
    changed = await ctx.store.write(lambda unit: accounts.change_own(unit, ctx, body.details, body.language))
    return ProfileData.of(changed)


ROUTES = (
    Route("PATCH", "/api/client/auth/me", _change, Access.CLIENT, "Change one's own names, title or language",
          limit=AUTH_LIMIT, refusals=(ValidationError,)),
)  # fmt: skip
