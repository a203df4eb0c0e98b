"""Reads a chain's events in order of their numbers, in batches."""

from __future__ import annotations

from sqlalchemy import bindparam, select

from manifest_auth.audit.chain_walk import Link
from manifest_auth.store import TenantUnit, tenant_scoped
from manifest_auth.store.tables import audit_events

BATCH = 2000
BEFORE_ALL, MOST = -(2**63), 2**63 - 1  # the range of the column

_E = audit_events.c
_NEXT = tenant_scoped(
    select(*(_E[name] for name in Link._fields))
    .where(_E.sequence > bindparam("after"))
    .order_by(_E.sequence)
    .limit(bindparam("limit")),
    Link,
)


def links_after(unit: TenantUnit, sequence: int) -> tuple[list[Link], bool]:
    """The next ``BATCH`` events after that number, and whether there may be more."""
    found = unit.all(_NEXT, after=sequence, limit=BATCH)
    return found, len(found) == BATCH
