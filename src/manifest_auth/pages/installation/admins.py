"""``/installation/admins``: who runs this server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import Meta

from manifest_auth.accounts.admins import management, second_factor
from manifest_auth.accounts.admins.management import AdminData
from manifest_auth.errors import NotFound, ValidationError
from manifest_auth.http import Answer
from manifest_auth.maintenance import system_admins
from manifest_auth.maintenance.system_admins import AdminMadeData
from manifest_auth.pages import flash
from manifest_auth.pages.call import PageCall, View
from manifest_auth.pages.console.frame import ListQuery, address
from manifest_auth.pages.installation import frame
from manifest_auth.pages.routing import admin_page
from manifest_auth.services import RequestContext
from manifest_auth.store import Filters, SystemUnit

PATH = f"{frame.OVERVIEW}/admins"
_SIZE = 50
_TEMPLATE = "installation/admins.html"
_STATES = {"": "All", "active": "Active", "disabled": "Disabled"}
DONE = {
    "disabled": "The system admin is disabled, and signed out everywhere.",
    "enabled": "The system admin can sign in again.",
    "factor": "The second factor is gone. The next sign-in takes the password alone.",
    "ended": "All sessions of that system admin have ended.",
}
Text = Annotated[str, Meta(max_length=300)]


class AdminForm(msgspec.Struct, frozen=True):
    """``act``: what to do with the system admin of number ``id``, or to make one called ``username``."""

    act: Text = ""
    id: Text = ""
    username: Text = ""


class AdminsView(msgspec.Struct, frozen=True):
    """``me``: the id of who looks; ``made``: an admin with a new password, to be shown this once; None for none."""

    rows: tuple[AdminData, ...]
    me: int
    query: ListQuery
    states: tuple[tuple[str, str], ...]
    is_narrowed: bool
    is_required: bool
    done: str
    first: str
    next: str
    username: str
    made: AdminMadeData | None


async def _show(ctx: RequestContext, call: PageCall[ListQuery]) -> View | Answer[None]:
    return await _view(ctx, call.fields, done=flash.sentence(ctx, call, DONE))


async def _again(ctx: RequestContext, call: PageCall[AdminForm]) -> View | Answer[None]:
    return await _view(ctx, ListQuery(), call.fields.username)


async def _view(
    ctx: RequestContext, asked: ListQuery, username: str = "", made: AdminMadeData | None = None, done: str = ""
) -> View:
    state = frame.one_of(asked.state, _STATES)
    filters = Filters(state).search(asked.q.strip().casefold())

    def read(unit: SystemUnit) -> AdminsView:
        found, goes_on = management.LISTING.read(unit, _SIZE, asked.after, "USERNAME", filters)
        return AdminsView(
            rows=tuple(map(AdminData.of, found)),
            me=ctx.admin.admin_id,
            query=msgspec.structs.replace(asked, state=state),
            states=tuple(_STATES.items()),
            is_narrowed=bool(asked.q or state),
            is_required=second_factor.is_required(unit),
            done=done,
            first=address(PATH, q=asked.q, state=state) if asked.after else "",
            next=address(PATH, q=asked.q, state=state, after=goes_on) if goes_on else "",
            username=username,
            made=made,
        )

    return View(await ctx.services.store.read(read))


async def _act(ctx: RequestContext, call: PageCall[AdminForm]) -> View | Answer[None]:
    form = call.fields
    if form.act == "make":
        return await _view(ctx, ListQuery(), made=await system_admins.create(ctx, form.username.strip()))
    if form.act == "password":
        return await _view(ctx, ListQuery(), made=await system_admins.reset_password(ctx, _id(form)))
    act = _ACTS.get(form.act)
    if act is None:
        raise ValidationError(reason="no such act")
    admin_id = _id(form)
    await ctx.services.store.write(lambda unit: act[1](unit, ctx, admin_id))
    return flash.after(ctx, PATH, act[0])


def _id(form: AdminForm) -> int:
    if not (form.id.isascii() and form.id.isdigit() and len(form.id) < 19):
        raise NotFound()
    return int(form.id)


def _enable(unit: SystemUnit, ctx: RequestContext, admin_id: int) -> None:
    management.enable(unit, ctx, management.get_managed(unit, ctx, admin_id))


def _end(unit: SystemUnit, ctx: RequestContext, admin_id: int) -> None:
    management.sign_out_all(unit, ctx, admin_id)


#: A word of :data:`DONE`, and the operation.
_ACTS: dict[str, tuple[str, Callable[[SystemUnit, RequestContext, int], None]]] = {
    "disable": ("disabled", management.disable),
    "enable": ("enabled", _enable),
    "factor": ("factor", management.reset_second_factor),
    "end": ("ended", _end),
}
ROUTES = (
    admin_page("GET", PATH, _show, _TEMPLATE, "Those who run this server"),
    admin_page("POST", PATH, _act, _TEMPLATE, "Make, disable, enable or reset a system admin", again=_again),
)
