"""Brands of pages: how a client's pages look."""

from __future__ import annotations

import functools
import re
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import TypeVar

from manifest_auth import tenants
from manifest_auth.clients import client_settings
from manifest_auth.context import Principal
from manifest_auth.errors import NotFound
from manifest_auth.http import Access, Answer, Call, Route
from manifest_auth.pages.call import PRODUCT, Brand, PageCall, View
from manifest_auth.services import RequestContext
from manifest_auth.store import StoreUnavailable, SystemUnit, TenantUnit
from manifest_auth.tenants import Tenant, brand_assets

F = TypeVar("F")


def of_client(tenant: Tenant | None) -> Brand:
    """Returns the client's brand, or the product's without a client."""
    return PRODUCT if tenant is None else _brand(tenant.id, tenant.identifier, tenant.name, tenant.settings)


def of_user(user: Principal | None) -> Brand:
    """Returns the brand of the signed-in user's client."""
    return PRODUCT if user is None else _brand(user.tenant_id, user.client, user.client_name, user.tenant_settings)


def of_unit(unit: TenantUnit) -> Brand:
    """Returns the brand of the unit's client, with its logo."""
    tenant = tenants.get(unit, unit.tenant_id)
    return of_client(tenant)._replace(logo=_logo(unit, tenant.identifier))


async def shown(ctx: RequestContext, work: Callable[[TenantUnit], object]) -> View:
    """Returns a page of the signed-in user's client. ``work`` creates its model, in the same read as the client's
    branding."""
    return await ctx.store.read(lambda unit: View(work(unit), brand=of_unit(unit)))


def shows(
    work: Callable[[RequestContext, PageCall[F], TenantUnit], object],
) -> Callable[[RequestContext, PageCall[F]], Awaitable[View]]:
    """Creates the handler of such a page if it only calls ``work``."""

    @functools.wraps(work)
    async def handler(ctx: RequestContext, call: PageCall[F]) -> View:
        return await shown(ctx, lambda unit: work(ctx, call, unit))

    return handler


def own_page(ctx: RequestContext, template: str = "", **members: object) -> View:
    """Returns a page of the signed-in user. ``members``: what its template reads as ``view``."""
    return View(SimpleNamespace(**members), template=template, brand=of_user(ctx.user))


async def with_logo(ctx: RequestContext, brand: Brand) -> Brand:
    """Returns the brand with the client's logo, which is looked up if necessary. While the database is unavailable, the
    page shows the name instead."""
    if brand.logo is not None:
        return brand
    try:
        logo = await ctx.services.store.of(brand.tenant_id).read(lambda unit: _logo(unit, brand.client))
    except StoreUnavailable:
        logo = ""
    return brand._replace(logo=logo)


def _logo(unit: TenantUnit, client: str) -> str:
    logo = brand_assets.find(unit)
    return "" if logo is None else client_settings.logo_address(client, logo)


def _brand(tenant_id: int, client: str, name: str, settings: str) -> Brand:
    own = tenants.settings_of(settings)
    return Brand(
        name=own.branding.name or name,
        stylesheet=client_settings.stylesheet_of(client, settings) or "",
        logo=None,
        client=client,
        tenant_id=tenant_id,
        language=own.language,
        contact=own.contact,
    )


# Anyone can fetch a logo and a stylesheet, as the sign-in page shows them. They can't run as scripts, whatever their
# bytes are: their type is declared and never guessed (``nosniff``), and the picture contains only the parts that an
# image needs.


_NAME = re.compile(r"([0-9a-f]{16})\.(png|css)\Z")
_TYPES = {"png": b"image/png", "css": b"text/css; charset=utf-8"}
_FOR_GOOD, _SHORTLY = b"public, max-age=31536000, immutable", b"public, max-age=60"


async def _file(ctx: RequestContext, call: Call[None]) -> Answer[None]:
    name = _NAME.match(call.path["file"])
    if name is None:
        raise NotFound()
    asked, kind = name.groups()

    def read(unit: SystemUnit) -> tuple[str, bytes]:
        tenant = tenants.get_named(unit, call.path["client"])
        if kind == "png":
            found = brand_assets.bytes_of(unit.of(tenant.id))
        else:
            accent = tenants.settings_of(tenant.settings).branding.accent
            sheet = brand_assets.stylesheet(accent) if accent else None
            found = (sheet.hash, sheet.text) if sheet is not None else None
        if found is None:
            raise NotFound()
        return found

    hash_, body = await ctx.services.store.read(read)
    caching = _FOR_GOOD if asked == hash_ else _SHORTLY
    return Answer(200, body, ((b"content-type", _TYPES[kind]), (b"cache-control", caching)))


ROUTES = (
    Route(
        "GET",
        "/assets/brand/{client}/{file}",
        _file,
        Access.OPEN,
        "Get a client's logo or colors, for its pages",
        sends=("image/png", "text/css"),
        refusals=(NotFound,),
        operation="getBrandFile",
    ),
)
