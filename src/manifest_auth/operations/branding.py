"""What a client's pages look like: its logo is set and taken away here, its name and colour with its other settings."""

from __future__ import annotations

from typing import NamedTuple

from manifest_auth import audit, tenants
from manifest_auth.accounts import rank
from manifest_auth.audit import Event
from manifest_auth.errors import NotFound, ValidationError
from manifest_auth.permissions import Permission
from manifest_auth.services import RequestContext
from manifest_auth.store import TenantUnit
from manifest_auth.tenants import Tenant, accents, logos, png
from manifest_auth.tenants.logos import Logo


class Brand(NamedTuple):
    """What a page of the client needs. ``logo`` and ``stylesheet``: paths of ours; None: there is none."""

    name: str
    logo: str | None
    width: int
    height: int
    stylesheet: str | None


def brand_of(unit: TenantUnit, tenant: Tenant) -> Brand:
    """``tenant``: whose unit it is."""
    logo, accent = logos.find(unit), tenants.settings_of(tenant.settings).branding.accent
    base = f"/assets/brand/{tenant.identifier}/"
    sheet = f"{base}{accents.stylesheet(accent).hash}.css" if accent else None
    name = tenants.shown_name(tenant)
    if logo is None:
        return Brand(name, None, 0, 0, sheet)
    return Brand(name, f"{base}{logo.hash}.png", logo.width, logo.height, sheet)


def put_logo(unit: TenantUnit, ctx: RequestContext, data: bytes) -> Logo:
    """Raises ValidationError for what is no PNG that we take, and Forbidden."""
    try:
        picture = png.clean(data)
    except png.NoPng as error:
        raise ValidationError(details=[("logo", str(error))]) from None
    rank.manager(unit, ctx, Permission.SETTINGS_MANAGE)
    before = logos.find(unit)
    after = logos.put(unit, picture)
    _record(unit, ctx, before, after)
    return after


def drop_logo(unit: TenantUnit, ctx: RequestContext) -> None:
    """Raises NotFound where there is none, and Forbidden."""
    rank.manager(unit, ctx, Permission.SETTINGS_MANAGE)
    before = logos.find(unit)
    if not logos.drop(unit):
        raise NotFound()
    _record(unit, ctx, before, None)


def _record(unit: TenantUnit, ctx: RequestContext, before: Logo | None, after: Logo | None) -> None:
    detail = {"before": _told(before), "after": _told(after)}
    audit.record(unit, ctx, Event.BRANDING_CHANGED, f"client:{unit.tenant_id}", **detail)


def _told(logo: Logo | None) -> dict[str, object]:
    return {"logo": None if logo is None else logo._asdict()}
