"""``/installation/settings``: from where, and with what, system admins come in."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from manifest_auth.http import Answer
from manifest_auth.operations import installation_settings
from manifest_auth.operations.installation_settings import InstallationSettings
from manifest_auth.pages import said
from manifest_auth.pages.call import PageCall, View
from manifest_auth.pages.installation import frame
from manifest_auth.pages.routing import Audience, page
from manifest_auth.services import RequestContext

PATH = f"{frame.OVERVIEW}/settings"
_TEMPLATE = "installation/settings.html"


class SettingsForm(msgspec.Struct, frozen=True, rename="camel"):
    """``second_factor_required``: empty for no."""

    second_factor_required: Annotated[str, Meta(max_length=10)] = ""
    admin_addresses: Annotated[str, Meta(max_length=4000)] = ""


class SettingsView(msgspec.Struct, frozen=True):
    """``limit``: networks that the environment names, empty for all."""

    done: bool
    required: bool
    addresses: str
    own_address: str
    limit: str
    deletion_days: int
    keeps_trail: bool
    public_url: str


async def _show(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    settled = await ctx.services.store.read(installation_settings.read)
    return _view(ctx, settled, bool(said.word(ctx, call)))


async def _again(ctx: RequestContext, call: PageCall[SettingsForm]) -> View | Answer[None]:
    form = call.fields
    return _view(ctx, InstallationSettings(bool(form.second_factor_required), form.admin_addresses))


def _view(ctx: RequestContext, settled: InstallationSettings, done: bool = False) -> View:
    settings = ctx.services.settings
    return View(
        SettingsView(
            done=done,
            required=settled.second_factor_required,
            addresses=settled.admin_addresses,
            own_address=ctx.address,
            limit=settings.admin_addresses,
            deletion_days=settings.client_deletion_days,
            keeps_trail=settings.client_deletion_audit == "keep",
            public_url=settings.public_url,
        )
    )


async def _change(ctx: RequestContext, call: PageCall[SettingsForm]) -> View | Answer[None]:
    form = call.fields
    stored = installation_settings.stored_form(", ".join(form.admin_addresses.replace(",", " ").split()))
    required = bool(form.second_factor_required)
    await ctx.services.store.write(lambda unit: installation_settings.change(unit, ctx, required, stored))
    return said.after(ctx, PATH, "saved")


ROUTES = (
    page("GET", PATH, _show, _TEMPLATE, "What is asked of system admins", audience=Audience.SYSTEM_ADMIN,
         english=True),
    page("POST", PATH, _change, _TEMPLATE, "Require a second factor, list addresses", audience=Audience.SYSTEM_ADMIN,
         english=True, again=_again),
)  # fmt: skip
