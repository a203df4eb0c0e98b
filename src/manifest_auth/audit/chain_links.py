"""Audit chains that exist, and those that should.

Each chain names the one that was created before it, and the installation's names the newest, so that a chain that
was deleted as a whole is noticed.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import select

from manifest_auth.audit.chain_rows import BEFORE_ALL
from manifest_auth.audit.chain_walk import Fault
from manifest_auth.audit.chains import chain_after
from manifest_auth.audit.events import INSTALLATION
from manifest_auth.store import Store, SystemUnit, cross_tenant
from manifest_auth.store.tables import audit_heads

_H = audit_heads.c
_LINKS = cross_tenant(
    select(_H.tenant_id, _H.previous_chain),
    because="verification checks whether a whole chain is missing",
)


class Chains(NamedTuple):
    """``chains``: that exist or should; ``missing``: those that other chains name and that have no head."""

    chains: list[int]
    missing: dict[int, Fault]


async def all_chains(store: Store) -> list[int]:
    """All chains that exist or should: the installation's, and those of clients, including deleted ones."""
    return (await find_chains(store)).chains


async def find_chains(store: Store) -> Chains:
    """All chains, and those that are missing as a whole."""
    missing, found, after = await store.read(_missing), [INSTALLATION], BEFORE_ALL
    while (chain := await store.read(lambda unit: chain_after(unit, after))) is not None:  # noqa: B023 - at once
        after = chain
        found.append(chain)
    return Chains(sorted({*found, *missing}), missing)


def _missing(unit: SystemUnit) -> dict[int, Fault]:
    rows: list[Any] = unit.all(_LINKS)
    gone = {before for _, before in rows} - {chain for chain, _ in rows} - {INSTALLATION}
    return {chain: Fault(1, "missing", "the whole chain is gone, with the record of its end") for chain in gone}
