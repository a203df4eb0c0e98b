"""Chains and whose they are: each client has one, and the installation has number 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Column, bindparam, func, select

from manifest_auth.audit.events import INSTALLATION
from manifest_auth.errors import NotFound
from manifest_auth.store import Crossing, SystemUnit, TenantUnit, Unowned, among, crossing, numbers, unowned
from manifest_auth.store.tables import audit_anchors, audit_events, audit_heads
from manifest_auth.store.tables import tenants as tenants_table

__all__ = ["INSTALLATION", "chain_named", "chains_after", "names_of"]


class _Next(NamedTuple):
    chain: int | None


class _Named(NamedTuple):
    id: int
    identifier: str


def _next(column: Column[int]) -> tuple[Crossing[_Next], Crossing[_Next]]:
    """The lowest number of all, and the lowest behind another."""
    why, query = "who proves the trail asks which chains there are", select(func.min(column))
    behind = query.where(column > bindparam("after"))
    return crossing(query, _Next, because=why), crossing(behind, _Next, because=why)


#: A chain whose head somebody deleted still has events, and the reverse; each look-up is one step into an index.
_IN = tuple(_next(table.c.tenant_id) for table in (audit_heads, audit_events, audit_anchors))
_IN_TENANTS: Unowned[_Next] = unowned(
    select(func.min(tenants_table.c.id)).where(tenants_table.c.id > bindparam("after")), _Next
)
_BY_IDENTIFIER = unowned(
    select(tenants_table.c.id, tenants_table.c.identifier).where(tenants_table.c.identifier == bindparam("identifier")),
    _Named,
)
_NAMES = unowned(select(tenants_table.c.id, tenants_table.c.identifier).where(among(tenants_table.c.id, "ids")), _Named)


def chains_after(unit: SystemUnit, chain: Any) -> Any:
    """The next chain behind that one, of which something is in the store, or should be; None: the last. Where somebody
    wrote by hand, SQLite may answer with something else than a number."""
    rows = [unit.first(first) if chain is None else unit.first(behind, after=chain) for first, behind in _IN]
    if chain is None or isinstance(chain, int):
        rows.append(unit.first(_IN_TENANTS, after=0 if chain is None else max(chain, 0)))
    found = [row.chain for row in rows if row is not None and row.chain is not None]
    # As SQLite orders them: numbers, texts, other bytes.
    kinds = [[one for one in found if isinstance(one, kind)] for kind in (int | float, str, bytes)]
    return next((min(some) for some in kinds if some), None)


def chain_named(unit: SystemUnit, name: str) -> int:
    """The chain of a client by identifier or number, deleted ones too by number; 0: the installation's. Raises
    NotFound."""
    if name.isascii() and name.isdigit() and len(name) < 19:
        chain = int(name)
        if chain == INSTALLATION or chains_after(unit, chain - 1) == chain:
            return chain
        raise NotFound(f"There is no client {name}, and no trail of one")
    found = unit.first(_BY_IDENTIFIER, identifier=name)
    if found is None:
        raise NotFound(f"There is no client {name}")
    return found.id


def names_of(unit: SystemUnit | TenantUnit, chains: Sequence[int]) -> dict[int, str]:
    """Identifiers of the clients among those chains."""
    return {row.id: row.identifier for row in unit.all(_NAMES, ids=numbers(set(chains)))}
