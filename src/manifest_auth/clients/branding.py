"""A client's branding: sets and deletes the logo.

Name and colour change with the client's other settings.
"""

from __future__ import annotations

from manifest_auth import audit, tenants
from manifest_auth.accounts import rank
from manifest_auth.audit import Event
from manifest_auth.errors import NotFound, ValidationError
from manifest_auth.permissions import Permission
from manifest_auth.services import RequestContext
from manifest_auth.store import TenantUnit
from manifest_auth.tenants import Tenant, brand_assets, png
from manifest_auth.tenants.brand_assets import Logo
from manifest_auth.text.wire import Wire


class BrandData(Wire, frozen=True):
    """``name``: as pages show it. ``logo``, with its size in pixels, and ``stylesheet``: addresses below the public
    one, null where there is none; they change with their content."""

    name: str
    logo: str | None
    width: int
    height: int
    stylesheet: str | None


def brand_of(unit: TenantUnit, tenant: Tenant) -> BrandData:
    """The branding of ``tenant``, whose unit this is."""
    logo, sheet = brand_assets.find(unit), stylesheet_of(tenant.identifier, tenant.settings)
    name = tenants.shown_name(tenant)
    if logo is None:
        return BrandData(name, None, 0, 0, sheet)
    return BrandData(name, logo_address(tenant.identifier, logo), logo.width, logo.height, sheet)


def stylesheet_of(client: str, settings: str) -> str | None:
    """The path of the stylesheet with a client's colour; None without one. ``settings``: as stored."""
    accent = tenants.settings_of(settings).branding.accent
    return f"{_base(client)}{brand_assets.stylesheet(accent).hash}.css" if accent else None


def logo_address(client: str, logo: Logo) -> str:
    """The path of a client's logo."""
    return f"{_base(client)}{logo.hash}.png"


def _base(client: str) -> str:
    return f"/assets/brand/{client}/"


def put_logo(unit: TenantUnit, ctx: RequestContext, data: bytes) -> Logo:
    """Sets the logo. ``data``: a PNG. Raises ValidationError for an invalid one, and Forbidden."""
    try:
        picture = png.clean(data)
    except png.InvalidPng as error:
        raise ValidationError(details=[("logo", str(error))]) from None
    rank.manager(unit, ctx, Permission.SETTINGS_MANAGE)
    before = brand_assets.find(unit)
    after = brand_assets.put(unit, picture)
    _record(unit, ctx, before, after)
    return after


def drop_logo(unit: TenantUnit, ctx: RequestContext) -> None:
    """Deletes the logo. Raises NotFound when there is none, and Forbidden."""
    rank.manager(unit, ctx, Permission.SETTINGS_MANAGE)
    before = brand_assets.find(unit)
    if not brand_assets.drop(unit):
        raise NotFound()
    _record(unit, ctx, before, None)


def _record(unit: TenantUnit, ctx: RequestContext, before: Logo | None, after: Logo | None) -> None:
    detail = {"before": _detail(before), "after": _detail(after)}
    audit.record(unit, ctx, Event.BRANDING_CHANGED, f"client:{unit.tenant_id}", **detail)


def _detail(logo: Logo | None) -> dict[str, object]:
    return {"logo": None if logo is None else logo._asdict()}
