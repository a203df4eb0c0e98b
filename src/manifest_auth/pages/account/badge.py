"""``/account/badge``: one's badges, and a PIN of one's own."""

from __future__ import annotations

from typing import Any

import msgspec

from manifest_auth.http import Answer
from manifest_auth.pages import brands, said
from manifest_auth.pages.account.frame import AccountView, just_done
from manifest_auth.pages.call import PageCall, View, require
from manifest_auth.pages.routing import Audience, page
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import own_badge

PATH = "/account/badge"
TEMPLATE = "account/badge.html"


class PinForm(msgspec.Struct, frozen=True):
    pin: str = ""


class OwnRow(msgspec.Struct, frozen=True):
    """A live badge. Times in milliseconds, 0 for never."""

    is_temporary: bool
    ends_at: int
    last_used_at: int


class OwnBadgeView(AccountView, frozen=True, kw_only=True):
    """``may``: the client and the user's roles allow it; ``pin_state``: none, lasting, temporary or dead; ``least``:
    digits of a PIN. Time in milliseconds, 0 for never."""

    may: bool
    badges: tuple[OwnRow, ...]
    pin_state: str
    set_at: int
    least: int


async def _show(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    return await _view(ctx, just_done(ctx, call))


async def _again(ctx: RequestContext, call: PageCall[Any]) -> View | Answer[None]:
    return await _view(ctx)


async def _view(ctx: RequestContext, done: str = "") -> View:
    found = await own_badge.look(ctx)
    pin, state = found.pin, "none"
    if pin is not None:
        state = "dead" if pin.dead_at else "temporary" if pin.temporary_until else "lasting"
    view = OwnBadgeView(
        said=done,
        may=found.is_on and found.has_role,
        badges=tuple(OwnRow(one.kind == "temporary", one.ends_at, one.last_used_at or 0) for one in found.badges),
        pin_state=state,
        set_at=pin.set_at if pin is not None else 0,
        least=found.least,
    )
    return View(view, brand=brands.of_user(ctx.user))


async def _set(ctx: RequestContext, call: PageCall[PinForm]) -> View | Answer[None]:
    require(pin=call.fields.pin)
    await own_badge.set_pin(ctx, call.fields.pin)
    return said.after(ctx, PATH, "pin")


ROUTES = (
    page("GET", PATH, _show, TEMPLATE, "One's badges and PIN", audience=Audience.SIGNED_IN),
    page("POST", PATH, _set, TEMPLATE, "Set the PIN", audience=Audience.SIGNED_IN, again=_again),
)
