"""``/api/admin/clients``: system admins create, find, change, suspend, restore and delete clients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from manifest_auth import tenants
from manifest_auth.api.admin import lists
from manifest_auth.api.admin.client_scope import OF_CLIENT
from manifest_auth.errors import Conflict, NotFound
from manifest_auth.http import Access, Call, Items, Page, Route, Time, Wire, or_none
from manifest_auth.operations import client_lifecycle, client_settings
from manifest_auth.services import RequestContext
from manifest_auth.store import Filters, SystemUnit
from manifest_auth.tenants import StoredSettings, Tenant, TenantSettingsChange
from manifest_auth.text import fields
from manifest_auth.text.json_schema import IDENTIFIER
from manifest_auth.text.models import ErrorCollector

Name = Annotated[str, fields.CLIENT_NAME.meta]
_NOTHING_NEW = TenantSettingsChange()
_MEMBER = "settings."


class ClientBody(msgspec.Struct, frozen=True):
    identifier: Annotated[
        str,
        Meta(
            min_length=2,
            max_length=63,
            description="Lower-case letters, digits, inner hyphens; not digits alone.",
            extra_json_schema=IDENTIFIER,
        ),
    ]
    name: Name
    settings: TenantSettingsChange = _NOTHING_NEW


class ClientChange(msgspec.Struct, frozen=True):
    """Members that are left out stay as they are, in ``settings`` too."""

    name: Name | UnsetType = UNSET
    settings: TenantSettingsChange | UnsetType = UNSET


class ClientData(Wire, frozen=True):
    id: int
    identifier: str
    name: str
    settings: StoredSettings
    created_at: Time
    suspended_at: Time | None
    delete_at: Time | None


class ClientsQuery(Page, frozen=True):
    """Query parameters of the list."""

    sort: Annotated[
        Literal["ID", "ID_DESC", "IDENTIFIER", "IDENTIFIER_DESC", "NAME", "NAME_DESC", "CREATED", "CREATED_DESC"],
        Meta(description="Order."),
    ] = "ID"
    state: Annotated[
        Literal["", "active", "suspended", "deleted"], Meta(description="Only those; `deleted`: marked for deletion.")
    ] = ""


class ClientsData(Items[ClientData], frozen=True): ...


def _data(tenant: Tenant) -> ClientData:
    return ClientData.of(tenant, settings=tenants.settings_of(tenant.settings))


async def _create(ctx: RequestContext, call: Call[ClientBody]) -> ClientData:
    body = call.body
    settings = tenants.apply_change(StoredSettings(), body.settings, by_admin=True)
    with ErrorCollector() as each:
        with each:
            client_lifecycle.check(body.identifier, body.name, settings)
        with each:
            client_settings.check(ctx, settings, _MEMBER)
    return _data(
        await ctx.services.store.write(
            lambda unit: client_lifecycle.create(unit, ctx, body.identifier, body.name, settings)
        )
    )


async def _list(ctx: RequestContext, call: Call[None]) -> ClientsData:
    asked: ClientsQuery = call.parameters
    filters = Filters(asked.state).search(asked.q)
    return await ctx.services.store.read(
        lambda unit: lists.page(ClientsData, _data, unit, tenants.LISTING, asked, filters)
    )


async def _get(ctx: RequestContext, call: Call[None]) -> ClientData:
    return _data(await ctx.services.store.read(lambda unit: tenants.get_named(unit, call.path["client"])))


async def _write(
    ctx: RequestContext, call: Call[Any], work: Callable[[SystemUnit, RequestContext, Tenant], Tenant]
) -> ClientData:
    """Runs ``work`` with the client of the path, locked; the client as it is afterwards."""
    return _data(
        await ctx.services.store.write(
            lambda unit: work(unit, ctx, tenants.get_named(unit, call.path["client"], lock=True))
        )
    )


async def _change(ctx: RequestContext, call: Call[ClientChange]) -> ClientData:
    name, settings = or_none(call.body.name), or_none(call.body.settings)
    return await _write(
        ctx, call, lambda unit, ctx, before: client_settings.change(unit, ctx, before, name, settings, _MEMBER)
    )


async def _suspend(ctx: RequestContext, call: Call[None]) -> ClientData:
    return await _write(ctx, call, client_lifecycle.suspend)


async def _restore(ctx: RequestContext, call: Call[None]) -> ClientData:
    return await _write(ctx, call, client_lifecycle.restore)


async def _delete(ctx: RequestContext, call: Call[None]) -> ClientData:
    return await _write(ctx, call, client_lifecycle.start_deletion)


_BASE = "/api/admin/clients"
ROUTES = (
    Route("POST", _BASE, _create, Access.ADMIN, "Create a client", status=201, refusals=(Conflict,)),
    Route("GET", _BASE, _list, Access.ADMIN, "List and search clients", query=ClientsQuery),
    Route("GET", OF_CLIENT, _get, Access.ADMIN, "One client, by number or identifier", refusals=(NotFound,)),
    Route("PATCH", OF_CLIENT, _change, Access.ADMIN, "Change a client's name or settings", refusals=(NotFound,)),
    Route("POST", f"{OF_CLIENT}/suspend", _suspend, Access.ADMIN, "Suspend a client: its users are refused at once",
          refusals=(NotFound, Conflict)),
    Route("POST", f"{OF_CLIENT}/restore", _restore, Access.ADMIN,
          "Restore a suspended client; for one marked for deletion, only take the mark back",
          refusals=(NotFound, Conflict)),
    Route("DELETE", OF_CLIENT, _delete, Access.ADMIN,
          "Suspend a client, and delete it for good after the time in which this can be taken back",
          refusals=(NotFound, Conflict)),
)  # fmt: skip
