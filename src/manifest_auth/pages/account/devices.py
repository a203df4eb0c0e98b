"""``/account/devices``: browsers that are not asked for the second factor for a while; ends that."""

from __future__ import annotations

import contextlib
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from manifest_auth import tenants
from manifest_auth.errors import NotFound
from manifest_auth.http import Answer
from manifest_auth.pages import brands, said
from manifest_auth.pages.account import words
from manifest_auth.pages.account.frame import AccountView, just_done
from manifest_auth.pages.call import PageCall, View
from manifest_auth.pages.routing import Audience, page
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.second_factor import own
from manifest_auth.text.languages import catalogue

PATH = "/account/devices"
TEMPLATE = "account/devices.html"


class EndForm(msgspec.Struct, frozen=True):
    """``id``: of the browser; empty for all."""

    id: Annotated[str, Meta(max_length=100)] = ""


class BrowserView(msgspec.Struct, frozen=True):
    """Times in milliseconds since 1970. ``browser``: in words."""

    id: str
    browser: str
    address: str
    since: int
    ends_at: int


class DevicesView(AccountView, frozen=True, kw_only=True):
    """``days``: for how long the client lets a browser be trusted; 0: it does not."""

    browsers: tuple[BrowserView, ...]
    days: int


async def _list(ctx: RequestContext, call: PageCall[Any], done: str = "") -> View:
    t, found = catalogue(call.language), await own.look(ctx)
    view = DevicesView(
        said=done,
        browsers=tuple(
            BrowserView(row.id, words.browser(t, row.user_agent), row.address, row.created_at, row.ends_at)
            for row in found.trusted
        ),
        days=tenants.settings_of(ctx.user.tenant_settings).second_factor.trusted_days,
    )
    return View(view, brand=brands.of_user(ctx.user))


async def _show(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    return await _list(ctx, call, just_done(ctx, call))


async def _again(ctx: RequestContext, call: PageCall[EndForm]) -> View | Answer[None]:
    return await _list(ctx, call)


async def _end(ctx: RequestContext, call: PageCall[EndForm]) -> View | Answer[None]:
    wanted = call.fields.id
    with contextlib.suppress(NotFound):  # the button was pressed twice
        await own.end_trust(ctx, wanted or None)
    return said.after(ctx, PATH, "trust" if wanted else "all-trust")


ROUTES = (
    page("GET", PATH, _show, TEMPLATE, "Browsers that one trusts", audience=Audience.SIGNED_IN),
    page("POST", PATH, _end, TEMPLATE, "End the trust of one, or of all", audience=Audience.SIGNED_IN, again=_again),
)
