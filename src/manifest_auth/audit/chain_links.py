"""Which chains there are, and which there should be: each is tied to the one that was begun before it, and the
installation's to the newest, so that a chain that was taken away whole leaves a loose end."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import select

from manifest_auth.audit.chain import Fault
from manifest_auth.audit.chains import chains_after
from manifest_auth.audit.events import INSTALLATION
from manifest_auth.store import Store, SystemUnit, crossing
from manifest_auth.store.tables import audit_heads

_H = audit_heads.c
_TIES = crossing(
    select(_H.tenant_id, _H.previous_chain).order_by(_H.tenant_id),
    because="who proves the trail asks whether a chain is missing whole",
)
_NOBODYS = "there are records under a number that no client can have"


class Chains(NamedTuple):
    """``chains``: that there are or should be; ``faults``: by chain."""

    chains: list[int]
    faults: dict[int, list[Fault]]


async def all_chains(store: Store) -> list[int]:
    """All chains that there are or should be: the installation's, and those of clients, deleted ones too."""
    return (await chains_found(store)).chains


async def chains_found(store: Store) -> Chains:
    """The same, and what is wrong with the ties between them."""
    faults = await store.read(_look)
    found, after, stray = [INSTALLATION], None, False
    while (chain := await store.read(lambda unit: chains_after(unit, after))) is not None:  # noqa: B023 - at once
        after = chain
        if isinstance(chain, int):
            found.append(chain)
        else:
            stray = True
    if stray:
        faults.setdefault(INSTALLATION, []).append(Fault(0, "inserted", _NOBODYS))
    return Chains(sorted({*found, *faults}), faults)


def _look(unit: SystemUnit) -> dict[int, list[Fault]]:
    rows: list[Any] = unit.all(_TIES)
    ties = {chain: before for chain, before in rows if isinstance(chain, int) and isinstance(before, int)}
    faults: dict[int, list[Fault]] = {}
    named = {before: chain for chain, before in ties.items() if before != INSTALLATION}
    for missing in sorted(set(named) - set(ties)):
        faults[missing] = [Fault(1, "missing", "the whole chain is gone, with the record of its end")]
    if INSTALLATION not in ties:
        return faults  # nothing tells which chain was the last one; that the head is missing is told by the walk
    loose = sorted(set(ties) - set(named) - {INSTALLATION})
    if len(loose) > len(faults):  # behind each that is missing there is one that nothing leads to
        for chain in loose:
            faults.setdefault(chain, []).append(Fault(0, "inserted", "is not tied to the other clients' chains"))
    return faults
