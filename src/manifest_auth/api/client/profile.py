"""Profile of the caller: names, title and language, and changes of the e-mail address."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from manifest_auth.accounts import accounts, users
from manifest_auth.api.client.one_time_links import OneTimeLinkBody
from manifest_auth.errors import (
    Conflict,
    Forbidden,
    InvalidCredentials,
    InvalidToken,
    Overloaded,
    RateLimited,
    ValidationError,
)
from manifest_auth.http import AUTH_LIMIT, Access, Call, Route, Time, Wire
from manifest_auth.runtime.mail import RemovedData
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import email_change
from manifest_auth.text import fields
from manifest_auth.text.canonical import when
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


PROFILE_ROUTES = (
    Route(
        "PATCH",
        "/api/client/auth/me",
        _change,
        Access.CLIENT,
        "Change one's own names, title or language",
        limit=AUTH_LIMIT,
        refusals=(ValidationError,),
    ),
)


class AddressBody(msgspec.Struct, frozen=True, rename="camel"):
    new_email: fields.Email
    current_password: fields.Password


class PendingData(Wire, frozen=True):
    """The address waits for its mailbox to confirm it. The answer is the same for an address that another account
    has."""

    pending_email: str
    expires_at: Time


class ConfirmedData(Wire, frozen=True):
    """``email``: the address that applies now."""

    email: str


class UndoneData(Wire, frozen=True):
    """``resets``: whether a link to choose a new password was sent to the address; ``removed``: sign-in methods that
    were removed."""

    email: str
    resets: Annotated[bool, Meta(description="Whether a link to choose a new password goes to the address.")]
    removed: RemovedData


async def _start(ctx: RequestContext, call: Call[AddressBody]) -> PendingData:
    started = await email_change.start_own(ctx, call.body.new_email, call.body.current_password)
    return PendingData(started.email, when(started.expires_at))


async def _confirm(ctx: RequestContext, call: Call[OneTimeLinkBody]) -> ConfirmedData:
    return ConfirmedData(await email_change.confirm(ctx, call.body.token))


async def _undo(ctx: RequestContext, call: Call[OneTimeLinkBody]) -> UndoneData:
    undone = await email_change.undo(ctx, call.body.token)
    return UndoneData(undone.email, undone.resets, undone.removed)


_BASE = "/api/client/auth/email"
_BY_LINK = (InvalidToken, Forbidden, Conflict)
EMAIL_ROUTES = (
    Route("POST", _BASE, _start, Access.CLIENT, "Ask for another e-mail address, which takes effect when it confirms",
          limit=AUTH_LIMIT, refusals=(ValidationError, InvalidCredentials, Conflict, RateLimited, Overloaded),
          operation="changeEmail"),
    Route("POST", f"{_BASE}/confirm", _confirm, Access.OPEN, "Confirm a new address with the link that it was sent",
          limit=AUTH_LIMIT, refusals=_BY_LINK),
    Route("POST", f"{_BASE}/undo", _undo, Access.OPEN,
          "Restore the old address with the link that it was sent; sessions end, the password is void, and recent "
          "sign-in methods are removed",
          limit=AUTH_LIMIT, refusals=_BY_LINK),
)  # fmt: skip
