"""Chains and whose they are: each client has one, and the installation has number 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Column, bindparam, func, select

from manifest_auth import tenants
from manifest_auth.audit import INSTALLATION
from manifest_auth.errors import NotFound
from manifest_auth.store import Crossing, Store, SystemUnit, TenantUnit, Unowned, among, crossing, numbers, unowned
from manifest_auth.store.tables import audit_anchors, audit_events, audit_heads
from manifest_auth.store.tables import tenants as tenants_table

__all__ = ["INSTALLATION", "all_chains", "chain_named", "names_of"]


class _Next(NamedTuple):
    chain: int | None


class _Named(NamedTuple):
    id: int
    identifier: str


def _next(column: Column[int]) -> Crossing[_Next]:
    query = select(func.min(column)).where(column > bindparam("after"))
    return crossing(query, _Next, because="who proves the trail asks which chains there are")


#: A chain whose head somebody deleted still has events, and the reverse; each look-up is one step into an index.
_IN_HEADS = _next(audit_heads.c.tenant_id)
_IN_EVENTS = _next(audit_events.c.tenant_id)
_IN_ANCHORS = _next(audit_anchors.c.tenant_id)
_IN_TENANTS: Unowned[_Next] = unowned(
    select(func.min(tenants_table.c.id)).where(tenants_table.c.id > bindparam("after")), _Next
)
_NAMES = unowned(select(tenants_table.c.id, tenants_table.c.identifier).where(among(tenants_table.c.id, "ids")), _Named)


async def all_chains(store: Store) -> list[int]:
    """All chains that there are or should be: the installation's, and those of clients, deleted ones too."""
    found = [INSTALLATION]
    while (chain := await store.read(lambda unit: _after(unit, found[-1]))) is not None:
        found.append(chain)
    return found


def _after(unit: SystemUnit, chain: int) -> int | None:
    rows = [unit.first(which, after=chain) for which in (_IN_HEADS, _IN_EVENTS, _IN_ANCHORS)]
    rows.append(unit.first(_IN_TENANTS, after=chain))
    return min((row.chain for row in rows if row is not None and row.chain is not None), default=None)


def chain_named(unit: SystemUnit, name: str) -> int:
    """The chain of a client by identifier or number, deleted ones too by number; 0: the installation's. Raises
    NotFound."""
    if name.isascii() and name.isdigit() and len(name) < 19:
        return int(name)
    found = tenants.find(unit, name)
    if found is None:
        raise NotFound(f"There is no client {name}")
    return found.id


def names_of(unit: SystemUnit | TenantUnit, chains: Sequence[int]) -> dict[int, str]:
    """Identifiers of the clients among those chains."""
    return {row.id: row.identifier for row in unit.all(_NAMES, ids=numbers(set(chains)))}
