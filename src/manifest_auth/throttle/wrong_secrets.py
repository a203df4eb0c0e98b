"""Counts wrong secrets and assertions of machines, by address and by client id: 30 are free, then pauses follow.

No secret is guessed: it has 256 random bits. The pauses bound the work that junk makes. While an address waits, this
process refuses what comes from there without asking the store, secrets that it knows to be right apart.
"""

from __future__ import annotations

from typing import Final

from manifest_auth.errors import RateLimited
from manifest_auth.runtime.clock import Clock
from manifest_auth.runtime.metrics import EntryPoint
from manifest_auth.store import Store, SystemUnit
from manifest_auth.text.machine_secrets import hash_of
from manifest_auth.throttle import throttle
from manifest_auth.throttle.throttle import Counter, Policy, Throttle, Wait

ENTRY_POINT: Final[EntryPoint] = "machine"
POLICY: Final = Policy(free=30, longest_ms=60_000, memory_ms=60 * 60_000, ceiling=None)
_MOST = 10_000  # remembered counters, and remembered secrets


class WrongSecrets:
    """The counters, and what this process knows of them."""

    def __init__(self, throttle: Throttle, store: Store, clock: Clock) -> None:
        self._throttle, self._store, self._clock = throttle, store, clock
        self._until: dict[str, int] = {}  # when a counter lets the next one pass, milliseconds
        self._right: dict[str, None] = {}  # hashes of secrets that were right, the newest last

    def check(self, address: str, secret: str, client_id: str = "") -> None:
        """Raises RateLimited while address or client id has to wait, as far as this process knows, unless the secret
        was right before. Never asks the store. ``secret``: empty for an assertion."""
        if not self._until or not self._throttle.is_on:
            return
        now = self._clock.now_ms()
        wait = max((self._until.get(counter.key, 0) - now for counter in _counters(address, client_id)), default=0)
        if wait > 0 and (not secret or hash_of(secret) not in self._right):
            raise self._throttle.refusal(ENTRY_POINT, Wait(wait, "address"))

    def was_right(self, secret: str) -> None:
        """Remembers that the secret was right."""
        hashed = hash_of(secret)
        if hashed not in self._right:
            _make_place(self._right)
            self._right[hashed] = None

    async def count(self, address: str, client_id: str = "") -> None:
        """Counts a wrong one. Raises RateLimited where address or client id has to wait."""
        if not self._throttle.is_on:
            return
        counters = throttle.in_order(_counters(address, client_id))
        now = self._clock.now_ms()

        def work(unit: SystemUnit) -> throttle.Pause | None:
            return throttle.count_each(unit, counters, now)

        pause = await self._store.write(work)
        if pause is not None:
            _make_place(self._until)
            self._until[pause.by.key] = now + pause.ms
            raise self._refusal(pause)

    def _refusal(self, pause: throttle.Pause) -> RateLimited:
        return self._throttle.refusal(ENTRY_POINT, Wait(pause.ms, "address"))


def _counters(address: str, client_id: str) -> tuple[Counter, ...]:
    found = throttle.by_address(POLICY, lambda network: throttle.key_of(ENTRY_POINT, "from", network), address)
    return (*found, Counter(throttle.key_of(ENTRY_POINT, "account", client_id), POLICY)) if client_id else found


def _make_place(remembered: dict[str, int] | dict[str, None]) -> None:
    """Forgets the oldest entries of a full one."""
    while len(remembered) >= _MOST:
        del remembered[next(iter(remembered))]
