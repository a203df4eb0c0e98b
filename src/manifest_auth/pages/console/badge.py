"""``/console/users/{id}/badge``: a user's badges and PIN, and a badge to print."""

from __future__ import annotations

import contextlib

import msgspec

from manifest_auth.accounts import badges, users
from manifest_auth.accounts.badges import NewBadge
from manifest_auth.errors import NotFound, ValidationError
from manifest_auth.http import Answer
from manifest_auth.operations.reset_badge_pin import TemporaryPin, reset_badge_pin
from manifest_auth.pages import qr, said
from manifest_auth.pages.call import PageCall, View
from manifest_auth.pages.console import frame
from manifest_auth.pages.routing import Audience, page
from manifest_auth.permissions import Permission
from manifest_auth.services import RequestContext
from manifest_auth.store import TenantUnit
from manifest_auth.text import fields

PATH = "/console/users/{id}/badge"
DONE = {"ended": "The badge has ended, and the user's sessions by badge."}
_PRINT = "console/badge_print.html"


class BadgeForm(msgspec.Struct, frozen=True):
    """``act``: ``standard`` or ``temporary`` issues one, ``end``, ``pin``; ``id``: of the badge that ends."""

    act: str = ""
    id: fields.TypedToken = ""


class Row(msgspec.Struct, frozen=True):
    """A live badge. Times in milliseconds, 0 for never."""

    id: str
    kind: str
    issued_at: int
    ends_at: int
    last_used_at: int


class BadgeView(msgspec.Struct, frozen=True, kw_only=True):
    """``why_not``: why nothing is issued, empty where something is; ``pin_state``: none, lasting, temporary or dead;
    ``pin``: shown this once. Times in milliseconds, 0 for never."""

    path: str
    user_path: str
    name: str
    why_not: str
    badges: tuple[Row, ...]
    pin_state: str
    pin_at: int
    pin: str = ""
    pin_ends_at: int = 0
    done: str = ""


class PrintView(msgspec.Struct, frozen=True):
    """A badge to print: it shows no name. ``code``: markup. Time in milliseconds."""

    back: str
    kind: str
    ends_at: int
    code: str


async def _show(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    return await _view(ctx, frame.number_in(call), done=said.sentence(ctx, call, DONE))


async def _again(ctx: RequestContext, call: PageCall[BadgeForm]) -> View | Answer[None]:
    return await _view(ctx, frame.number_in(call))


async def _view(ctx: RequestContext, user_id: int, *, done: str = "", made: TemporaryPin | None = None) -> View:
    def work(unit: TenantUnit) -> BadgeView:
        found, user = badges.look(unit, ctx, user_id), users.get(unit, user_id)
        state, at = "none", 0
        if (pin := found.pin) is not None:
            state = "dead" if pin.dead_at else "temporary" if pin.temporary_until else "lasting"
            at = pin.dead_at or pin.temporary_until or pin.set_at
        return BadgeView(
            path=PATH.format(id=user.id),
            user_path=f"/console/users/{user.id}",
            name=f"{user.first_name} {user.last_name}".strip() or user.email,
            why_not=found.why_not,
            badges=tuple(
                Row(one.id, one.kind, one.issued_at, one.ends_at, one.last_used_at or 0) for one in found.badges
            ),
            pin_state=state,
            pin_at=at,
            pin=made.pin if made is not None else "",
            pin_ends_at=made.ends_at if made is not None else 0,
            done=done,
        )

    return await frame.shown(ctx, work)


async def _act(ctx: RequestContext, call: PageCall[BadgeForm]) -> View | Answer[None]:
    user_id, form = frame.number_in(call), call.fields
    if form.act in ("standard", "temporary"):
        return await _issue(ctx, user_id, form.act == "temporary")  # shown once: no redirect comes before
    if form.act == "pin":
        return await _view(ctx, user_id, made=await reset_badge_pin(ctx, ctx.store, user_id))
    if form.act != "end":
        raise ValidationError(reason="no such act")
    with contextlib.suppress(NotFound):  # the button was pressed twice
        await ctx.store.write(lambda unit: badges.end_badge(unit, ctx, user_id, form.id))
    return said.after(ctx, PATH.format(id=user_id), "ended")


async def _issue(ctx: RequestContext, user_id: int, is_temporary: bool) -> View:
    tools = ctx.services.account_tools

    def work(unit: TenantUnit) -> NewBadge:
        return badges.issue_badge(unit, ctx, tools, user_id, "temporary" if is_temporary else "standard")

    made = await ctx.store.write(work)
    drawn = await qr.code(made.text, "QR code of the badge")
    shown = PrintView(PATH.format(id=user_id), made.badge.kind, made.badge.ends_at, drawn)
    found = await frame.shown(ctx, lambda unit: shown)
    found.template = _PRINT
    return found


_TEMPLATE = "console/badge.html"
ROUTES = (
    page("GET", PATH, _show, _TEMPLATE, "A user's badges and PIN", audience=Audience.SIGNED_IN,
         permission=Permission.USERS_MANAGE, english=True),
    page("POST", PATH, _act, _TEMPLATE, "Issue or end a badge, give a temporary PIN", audience=Audience.SIGNED_IN,
         permission=Permission.USERS_MANAGE, english=True, again=_again),
)  # fmt: skip
