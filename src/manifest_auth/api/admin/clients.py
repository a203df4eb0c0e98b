"""``/api/admin/clients``: system admins create, find, change, suspend, restore and delete clients."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from manifest_auth import audit, sessions, tenants
from manifest_auth.api.admin import lists
from manifest_auth.api.admin.lists import Asked, Filters
from manifest_auth.audit import Event
from manifest_auth.errors import Conflict, NotFound
from manifest_auth.http import Access, Answer, Call, Route, ok
from manifest_auth.runtime.settings import DAY
from manifest_auth.services import RequestContext
from manifest_auth.store import SystemUnit
from manifest_auth.tenants import Tenant, TenantSettings, TenantSettingsChange
from manifest_auth.text.canonical import check_line, when

NAME = 200
Name = Annotated[str, Meta(min_length=1, max_length=NAME)]
_NOTHING_NEW = TenantSettings()


class ClientBody(msgspec.Struct, frozen=True):
    identifier: Annotated[str, Meta(min_length=2, max_length=63)]
    name: Name
    settings: TenantSettings = _NOTHING_NEW


class ClientChange(msgspec.Struct, frozen=True):
    """Members that are left out stay as they are, in ``settings`` too."""

    name: Name | UnsetType = UNSET
    settings: TenantSettingsChange | UnsetType = UNSET


class ClientData(msgspec.Struct, frozen=True, rename="camel"):
    id: int
    identifier: str
    name: str
    settings: TenantSettings
    created_at: str
    suspended_at: str | None
    delete_at: str | None


class ClientsQuery(msgspec.Struct, frozen=True):
    """Query parameters of the list."""

    sort: Annotated[
        Literal["ID", "ID_DESC", "IDENTIFIER", "IDENTIFIER_DESC", "NAME", "NAME_DESC", "CREATED", "CREATED_DESC"],
        Meta(description="Order."),
    ] = "ID"
    state: Annotated[
        Literal["", "active", "suspended", "deleted"], Meta(description="Only those; `deleted`: marked for deletion.")
    ] = ""


class ClientsData(msgspec.Struct, frozen=True, rename="camel"):
    items: tuple[ClientData, ...]
    next_cursor: str | None


def wire(tenant: Tenant) -> dict[str, Any]:
    return {
        "id": tenant.id,
        "identifier": tenant.identifier,
        "name": tenant.name,
        "settings": msgspec.to_builtins(tenants.settings_of(tenant.settings)),
        "createdAt": when(tenant.created_at),
        "suspendedAt": when(tenant.suspended_at) if tenant.suspended_at else None,
        "deleteAt": when(tenant.delete_at) if tenant.delete_at is not None else None,
    }


def by_name(unit: SystemUnit, name: str, *, lock: bool = False) -> Tenant:
    """A client of the path, by number or identifier; ``lock`` as in :func:`tenants.get`. Raises NotFound."""
    found = tenants.find(unit, name)
    if found is None:
        raise NotFound()
    return tenants.get(unit, found.id, lock=True) if lock else found


async def _create(ctx: RequestContext, call: Call[ClientBody]) -> Answer:
    body = call.body
    check_line(body.name, "name", NAME)

    def work(unit: SystemUnit) -> Tenant:
        tenant = tenants.create(unit, body.identifier, body.name, body.settings, ctx.now)
        detail = {"identifier": tenant.identifier, "name": tenant.name, "settings": tenant.settings}
        audit.record_creation(unit, tenant.id, ctx, **detail)
        return tenant

    return ok(wire(await ctx.services.store.write(work)), status=201)


async def _list(ctx: RequestContext, call: Call[None]) -> Answer:
    page, asked = call.page, call.parameters

    def work(unit: SystemUnit) -> lists.Rows[Tenant]:
        return lists.read(
            unit,
            tenants.LISTING,
            Asked(page.first, page.after, asked.sort),
            Filters(asked.state).search(page.q),
            value_of=lambda t, sort: {"IDENTIFIER": t.identifier, "NAME": t.name, "CREATED": t.created_at}[sort],
        )

    found = await ctx.services.store.read(work)
    return ok({"items": [wire(t) for t in found.items], "nextCursor": found.next_cursor})


async def _get(ctx: RequestContext, call: Call[None]) -> Answer:
    return ok(wire(await ctx.services.store.read(lambda unit: by_name(unit, call.path["client"]))))


async def _change(ctx: RequestContext, call: Call[ClientChange]) -> Answer:
    body = call.body

    def work(unit: SystemUnit) -> Tenant:
        before = by_name(unit, call.path["client"], lock=True)
        name = before.name if body.name is UNSET else check_line(str(body.name), "name", NAME)
        settings = tenants.settings_of(before.settings)
        if isinstance(body.settings, TenantSettingsChange):
            settings = tenants.merge(settings, body.settings)
        after = tenants.change(unit, before, name, settings)
        detail = {"before": [before.name, before.settings], "after": [after.name, after.settings]}
        audit.record(unit.of(after.id), ctx, Event.CLIENT_CHANGED, f"client:{after.id}", **detail)
        return after

    return ok(wire(await ctx.services.store.write(work)))


async def _suspend(ctx: RequestContext, call: Call[None]) -> Answer:
    def work(unit: SystemUnit) -> Tenant:
        tenant = by_name(unit, call.path["client"], lock=True)
        if not tenants.suspend(unit, tenant, ctx.now):
            raise Conflict("The client is suspended already")
        ended = sessions.end_tenant(unit.of(tenant.id), "client_suspended", ctx.now)
        suspended = tenant._replace(suspended_at=ctx.now)
        detail = {"before": _state(tenant), "after": _state(suspended), "sessions_ended": ended}
        audit.record(unit.of(tenant.id), ctx, Event.CLIENT_SUSPENDED, f"client:{tenant.id}", **detail)
        return suspended

    return ok(wire(await ctx.services.store.write(work)))


async def _restore(ctx: RequestContext, call: Call[None]) -> Answer:
    def work(unit: SystemUnit) -> Tenant:
        tenant = by_name(unit, call.path["client"], lock=True)
        if tenant.suspended_at is None:
            raise Conflict("The client is not suspended")
        if tenant.delete_at is not None and tenant.delete_at <= ctx.now:
            raise Conflict("The time to take the deletion back is over")
        restored = tenants.restore(unit, tenant)
        sessions.take_codes_back(unit.of(tenant.id))
        detail = {"before": _state(tenant), "after": _state(restored)}
        event, subject = Event.CLIENT_RESTORED, f"client:{tenant.id}"
        audit.record(unit.of(tenant.id), ctx, event, subject, **detail)
        if tenant.delete_at is not None:  # as where the deletion began, see operations/delete_clients.py
            audit.record_installation(unit, ctx, event, subject, identifier=tenant.identifier, **detail)
        return restored

    return ok(wire(await ctx.services.store.write(work)))


async def _delete(ctx: RequestContext, call: Call[None]) -> Answer:
    delete_at = ctx.now + ctx.services.settings.client_deletion_days * DAY * 1000

    def work(unit: SystemUnit) -> Tenant:
        tenant = by_name(unit, call.path["client"], lock=True)
        if tenant.delete_at is not None:
            raise Conflict("The client is marked for deletion already")
        marked = tenants.mark(unit, tenant, delete_at, ctx.now)
        ended = sessions.end_tenant(unit.of(tenant.id), "client_deleted", ctx.now)
        detail = {"before": _state(tenant), "after": _state(marked), "sessions_ended": ended}
        event, subject = Event.CLIENT_DELETION_STARTED, f"client:{tenant.id}"
        audit.record(unit.of(tenant.id), ctx, event, subject, **detail)
        audit.record_installation(unit, ctx, event, subject, identifier=tenant.identifier, **detail)
        return marked

    return ok(wire(await ctx.services.store.write(work)))


def _state(tenant: Tenant) -> dict[str, str | None]:
    """For the audit trail."""
    times = {"suspendedAt": tenant.suspended_at, "deleteAt": tenant.delete_at}
    return {name: when(at) if at is not None else None for name, at in times.items()}


_BASE = "/api/admin/clients"
_ONE = f"{_BASE}/{{client}}"
ROUTES = (
    Route("POST", _BASE, _create, Access.ADMIN, "Create a client", ClientBody, ClientData, status=201,
          refusals=(Conflict,)),
    Route("GET", _BASE, _list, Access.ADMIN, "List and search clients", None, ClientsData, paged=True,
          query=ClientsQuery),
    Route("GET", _ONE, _get, Access.ADMIN, "One client, by number or identifier", None, ClientData,
          refusals=(NotFound,)),
    Route("PATCH", _ONE, _change, Access.ADMIN, "Change a client's name or settings", ClientChange, ClientData,
          refusals=(NotFound,)),
    Route("POST", f"{_ONE}/suspend", _suspend, Access.ADMIN, "Suspend a client: its users are refused at once",
          None, ClientData, refusals=(NotFound, Conflict)),
    Route("POST", f"{_ONE}/restore", _restore, Access.ADMIN,
          "Let a suspended client in again; of one marked for deletion, take that back alone",
          None, ClientData, refusals=(NotFound, Conflict)),
    Route("DELETE", _ONE, _delete, Access.ADMIN,
          "Suspend a client, and delete it for good once the time to take that back is over", None, ClientData,
          refusals=(NotFound, Conflict)),
)  # fmt: skip
