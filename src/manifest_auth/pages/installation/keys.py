"""``/installation/keys``: the keys that sign tokens and forms.

No page shows a secret.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from manifest_auth.errors import ValidationError
from manifest_auth.http import Answer
from manifest_auth.operations import signing_keys
from manifest_auth.pages import said
from manifest_auth.pages.call import PageCall, View
from manifest_auth.pages.console.frame import address
from manifest_auth.pages.installation import frame
from manifest_auth.pages.routing import Audience, page
from manifest_auth.services import RequestContext
from manifest_auth.sessions import tokens
from manifest_auth.sessions.tokens import ListedKey, Purpose
from manifest_auth.store import Filters, SystemUnit
from manifest_auth.text import fields

PATH = f"{frame.OVERVIEW}/keys"
_SIZE = 100
_TEMPLATE = "installation/keys.html"
_PURPOSES = {
    "": "All purposes",
    Purpose.ACCESS.value: "Access tokens of users",
    Purpose.REFRESH.value: "Refresh tokens of users",
    Purpose.ADMIN_ACCESS.value: "Access tokens of system admins",
    Purpose.ADMIN_REFRESH.value: "Refresh tokens of system admins",
    Purpose.SERVICE.value: "Access tokens of service accounts",
    Purpose.FORMS.value: "Forms of pages",
    Purpose.PAGE_STATE.value: "Sign-ins under way on pages",
}
DONE = {
    "rotated": "New keys sign from now on. The ones before verify what they signed, until that has expired.",
    "retired": "The key signs nothing more. What it signed stays good until it expires.",
    "at-once": "The key is void, and so is all that it signed.",
}
Text = fields.TypedToken


class KeysQuery(msgspec.Struct, frozen=True):
    purpose: Text = ""
    after: Annotated[str, Meta(max_length=4096)] = ""


class KeyForm(msgspec.Struct, frozen=True):
    """``act``: rotate the keys of a ``purpose``, or retire the ``key``, at once where it may be stolen."""

    act: Text = ""
    purpose: Text = ""
    key: Text = ""


class KeyRow(msgspec.Struct, frozen=True):
    """``state``: signing, verifying or expired; ``until``: when it ends, milliseconds, 0 while it signs."""

    id: str
    purpose: str
    state: str
    created_at: int
    until: int


class KeysView(msgspec.Struct, frozen=True):
    rows: tuple[KeyRow, ...]
    purpose: str
    purposes: tuple[tuple[str, str], ...]
    done: str
    first: str
    next: str


async def _show(ctx: RequestContext, call: PageCall[KeysQuery]) -> View | Answer[None]:
    return await _view(ctx, call.fields, said.sentence(ctx, call, DONE))


async def _again(ctx: RequestContext, call: PageCall[KeyForm]) -> View | Answer[None]:
    return await _view(ctx, KeysQuery())


async def _view(ctx: RequestContext, asked: KeysQuery, done: str = "") -> View:
    purpose = frame.one_of(asked.purpose, _PURPOSES)
    filters = Filters("purpose" if purpose else None, of_purpose=purpose, now=ctx.now)

    def read(unit: SystemUnit) -> tuple[list[ListedKey], str | None]:
        return tokens.LISTING.read(unit, _SIZE, asked.after, "CREATED_DESC", filters)

    found, goes_on = await ctx.services.store.read(read)
    return View(
        KeysView(
            rows=tuple(_row(ctx, one) for one in found),
            purpose=purpose,
            purposes=tuple(_PURPOSES.items()),
            done=done,
            first=address(PATH, purpose=purpose) if asked.after else "",
            next=address(PATH, purpose=purpose, after=goes_on) if goes_on else "",
        )
    )


def _row(ctx: RequestContext, one: ListedKey) -> KeyRow:
    over = one.expires_at is not None and one.expires_at <= ctx.now
    state = "expired" if over else "signing" if one.retired_at is None else "verifying"
    return KeyRow(one.id, _PURPOSES.get(one.purpose, one.purpose), state, one.created_at, one.expires_at or 0)


async def _act(ctx: RequestContext, call: PageCall[KeyForm]) -> View | Answer[None]:
    form = call.fields
    if form.act == "rotate" and form.purpose in _PURPOSES:
        await signing_keys.rotate_now(ctx, [Purpose(form.purpose)] if form.purpose else tuple(Purpose))
        return said.after(ctx, PATH, "rotated")
    if form.act not in ("retire", "at-once"):
        raise ValidationError(reason="no such act")
    await signing_keys.retire_now(ctx, form.key, at_once=form.act == "at-once")
    return said.after(ctx, PATH, "at-once" if form.act == "at-once" else "retired")


ROUTES = (
    page("GET", PATH, _show, _TEMPLATE, "The signing keys", audience=Audience.SYSTEM_ADMIN, english=True),
    page("POST", PATH, _act, _TEMPLATE, "Rotate signing keys, or retire one", audience=Audience.SYSTEM_ADMIN,
         english=True, again=_again),
)  # fmt: skip
