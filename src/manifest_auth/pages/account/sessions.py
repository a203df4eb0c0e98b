"""``/account/sessions`` and ``/account/devices``: your sessions, and browsers that skip the second factor."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace

import msgspec

from manifest_auth import sessions, tenants
from manifest_auth.accounts import apps
from manifest_auth.context import DEVICE
from manifest_auth.errors import NotFound
from manifest_auth.http import Answer
from manifest_auth.http.cookies import after_sign_out
from manifest_auth.pages import brands, flash
from manifest_auth.pages.call import Confirmation, PageCall, View, see_other
from manifest_auth.pages.routing import account_page
from manifest_auth.services import RequestContext
from manifest_auth.sessions import SessionOver
from manifest_auth.sign_in import session_lifecycle
from manifest_auth.sign_in.second_factor import enrollment
from manifest_auth.store import TenantUnit
from manifest_auth.text import fields
from manifest_auth.text.languages import marked as _
from manifest_auth.text.languages import several

SESSIONS_PATH = "/account/sessions"
SESSIONS_TEMPLATE = "account/sessions.html"


class EndSessionForm(msgspec.Struct, frozen=True):
    """The form of the page. ``id``: the session to end, or empty for all others."""

    id: fields.TypedToken = ""


async def _show_sessions(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    listed, own = await session_lifecycle.list_sessions(ctx), ctx.user.session_id
    this = next((one for one in listed if one.id == own), None)
    others = sorted((one for one in listed if one.id != own), key=lambda one: -one.last_used_at)
    most = session_lifecycle.LIST_LIMIT
    return await brands.shown(
        ctx, lambda unit: SimpleNamespace(this=this, others=others, most=most, apps=apps.app_names(unit))
    )


async def ends_others(ctx: RequestContext) -> str:
    """Returns the number of the caller's other sessions, for the question before an action that ends them."""
    open_ones = sessions.open_ones_of(ctx.user.user_id, ctx.now)
    others = await ctx.store.read(lambda unit: sessions.LISTING.total(unit, open_ones)) - 1
    return several("Ends %(number)d other open session.", "Ends %(number)d other open sessions.", others)


async def _confirm(ctx: RequestContext, call: PageCall[EndSessionForm]) -> Confirmation | None:
    if call.fields.id:
        return None
    effects = (await ends_others(ctx), _("Apps and devices that are signed in must sign in again."))
    return Confirmation(_("Sign out everywhere else?"), effects, _("End all other sessions"))


async def _end_sessions(ctx: RequestContext, call: PageCall[EndSessionForm]) -> View | Answer[None]:
    wanted = call.fields.id
    if not wanted:
        await session_lifecycle.sign_out_others(ctx)
        return flash.after(ctx, SESSIONS_PATH, "sessions")
    with contextlib.suppress(SessionOver):  # the button was pressed twice
        await session_lifecycle.end_one(ctx, wanted)
    if wanted == ctx.user.session_id:
        return see_other("/sign-out", await after_sign_out(ctx, call.head))
    return flash.after(ctx, SESSIONS_PATH, "session")


DEVICES_PATH = "/account/devices"
DEVICES_TEMPLATE = "account/devices.html"
Id = fields.TypedToken


class EndDeviceForm(msgspec.Struct, frozen=True):
    """The form of the page. ``id``: the browser, or empty for all; ``session``: a device's session instead of a
    browser."""

    id: Id = ""
    session: Id = ""


async def _show_devices(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    found, rows = await enrollment.look_at_factors(ctx), await session_lifecycle.list_sessions(ctx)
    settings = tenants.settings_of(ctx.user.tenant_settings)

    def work(unit: TenantUnit) -> SimpleNamespace:
        return SimpleNamespace(
            devices=[row for row in rows if row.method == DEVICE],
            apps=apps.app_names(unit),
            may_pair=settings.pairing.scan,
            by_code=settings.pairing.code,
            browsers=found.trusted,
            days=settings.second_factor.trusted_days,
        )

    return await brands.shown(ctx, work)


async def _end_devices(ctx: RequestContext, call: PageCall[EndDeviceForm]) -> View | Answer[None]:
    form = call.fields
    if form.session:
        with contextlib.suppress(NotFound):  # the button was pressed twice
            await session_lifecycle.end_one(ctx, form.session)
        return flash.after(ctx, DEVICES_PATH, "device-ended")
    with contextlib.suppress(NotFound):
        await enrollment.end_trust(ctx, form.id or None)
    return flash.after(ctx, DEVICES_PATH, "trust" if form.id else "all-trust")


ROUTES = (
    account_page("GET", SESSIONS_PATH, _show_sessions, SESSIONS_TEMPLATE, "Your sessions"),
    account_page(
        "POST", SESSIONS_PATH, _end_sessions, SESSIONS_TEMPLATE, "End one session, or all others", confirms=_confirm
    ),
    account_page("GET", DEVICES_PATH, _show_devices, DEVICES_TEMPLATE, "Your devices and trusted browsers"),
    account_page(
        "POST",
        DEVICES_PATH,
        _end_devices,
        DEVICES_TEMPLATE,
        "Sign a device out; end the trust of one browser or of all",
    ),
)
