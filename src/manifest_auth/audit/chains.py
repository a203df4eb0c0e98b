"""The owner of an audit chain: each client has one, and the installation has number 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Column, bindparam, func, select

from manifest_auth.audit.chain_rows import MOST
from manifest_auth.audit.events import INSTALLATION
from manifest_auth.errors import NotFound
from manifest_auth.store import CrossTenant, SystemUnit, TenantUnit, among, cross_tenant, global_, numbers
from manifest_auth.store.tables import audit_anchors, audit_events, audit_heads
from manifest_auth.store.tables import tenants as tenants_table

__all__ = ["INSTALLATION", "chain_after", "chain_named", "names_of"]


_T = tenants_table.c


class _Named(NamedTuple):
    id: int
    identifier: str


def _next(column: Column[int]) -> CrossTenant[int]:
    """The lowest number after another, by one step in an index. Texts, which SQLite permits, sort after all numbers."""
    query = select(func.min(column)).where(column > bindparam("after"), column <= MOST)
    return cross_tenant(query, int, because="verification lists all chains")


#: A chain may have events without a head, or the reverse; a client may exist without its chain.
_IN = tuple(_next(table.c.tenant_id) for table in (audit_heads, audit_events, audit_anchors))
_CLIENTS = global_(select(func.min(_T.id)).where(_T.id > bindparam("after")), int)
_BY_IDENTIFIER = global_(select(_T.id, _T.identifier).where(_T.identifier == bindparam("identifier")), _Named)
_NAMES = global_(select(_T.id, _T.identifier).where(among(_T.id, "ids")), _Named)


def chain_after(unit: SystemUnit, chain: int) -> int | None:
    """The next chain after that one which has any row, or should; None: it was the last."""
    rows = (*(unit.first(behind, after=chain) for behind in _IN), unit.first(_CLIENTS, after=chain))
    return min((row for row in rows if row is not None), default=None)


def chain_named(unit: SystemUnit, name: str) -> int:
    """The chain of a client by identifier, or by number (including deleted ones); 0: the installation's. Raises
    NotFound."""
    if name.isascii() and name.isdigit() and len(name) < 19:
        chain = int(name)
        if chain == INSTALLATION or chain_after(unit, chain - 1) == chain:
            return chain
        raise NotFound(f"There is no client {name}, and no audit trail of one")
    found = unit.first(_BY_IDENTIFIER, identifier=name)
    if found is None:
        raise NotFound(f"There is no client {name}")
    return found.id


def names_of(unit: SystemUnit | TenantUnit, chains: Sequence[int]) -> dict[int, str]:
    """Identifiers of the clients among those chains."""
    return {row.id: row.identifier for row in unit.all(_NAMES, ids=numbers(set(chains)))}
