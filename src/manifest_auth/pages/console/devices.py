"""``/console/devices``: the client's apps for devices."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from manifest_auth.accounts import device_apps
from manifest_auth.accounts.device_apps import DeviceApp
from manifest_auth.errors import NotFound, ReauthenticationRequired
from manifest_auth.http import Answer
from manifest_auth.pages import flash, step_up
from manifest_auth.pages.call import PageCall, View
from manifest_auth.pages.console import frame
from manifest_auth.pages.routing import settings_page
from manifest_auth.services import RequestContext
from manifest_auth.store import TenantUnit
from manifest_auth.text import fields

PATH, TEMPLATE = "/console/devices", "console/devices.html"
DONE = {
    "app-made": "The app is made.",
    "app-removed": "The app is removed, and its devices are signed out.",
}


class AppForm(msgspec.Struct, frozen=True):
    """``act``: as :data:`DONE` names them; ``app``: the client id of one that is there."""

    act: Literal["app-made", "app-removed"] = "app-made"
    app: fields.TypedToken = ""
    name: Annotated[str, Meta(max_length=200)] = ""


class DevicesView(msgspec.Struct, frozen=True):
    apps: list[DeviceApp]
    done: str
    name: str = ""
    most: int = device_apps.MOST


async def _list(ctx: RequestContext, call: PageCall[Any], done: str = "", name: str = "") -> View:
    return await frame.shown(ctx, lambda unit: DevicesView(device_apps.list_all(unit), done, name))


async def _show(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    return await _list(ctx, call, flash.sentence(ctx, call, DONE))


async def _again(ctx: RequestContext, call: PageCall[AppForm]) -> View | Answer[None]:
    return await _list(ctx, call, name=call.fields.name)


async def _act(ctx: RequestContext, call: PageCall[AppForm]) -> View | Answer[None]:
    form, random = call.fields, ctx.services.random

    def work(unit: TenantUnit) -> None:
        if form.act == "app-made":
            device_apps.create(unit, ctx, random, form.name.strip())
        else:
            device_apps.remove(unit, ctx, form.app)

    try:
        await ctx.store.write(work)
    except ReauthenticationRequired:
        return step_up.asked_first(PATH)
    except NotFound:  # the button was pressed twice
        return flash.after(ctx, PATH, "app-removed")
    return flash.after(ctx, PATH, form.act)


ROUTES = (
    settings_page("GET", PATH, _show, TEMPLATE, "A client's apps for devices"),
    settings_page("POST", PATH, _act, TEMPLATE, "Make or remove an app for devices", again=_again),
)
