"""``/console/branding``: name, color and logo of the client's pages."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from types import SimpleNamespace

import msgspec

from manifest_auth import tenants
from manifest_auth.clients import client_settings
from manifest_auth.errors import ValidationError
from manifest_auth.http import NO_STORE, Answer
from manifest_auth.http.answers import JSON
from manifest_auth.pages import brands, flash
from manifest_auth.pages.call import PageCall, View, chosen
from manifest_auth.pages.routing import settings_page
from manifest_auth.services import RequestContext
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.tenants import BrandingChange, TenantSettingsChange, brand_assets
from manifest_auth.tenants.png import MOST_BYTES
from manifest_auth.text.languages import marked as _

PATH = "/console/branding"
_ACCENT = re.compile(r"#[0-9a-f]{6}\Z")
DONE = {
    "saved": _("Branding saved."),
    "logo": _("Logo saved."),
    "no-logo": _("Logo removed."),
}


class BrandingForm(msgspec.Struct, frozen=True, rename={"name": "branding.name", "accent": "branding.accent"}):
    """The form of the page. ``act``: which form it is."""

    act: str = ""
    name: str = ""
    accent: str = ""


class ColoursQuery(msgspec.Struct, frozen=True):
    """The query of the preview. ``accent``: ``#rrggbb``, or empty for the product's own."""

    accent: str = ""


class Look(msgspec.Struct, frozen=True, rename="camel"):
    """Colors of a button, of the text on it, and of a link."""

    accent: str
    on_accent: str
    link: str


class Sample(msgspec.Struct, frozen=True):
    """Colors in the form that pages use."""

    light: Look
    dark: Look


#: The product's own colors, the same as in the common stylesheet.
_USUAL = Sample(Look("#3346c9", "#ffffff", "#3346c9"), Look("#a9b6ff", "#11131f", "#a9b6ff"))


async def _show(ctx: RequestContext, call: PageCall[BrandingForm | None]) -> View | Answer[None]:
    typed = call.fields if call.fields is not None and call.fields.act in ("save", "preview") else None
    return await brands.shown(ctx, lambda unit: _view(unit, ctx, typed))


def _view(
    unit: TenantUnit, ctx: RequestContext, typed: BrandingForm | None, *, is_preview: bool = False
) -> SimpleNamespace:
    tenant = tenants.get(unit, unit.tenant_id)
    brand, stored = client_settings.brand_of(unit, tenant), tenants.settings_of(tenant.settings).branding
    form = typed or BrandingForm(name=stored.name, accent=stored.accent)
    accent = form.accent.strip().lower()
    return SimpleNamespace(
        form=form,
        client=tenant.name,
        logo=brand.logo or "",
        width=brand.width,
        height=brand.height,
        sample=_sample(accent),
        is_preview=is_preview,
        sign_in_url=client_settings.sign_in_url(ctx.services.settings, tenant.identifier),
    )


def _sample(accent: str) -> Sample:
    if not _ACCENT.match(accent):
        return _USUAL
    found = brand_assets.palette_of(accent)
    light, dark = (Look(found.accent, found.on_accent, link) for link in (found.link, found.link_on_dark))
    return Sample(light, dark)


async def _colours(ctx: RequestContext, call: PageCall[ColoursQuery]) -> View | Answer[None]:
    """Returns data for the page's module, which previews a color while it is chosen."""
    return Answer(200, msgspec.json.encode(_sample(call.fields.accent)), (JSON, NO_STORE))


async def _act(ctx: RequestContext, call: PageCall[BrandingForm]) -> View | Answer[None]:
    outcome = await chosen(_ACTS, call.fields.act)(ctx, call)
    return flash.after(ctx, PATH, outcome) if isinstance(outcome, str) else outcome


def _change(form: BrandingForm) -> TenantSettingsChange:
    return TenantSettingsChange(branding=BrandingChange(name=form.name.strip(), accent=form.accent.strip().lower()))


async def _save(ctx: RequestContext, call: PageCall[BrandingForm]) -> str:
    def work(unit: SystemUnit) -> None:
        client_settings.change(unit, ctx, tenants.get(unit, ctx.user.tenant_id, lock=True), None, _change(call.fields))

    await ctx.services.store.write(work)
    return "saved"


async def _preview(ctx: RequestContext, call: PageCall[BrandingForm]) -> View:
    def work(unit: TenantUnit) -> SimpleNamespace:
        stored = tenants.settings_of(tenants.get(unit, unit.tenant_id).settings)
        client_settings.checked(unit, ctx, stored, _change(call.fields))
        return _view(unit, ctx, call.fields, is_preview=True)

    return await brands.shown(ctx, work)


async def _put_logo(ctx: RequestContext, call: PageCall[BrandingForm]) -> str:
    if not call.upload:
        raise ValidationError(details=[("logo", _("Choose a PNG file"))])
    await ctx.store.write(lambda unit: client_settings.put_logo(unit, ctx, call.upload))
    return "logo"


async def _drop_logo(ctx: RequestContext, call: PageCall[BrandingForm]) -> str:
    await ctx.store.write(lambda unit: client_settings.drop_logo(unit, ctx))
    return "no-logo"


_ACTS: dict[str, Callable[[RequestContext, PageCall[BrandingForm]], Awaitable[str | View]]] = {
    "save": _save,
    "preview": _preview,
    "logo": _put_logo,
    "drop-logo": _drop_logo,
}
_TEMPLATE = "console/branding.html"
ROUTES = (
    settings_page("GET", f"{PATH}/colours", _colours, "", "How pages show a color, for the preview"),
    settings_page("GET", PATH, _show, _TEMPLATE, "Name, color, and logo of a client's pages", said=DONE),
    settings_page(
        "POST",
        PATH,
        _act,
        _TEMPLATE,
        "Preview or change the branding of a client's pages",
        upload="logo",
        upload_bytes=MOST_BYTES,
    ),
)
