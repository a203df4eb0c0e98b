"""``/api/client/settings``: the settings of the caller's client, for users who manage them."""

from __future__ import annotations

from manifest_auth import tenants
from manifest_auth.clients import client_settings
from manifest_auth.errors import Conflict, Forbidden, ValidationError
from manifest_auth.http import Access, Call, Route
from manifest_auth.permissions import Permission
from manifest_auth.services import RequestContext
from manifest_auth.store import SystemUnit
from manifest_auth.tenants import StoredSettings, TenantSettingsChange


async def _read(ctx: RequestContext, call: Call[None]) -> StoredSettings:
    tenant = await ctx.services.store.read(lambda unit: tenants.get(unit, ctx.user.tenant_id))
    return tenants.settings_of(tenant.settings)


async def _change(ctx: RequestContext, call: Call[TenantSettingsChange]) -> StoredSettings:
    def work(unit: SystemUnit) -> str:
        before = tenants.get(unit, ctx.user.tenant_id, lock=True)
        return client_settings.change(unit, ctx, before, None, call.body).settings

    return tenants.settings_of(await ctx.services.store.write(work))


ROUTES = (
    Route("GET", "/api/client/settings", _read, Access.CLIENT, "Get your client's settings",
          permission=Permission.SETTINGS_MANAGE),
    Route("PATCH", "/api/client/settings", _change, Access.CLIENT, "Change your client's settings",
          permission=Permission.SETTINGS_MANAGE, refusals=(ValidationError, Forbidden, Conflict)),
)  # fmt: skip
