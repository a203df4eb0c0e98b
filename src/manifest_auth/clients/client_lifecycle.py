"""Lifecycle of a client: create, suspend, restore, mark for deletion, and delete when due."""

from __future__ import annotations

import time
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Table, bindparam, delete, select, tuple_

from manifest_auth import audit, sessions, tenants
from manifest_auth.audit import Act, Event, Origin
from manifest_auth.context import Acting
from manifest_auth.errors import Conflict, NotFound
from manifest_auth.runtime.settings import DAY
from manifest_auth.services import RequestContext, Services
from manifest_auth.store import SystemUnit, TenantScoped, TenantUnit, cell, row_list, rows, tenant_scoped
from manifest_auth.store.tables import TENANT_OWNED, audit_anchors, audit_events, audit_heads, files, metadata
from manifest_auth.tenants import Tenant, TenantSettings, step_up
from manifest_auth.text import fields
from manifest_auth.text.canonical import when
from manifest_auth.text.languages import marked as _
from manifest_auth.text.models import ErrorCollector

# Each change is recorded in the client's audit trail. Marking for deletion, and unmarking, are also recorded in the
# installation's.


def check(identifier: str, name: str, settings: TenantSettings) -> None:
    """Checks a new client. Raises ValidationError that names all invalid members."""
    with ErrorCollector() as each:
        with each:
            tenants.check_identifier(identifier)
        with each:
            fields.CLIENT_NAME.check(name, "name")
        with each:
            tenants.check(settings, "settings.")


def create(unit: SystemUnit, acting: Acting, identifier: str, name: str, settings: TenantSettings) -> Tenant:
    """Creates a client. Raises ValidationError, or Conflict if the identifier is taken."""
    check(identifier, name, settings)
    made = tenants.create(unit, identifier, name, settings, acting.origin.at)
    audit.record_creation(unit, made.id, acting, identifier=made.identifier, name=made.name, settings=made.settings)
    return made


def suspend(unit: SystemUnit, acting: Acting, tenant: Tenant) -> Tenant:
    """Suspends a client, which immediately blocks its users. Raises Conflict if it is already suspended."""
    now = acting.origin.at
    if not tenants.suspend(unit, tenant, now):
        raise Conflict(_("The client is already suspended"))
    ended = sessions.end_tenant(unit.of(tenant.id), "client_suspended", now)
    suspended = tenant._replace(suspended_at=now)
    _record(unit, acting, Event.CLIENT_SUSPENDED, tenant, suspended, sessions_ended=ended)
    return suspended


def restore(unit: SystemUnit, acting: Acting, tenant: Tenant) -> Tenant:
    """Restores a suspended client. If it is marked for deletion, only removes the mark. Raises Conflict."""
    if tenant.suspended_at is None:
        raise Conflict(_("The client isn't suspended"))
    if tenant.delete_at is not None and tenant.delete_at <= acting.origin.at:
        raise Conflict(_("The deletion can no longer be canceled"))
    restored = tenants.restore(unit, tenant)
    sessions.void_pending(unit.of(tenant.id))
    _record(unit, acting, Event.CLIENT_RESTORED, tenant, restored)
    return restored


def mark_for_deletion(unit: SystemUnit, acting: Acting, tenant: Tenant, delete_at: int) -> Tenant:
    """Suspends a client. :func:`sweep_clients` deletes it at ``delete_at``. Raises Conflict if it is already marked."""
    step_up.check(acting, Act.DELETION)
    if tenant.delete_at is not None:
        raise Conflict(_("The client is already marked for deletion"))
    now = acting.origin.at
    marked = tenants.mark_for_deletion(unit, tenant, delete_at, now)
    ended = sessions.end_tenant(unit.of(tenant.id), "client_deleted", now)
    _record(unit, acting, Event.CLIENT_DELETION_STARTED, tenant, marked, sessions_ended=ended)
    return marked


def start_deletion(unit: SystemUnit, ctx: RequestContext, tenant: Tenant) -> Tenant:
    """Like :func:`mark_for_deletion`, but takes the waiting period from the settings."""
    return mark_for_deletion(unit, ctx, tenant, ctx.now + ctx.services.settings.client_deletion_days * DAY * 1000)


def end_sessions(unit: SystemUnit, acting: Acting, tenant: Tenant) -> int:
    """Ends all sessions of a client, and voids everything that could become one. Returns the number of sessions.
    ``tenant`` must be locked."""
    bound = unit.of(tenant.id)
    sessions.void_pending(bound)
    ended = sessions.end_tenant(bound, "ended_by_admin", acting.origin.at)
    audit.record(bound, acting, Event.SIGNED_OUT_ALL, f"client:{tenant.id}", sessions=ended)
    return ended


def end_session(unit: TenantUnit, acting: Acting, session_id: str) -> None:
    """Ends one session of the client. Raises NotFound."""
    found = sessions.find_listed(unit, session_id)
    if found is None or not sessions.end(unit, session_id, "ended_by_admin", acting.origin.at):
        raise NotFound()
    audit.record(unit, acting, Event.SESSION_ENDED, f"user:{found.user_id}", session=session_id)


def _record(unit: SystemUnit, acting: Acting, event: Event, before: Tenant, after: Tenant, **more: int) -> None:
    detail = {"before": _state(before), "after": _state(after), **more}
    audit.record(unit.of(after.id), acting, event, f"client:{after.id}", **detail)
    if before.delete_at != after.delete_at:
        audit.record_installation(unit, acting, event, f"client:{after.id}", identifier=after.identifier, **detail)


def _state(tenant: Tenant) -> dict[str, str | None]:
    times = {"suspendedAt": tenant.suspended_at, "deleteAt": tenant.delete_at}
    return {name: when(at) if at is not None else None for name, at in times.items()}


