"""``/account/devices``: devices that hold a session, and browsers that are not asked for the second factor for a while.

Ends each of them.
"""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec

from manifest_auth import tenants
from manifest_auth.accounts import device_apps
from manifest_auth.errors import NotFound
from manifest_auth.http import Answer
from manifest_auth.pages import said
from manifest_auth.pages.account import words
from manifest_auth.pages.account.frame import AccountView, just_done, shown
from manifest_auth.pages.call import PageCall, View
from manifest_auth.pages.routing import Audience, page
from manifest_auth.services import RequestContext
from manifest_auth.sessions import ListedSession
from manifest_auth.sign_in import session_lifecycle
from manifest_auth.sign_in.second_factor import own
from manifest_auth.store import TenantUnit
from manifest_auth.text import fields
from manifest_auth.text.languages import catalogue

PATH = "/account/devices"
TEMPLATE = "account/devices.html"
Id = fields.TypedToken


class EndForm(msgspec.Struct, frozen=True):
    """``id``: of the browser, empty for all; ``session``: of the device, in place of a browser."""

    id: Id = ""
    session: Id = ""


class BrowserView(msgspec.Struct, frozen=True):
    """Times in milliseconds since 1970. ``browser``: in words."""

    id: str
    browser: str
    address: str
    since: int
    ends_at: int


class OwnDevice(msgspec.Struct, frozen=True):
    """Times in milliseconds since 1970. ``name``: as the device calls itself, else its app."""

    session: str
    name: str
    app: str
    address: str
    since: int
    ends_at: int


class DevicesView(AccountView, frozen=True, kw_only=True):
    """``days``: for how long the client lets a browser be trusted; 0: it does not. ``may_pair``: the client lets
    devices in by scanning; ``by_code``: by the code that they show."""

    devices: tuple[OwnDevice, ...]
    may_pair: bool
    by_code: bool
    browsers: tuple[BrowserView, ...]
    days: int


async def _list(ctx: RequestContext, call: PageCall[Any], done: str = "") -> View:
    t, found = catalogue(call.language), await own.look(ctx)
    settings, rows = tenants.settings_of(ctx.user.tenant_settings), await session_lifecycle.list_sessions(ctx)

    def work(unit: TenantUnit) -> DevicesView:
        names = device_apps.names(unit)
        return DevicesView(
            said=done,
            devices=tuple(_device(row, names) for row in rows if row.app_id is not None),
            may_pair=settings.pairing.scan,
            by_code=settings.pairing.code,
            browsers=tuple(
                BrowserView(row.id, words.browser(t, row.user_agent), row.address, row.created_at, row.ends_at)
                for row in found.trusted
            ),
            days=settings.second_factor.trusted_days,
        )

    return await shown(ctx, work)


def _device(row: ListedSession, names: dict[str, str]) -> OwnDevice:
    app = names.get(row.app_id or "", row.app_id or "")
    return OwnDevice(
        session=row.id, name=row.label or app, app=app, address=row.address, since=row.created_at, ends_at=row.ends_at
    )


async def _show(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    return await _list(ctx, call, just_done(ctx, call))


async def _again(ctx: RequestContext, call: PageCall[EndForm]) -> View | Answer[None]:
    return await _list(ctx, call)


async def _end(ctx: RequestContext, call: PageCall[EndForm]) -> View | Answer[None]:
    form = call.fields
    if form.session:
        with contextlib.suppress(NotFound):  # the button was pressed twice
            await session_lifecycle.end_one(ctx, form.session)
        return said.after(ctx, PATH, "device-ended")
    with contextlib.suppress(NotFound):
        await own.end_trust(ctx, form.id or None)
    return said.after(ctx, PATH, "trust" if form.id else "all-trust")


ROUTES = (
    page("GET", PATH, _show, TEMPLATE, "One's devices, and browsers that one trusts", audience=Audience.SIGNED_IN),
    page("POST", PATH, _end, TEMPLATE, "Sign a device out; end the trust of one browser, or of all",
         audience=Audience.SIGNED_IN, again=_again),
)  # fmt: skip
