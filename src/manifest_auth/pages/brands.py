"""Whose page it is: how a client's pages look."""

from __future__ import annotations

from manifest_auth import tenants
from manifest_auth.context import Principal
from manifest_auth.operations import branding
from manifest_auth.pages.call import PRODUCT, Brand
from manifest_auth.store import TenantUnit
from manifest_auth.tenants import Tenant


def of_client(tenant: Tenant | None) -> Brand:
    """That of a client; with no client the product's."""
    return PRODUCT if tenant is None else _brand(tenant.name, tenant.settings)


def of_user(user: Principal | None) -> Brand:
    """That of the client of who is signed in."""
    return PRODUCT if user is None else _brand(user.client_name, user.tenant_settings)


def of_unit(unit: TenantUnit) -> Brand:
    """That of the unit's client, with its logo and colours."""
    found = branding.brand_of(unit, tenants.get(unit, unit.tenant_id))
    return Brand(found.name, found.stylesheet or "", found.logo or "")


def _brand(name: str, settings: str) -> Brand:
    return Brand(tenants.settings_of(settings).branding.name or name)
