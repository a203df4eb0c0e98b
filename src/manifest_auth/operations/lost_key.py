"""Goes on after the secret key was lost: replaces what no key opens, and begins the proof of the audit trail again.

Second factors and PINs stay, though no key opens them: without them a password alone would sign in. ``doctor`` names
them, and who replaces them.
"""

from __future__ import annotations

from typing import NamedTuple

from manifest_auth import audit
from manifest_auth.audit import Event
from manifest_auth.context import Acting
from manifest_auth.operations.reencrypt import SEALED, lost_rows
from manifest_auth.runtime.sealing import Sealer
from manifest_auth.sessions.tokens import KeyRing
from manifest_auth.store import Store, SystemUnit

_PROVIDERS = next(part for part in SEALED if part.name == "providers.secrets")


class Replaced(NamedTuple):
    """Numbers of signing keys and of providers whose secrets are gone; ``chains``: whose proof began again."""

    keys: int
    providers: int
    chains: list[int]


async def replace_lost(store: Store, ring: KeyRing, sealer: Sealer, acting: Acting, reason: str) -> Replaced:
    """Changes only what none of the secret keys opens or made; repeat it if it was interrupted."""
    chains = await audit.all_chains(store)
    restarted = [
        chain for chain in chains if await store.of(chain).write(lambda unit: audit.restart(unit, acting, reason))
    ]
    providers = 0
    async for row in lost_rows(store, sealer, _PROVIDERS):
        change = {"before": row["secrets"], "renewed": None, **_PROVIDERS.key_of(row, "of")}
        providers += await store.write(lambda unit: unit.change(_PROVIDERS.change, **change))  # noqa: B023 - awaited

    def work(unit: SystemUnit) -> int:
        keys = ring.replace_lost(unit)
        if keys or providers or restarted:
            detail = {"keys": keys, "providers": providers, "chains": len(restarted)}
            audit.record_installation(unit, acting, Event.SECRET_KEY_LOST, "", reason=reason, **detail)
        return len(keys)

    return Replaced(await store.write(work), providers, restarted)
