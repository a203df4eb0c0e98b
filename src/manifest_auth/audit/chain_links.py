"""Which chains there are, and which there should be: each is tied to the one that was begun before it, and the
installation's to the newest, so that a chain that was taken away whole leaves a loose end."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import select

from manifest_auth.audit.chain import Fault
from manifest_auth.audit.chain_rows import BEFORE_ALL
from manifest_auth.audit.chains import chain_after
from manifest_auth.audit.events import INSTALLATION
from manifest_auth.store import Store, SystemUnit, cross_tenant
from manifest_auth.store.tables import audit_heads

_H = audit_heads.c
_TIES = cross_tenant(
    select(_H.tenant_id, _H.previous_chain),
    because="who proves the trail asks whether a chain is missing whole",
)


class Chains(NamedTuple):
    """``chains``: that there are or should be; ``missing``: those of them that others name and that have no end."""

    chains: list[int]
    missing: dict[int, Fault]


async def all_chains(store: Store) -> list[int]:
    """All chains that there are or should be: the installation's, and those of clients, deleted ones too."""
    return (await chains_found(store)).chains


async def chains_found(store: Store) -> Chains:
    """The same, with those that are missing whole."""
    missing, found, after = await store.read(_missing), [INSTALLATION], BEFORE_ALL
    while (chain := await store.read(lambda unit: chain_after(unit, after))) is not None:  # noqa: B023 - at once
        after = chain
        found.append(chain)
    return Chains(sorted({*found, *missing}), missing)


def _missing(unit: SystemUnit) -> dict[int, Fault]:
    rows: list[Any] = unit.all(_TIES)
    gone = {before for _, before in rows} - {chain for chain, _ in rows} - {INSTALLATION}
    return {chain: Fault(1, "missing", "the whole chain is gone, with the record of its end") for chain in gone}
