"""Takes clients away whose time is over: all rows of all their tables, their files, their audit trail if so set.

A few rows at a time, so that nobody waits for it, and for some seconds in each round. Rows are looked for in reads that
hold nobody up, and deleted by their keys. Whatever is left, for a server that was killed, the next round finds; several
processes may do it at once. The client's own row goes last, and with it the identifier is free again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Table, bindparam, delete, select, tuple_

from manifest_auth import audit, tenants
from manifest_auth import audit as trail
from manifest_auth.audit import Event, Origin
from manifest_auth.services import Services
from manifest_auth.store import SystemUnit, TenantScoped, TenantUnit, cell, row_list, rows, tenant_scoped
from manifest_auth.store.tables import TENANT_OWNED, audit_anchors, audit_events, audit_heads, files, metadata
from manifest_auth.tenants import Tenant

ROUND_S = 5.0
MOST = 1000
_LONG_S, _SHORT_S = 0.2, 0.05  # a step that took longer is halved, a shorter one doubled


class _Walk(NamedTuple):
    """How a table is emptied of one client: the keys of some rows, of those behind them, and away with them. Where an
    index leads to the client's rows, the first ones are asked for again and again; else all rows are looked through in
    the order of their keys, once."""

    table: Table
    width: int  # of a key
    begin: TenantScoped[Any]
    go_on: TenantScoped[Any] | None
    drop: TenantScoped[Any]


def _walk(table: Table) -> _Walk:
    key = list(table.primary_key.columns)
    leads = any(next(iter(index.columns)).name == "tenant_id" for index in table.indexes)
    found = select(*key, *([files.c.key] if table is files else [])).limit(bindparam("limit"))
    if not leads:
        found = found.order_by(*key)
    behind = tuple_(*(bindparam(f"after_{place}", type_=column.type) for place, column in enumerate(key)))
    listed = row_list("keys")
    theirs = select(*(cell(listed, place, column) for place, column in enumerate(key))).select_from(listed)
    return _Walk(
        table,
        len(key),
        tenant_scoped(found),
        None if leads else tenant_scoped(found.where(tuple_(*key) > behind)),
        tenant_scoped(delete(table).where(tuple_(*key).in_(theirs))),
    )


_TRAIL = (audit_events, audit_anchors)  # the head stays: it tells that there was a chain, and that it may be gone
_DROP_TRAIL = [tenant_scoped(delete(table)) for table in _TRAIL]


@cache
def _walks() -> list[_Walk]:
    """Tables of clients, those first that point at others. Some fifty statements, made when a client is taken away:
    few processes ever do."""
    left = TENANT_OWNED - {*_TRAIL, audit_heads}
    return [_walk(table) for table in reversed(metadata.sorted_tables) if table in left]


async def sweep_clients(services: Services) -> None:
    """Goes on with the clients whose time is over, for at most :data:`ROUND_S` seconds."""
    until = time.monotonic() + ROUND_S
    for tenant in await services.store.read(lambda unit: tenants.due_for_deletion(unit, services.clock.now_ms())):
        if not await _was_ordered(services, tenant):
            services.log.error("client_deletion_unexplained", client=tenant.identifier, reason="no event begins it")
            continue
        if not await _empty(services, tenant, until):
            return
        await services.store.write(lambda unit: _drop(unit, services, tenant))  # noqa: B023 - awaited at once


_E = audit_events.c
_OF_DELETION = (_E.event == Event.CLIENT_DELETION_STARTED.value) | (_E.event == Event.CLIENT_RESTORED.value)
_ORDER = tenant_scoped(
    select(_E.event).where(_E.subject == bindparam("subject"), _OF_DELETION).order_by(_E.sequence.desc()).limit(1),
    str,
)
_BEGINS_LATER = tenant_scoped(select(audit_anchors.c.hash), str)


async def _was_ordered(services: Services, tenant: Tenant) -> bool:
    """Whether the installation's trail tells of it, or retention may have taken that away: a mark that somebody put
    into the row by hand takes no client away."""

    def work(unit: TenantUnit) -> bool:
        found = unit.first(_ORDER, subject=f"client:{tenant.id}")
        if found is None:
            return unit.first(_BEGINS_LATER) is not None
        return found == Event.CLIENT_DELETION_STARTED.value

    return await services.store.of(audit.INSTALLATION).read(work)


async def _empty(services: Services, tenant: Tenant, until: float) -> bool:
    """False when the time was over before everything was gone."""
    size = MOST // 10
    for walk in _walks():
        after: Sequence[Any] | None = None
        while found := await _look(services, tenant, walk, after, size):
            began = time.monotonic()
            for row in found if walk.table is files else ():
                await services.files.drop(row[-1])  # before the row: nothing of a client is left that no row names
            keys = [row[: walk.width] for row in found]
            await services.store.of(tenant.id).write(lambda unit: unit.change(walk.drop, keys=rows(keys)))  # noqa: B023
            if (ended := time.monotonic()) > until:  # asked after a step, so that each round brings it on
                return False
            took, after = ended - began, keys[-1]
            size = max(1, size // 2) if took > _LONG_S else min(MOST, size * 2) if took < _SHORT_S else size
    return _keeps(services) or await _cut_trail(services, tenant, until)


async def _cut_trail(services: Services, tenant: Tenant, until: float) -> bool:
    """As retention cuts it, so that what is left is provable at any time. False when the time was over before."""
    now = services.clock.now_ms()
    while await trail.cut(services.store, tenant.id, now + 1, now):
        if time.monotonic() > until:
            return False
    return True


def _keeps(services: Services) -> bool:
    return services.settings.client_deletion_audit == "keep"


async def _look(services: Services, tenant: Tenant, walk: _Walk, after: Sequence[Any] | None, size: int) -> list[Any]:
    statement = walk.begin if after is None or walk.go_on is None else walk.go_on
    values = {f"after_{place}": value for place, value in enumerate(after or ())}
    return await services.store.of(tenant.id).read(lambda unit: unit.all(statement, limit=size, **values))


def _drop(unit: SystemUnit, services: Services, tenant: Tenant) -> None:
    """The client's own row. The installation's trail keeps how far the client's had come."""
    now = services.clock.now_ms()
    if not tenants.drop(unit, tenant, now):
        return  # another process was first
    own = unit.of(tenant.id)
    end = audit.lock(own)
    if not _keeps(services):
        for statement in _DROP_TRAIL:  # what the last cut left
            own.change(statement)
        audit.end(own, now)
    detail = {"identifier": tenant.identifier, "name": tenant.name, "events": end.sequence, "hash": end.hash}
    origin = Origin(now, "system", "", "sweeping")
    audit.record_installation(
        unit, origin, Event.CLIENT_DELETED, f"client:{tenant.id}", audit_kept=_keeps(services), **detail
    )
