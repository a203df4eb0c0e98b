"""Counters of wrong credentials of machines: by address, and by the client id that they name.

Only what is wrong is counted, and only what is wrong has to wait: a secret has 256 random bits, so a right one is no
guess, and no stranger can lock a machine out.
"""

from __future__ import annotations

from manifest_auth.errors import RateLimited
from manifest_auth.runtime.metrics import EntryPoint
from manifest_auth.store import Store, SystemUnit
from manifest_auth.throttle.throttle import Counter, Policy, Throttle, Wait, by_address, count_each, in_order, key_of

_ENTRY: EntryPoint = "service"
WRONG = Policy(free=30, longest_ms=15 * 60_000, memory_ms=60 * 60_000, ceiling=None)


async def count_wrong(throttle: Throttle, store: Store, address: str, client_id: str, now: int) -> RateLimited | None:
    """Counts a wrong credential. ``client_id``: that it names, empty where none. Returns None, or the refusal where
    further ones have to wait."""
    if not throttle.is_on:
        return None
    by_client = (Counter(key_of(_ENTRY, "account", client_id), WRONG),) if client_id else ()
    counters = in_order((*by_address(WRONG, lambda network: key_of(_ENTRY, "from", network), address), *by_client))

    def work(unit: SystemUnit) -> Wait | None:
        pause = count_each(unit, counters, now)
        return None if pause is None else Wait(pause.ms, "account" if pause.by in by_client else "address")

    wait = await store.write_quickly(work)
    return None if wait is None else throttle.refusal(_ENTRY, wait)
