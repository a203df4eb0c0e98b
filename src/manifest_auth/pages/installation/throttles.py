"""``/installation/throttles``: who has to wait after too many attempts, and who is let go."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from manifest_auth.http import Answer
from manifest_auth.operations import clear_throttles
from manifest_auth.pages import said
from manifest_auth.pages.call import PageCall, View
from manifest_auth.pages.console.frame import address
from manifest_auth.pages.installation import frame
from manifest_auth.pages.routing import Audience, page
from manifest_auth.services import RequestContext
from manifest_auth.store import Filters, SystemUnit
from manifest_auth.text import fields
from manifest_auth.throttle import throttle
from manifest_auth.throttle.throttle import BlockedCounter

PATH = f"{frame.OVERVIEW}/throttles"
_SIZE = 50
_TEMPLATE = "installation/throttles.html"
_NAMES = ("client", "email", "username", "address")
Text = fields.TypedEmail


class ThrottlesQuery(msgspec.Struct, frozen=True):
    after: Annotated[str, Meta(max_length=4096)] = ""


class ClearForm(msgspec.Struct, frozen=True):
    """``act``: ``all``, or else what the other fields name."""

    act: Text = ""
    client: Text = ""
    email: Text = ""
    username: Text = ""
    address: Text = ""


class ThrottlesView(msgspec.Struct, frozen=True):
    """``cleared``: None where nothing was cleared just now."""

    rows: tuple[BlockedCounter, ...]
    cleared: int | None
    form: ClearForm
    first: str
    next: str
    is_on: bool


async def _show(ctx: RequestContext, call: PageCall[ThrottlesQuery]) -> View | Answer[None]:
    cleared = said.word(ctx, call)
    return await _view(ctx, call.fields, ClearForm(), int(cleared) if cleared.isascii() and cleared.isdigit() else None)


async def _again(ctx: RequestContext, call: PageCall[ClearForm]) -> View | Answer[None]:
    return await _view(ctx, ThrottlesQuery(), call.fields)


async def _view(ctx: RequestContext, asked: ThrottlesQuery, form: ClearForm, cleared: int | None = None) -> View:
    def read(unit: SystemUnit) -> tuple[list[BlockedCounter], str | None]:
        return throttle.LISTING.read(unit, _SIZE, asked.after, "ALLOWED_DESC", Filters(now=ctx.now))

    found, goes_on = await ctx.services.store.read(read)
    return View(
        ThrottlesView(
            rows=tuple(found),
            cleared=cleared,
            form=form,
            first=PATH if asked.after else "",
            next=address(PATH, after=goes_on) if goes_on else "",
            is_on=ctx.services.throttle.is_on,
        )
    )


async def _clear(ctx: RequestContext, call: PageCall[ClearForm]) -> View | Answer[None]:
    form = call.fields
    if form.act == "all":
        cleared = await ctx.services.store.write(lambda unit: clear_throttles.clear_all(unit, ctx))
    else:
        named = {name: value for name in _NAMES if (value := getattr(form, name).strip())}
        clear_throttles.check(named)
        cleared = await ctx.services.store.write(lambda unit: clear_throttles.clear(unit, ctx, named))
    return said.after(ctx, PATH, str(cleared))


ROUTES = (
    page("GET", PATH, _show, _TEMPLATE, "Who has to wait after too many attempts", audience=Audience.SYSTEM_ADMIN,
         english=True),
    page("POST", PATH, _clear, _TEMPLATE, "Let them try again", audience=Audience.SYSTEM_ADMIN, english=True,
         again=_again),
)  # fmt: skip