# Works in small steps so that no request waits long, and for a few seconds per round. Rows are found with reads that
# block no writer, and deleted by key. The next round continues where a killed server stopped, and several processes can
# work at the same time. The client's own row is deleted last, which frees its identifier.

ROUND_S = 5.0
MOST = 1000
_LONG_S, _SHORT_S = 0.2, 0.05  # a step that took longer is halved, and a shorter one doubled


class _TableWalk(NamedTuple):
    """The statements that delete one client's rows of a table: read the first keys, delete by key. All keys start with
    the client, so each step finds the first rows immediately."""

    table: Table
    width: int  # part of a key
    first: TenantScoped[Any]
    drop: TenantScoped[Any]


def _walk(table: Table) -> _TableWalk:
    key = list(table.primary_key.columns)
    found = select(*key, *([files.c.key] if table is files else [])).limit(bindparam("limit"))
    listed = row_list("keys")
    selected = select(*(cell(listed, place, column) for place, column in enumerate(key))).select_from(listed)
    return _TableWalk(
        table,
        len(key),
        tenant_scoped(found, every_kind=True),
        tenant_scoped(delete(table).where(tuple_(*key).in_(selected)), every_kind=True),
    )


_TRAIL = (
    audit_events,
    audit_anchors,
)  # the head stays, to show that there was a chain whose events might have been deleted
_DROP_TRAIL = [tenant_scoped(delete(table)) for table in _TRAIL]


@cache
def _walks() -> list[_TableWalk]:
    """The tables of clients, referencing tables first. Builds about fifty statements, only when a client is deleted."""
    left = TENANT_OWNED - {*_TRAIL, audit_heads}
    return [_walk(table) for table in reversed(metadata.sorted_tables) if table in left]


async def sweep_clients(services: Services) -> None:
    """Continues the deletion of due clients for at most :data:`ROUND_S` seconds."""
    now, until = await services.store.now_ms(services.clock), time.monotonic() + ROUND_S
    for tenant in await services.store.read(lambda unit: tenants.due_for_deletion(unit, now)):
        if not await _was_ordered(services, tenant):
            services.log.error(
                "client_deletion_unexplained", client=tenant.identifier, reason="no audit event requested it"
            )
            continue
        if not await _empty(services, tenant, until):
            return
        await services.store.write(lambda unit: _drop(unit, services, tenant, now))  # noqa: B023 - awaited


_E = audit_events.c
_OF_DELETION = (_E.event == Event.CLIENT_DELETION_STARTED.value) | (_E.event == Event.CLIENT_RESTORED.value)
_ORDER = tenant_scoped(
    select(_E.event).where(_E.subject == bindparam("subject"), _OF_DELETION).order_by(_E.sequence.desc()).limit(1), str
)
_BEGINS_LATER = tenant_scoped(select(audit_anchors.c.hash), str)


async def _was_ordered(services: Services, tenant: Tenant) -> bool:
    """Whether the installation's audit trail contains the deletion request, or retention might have removed it. A mark
    that someone wrote into the row by hand must not delete a client."""

    def work(unit: TenantUnit) -> bool:
        found = unit.first(_ORDER, subject=f"client:{tenant.id}")
        if found is None:
            return unit.first(_BEGINS_LATER) is not None
        return bool(found == Event.CLIENT_DELETION_STARTED.value)

    return await services.store.of(audit.INSTALLATION).read(work)


async def _empty(services: Services, tenant: Tenant, until: float) -> bool:
    """Deletes a client's rows. Returns False if the time ran out before all were deleted."""
    size, store = MOST // 10, services.store.of(tenant.id)
    for walk in _walks():
        while found := await store.read(lambda unit: unit.all(walk.first, limit=size)):  # noqa: B023 - awaited
            began = time.monotonic()
            for row in found if walk.table is files else ():
                await services.files.drop(row[-1])  # before the row, so that no file remains without a row
            keys = [row[: walk.width] for row in found]
            await store.write(lambda unit: unit.change(walk.drop, keys=rows(keys)))  # noqa: B023 - awaited
            if (ended := time.monotonic()) > until:  # checked after each step, so that every round makes progress
                return False
            took = ended - began
            size = max(1, size // 2) if took > _LONG_S else min(MOST, size * 2) if took < _SHORT_S else size
    return _keeps_audit(services) or await _remove_audit_events(services, tenant, until)


async def _remove_audit_events(services: Services, tenant: Tenant, until: float) -> bool:
    """Removes the client's events in the same way as retention, so that the rest can be verified at any time. Returns
    False if the time ran out."""
    now = services.clock.now_ms()
    while await audit.cut(services.store, tenant.id, now + 1, now):
        if time.monotonic() > until:
            return False
    return True


def _keeps_audit(services: Services) -> bool:
    return services.settings.client_deletion_audit == "keep"


def _drop(unit: SystemUnit, services: Services, tenant: Tenant, now: int) -> None:
    """Deletes the client's own row. The installation's audit trail records the tip of the client's chain."""
    if not tenants.drop(unit, tenant, now):
        return  # another process was first
    own = unit.of(tenant.id)
    end = audit.lock(own)
    if not _keeps_audit(services):
        for statement in _DROP_TRAIL:  # the rest
            own.change(statement)
        audit.end(own, now)
    detail = {"identifier": tenant.identifier, "name": tenant.name, "events": end.sequence, "hash": end.hash}
    origin = Origin(now, "system", "", "sweeping")
    audit.record_installation(
        unit, origin, Event.CLIENT_DELETED, f"client:{tenant.id}", audit_kept=_keeps_audit(services), **detail
    )
