"""Brands of pages: how a client's pages look."""

from __future__ import annotations

from manifest_auth import tenants
from manifest_auth.context import Principal
from manifest_auth.operations import branding
from manifest_auth.pages.call import PRODUCT, Brand
from manifest_auth.services import RequestContext
from manifest_auth.store import StoreUnavailable, TenantUnit
from manifest_auth.tenants import Tenant, logos


def of_client(tenant: Tenant | None) -> Brand:
    """That of a client; with no client the product's."""
    return PRODUCT if tenant is None else _brand(tenant.id, tenant.identifier, tenant.name, tenant.settings)


def of_user(user: Principal | None) -> Brand:
    """That of the client of who is signed in."""
    return PRODUCT if user is None else _brand(user.tenant_id, user.client, user.client_name, user.tenant_settings)


def of_unit(unit: TenantUnit) -> Brand:
    """The brand of the unit's client, with its logo."""
    tenant = tenants.get(unit, unit.tenant_id)
    return of_client(tenant)._replace(logo=_logo(unit, tenant.identifier))


async def with_logo(ctx: RequestContext, brand: Brand) -> Brand:
    """The same with the client's logo, looked up where it was not yet. While the store is away there is none: the page
    says the name in its place."""
    if brand.logo is not None:
        return brand
    try:
        logo = await ctx.services.store.of(brand.tenant_id).read(lambda unit: _logo(unit, brand.client))
    except StoreUnavailable:
        logo = ""
    return brand._replace(logo=logo)


def _logo(unit: TenantUnit, client: str) -> str:
    logo = logos.find(unit)
    return "" if logo is None else branding.logo_address(client, logo)


def _brand(tenant_id: int, client: str, name: str, settings: str) -> Brand:
    own = tenants.settings_of(settings)
    return Brand(
        name=own.branding.name or name,
        stylesheet=branding.stylesheet_of(client, settings) or "",
        logo=None,
        client=client,
        tenant_id=tenant_id,
        language=own.language,
        contact=own.contact,
    )
