"""What providers publish, kept for an hour: one fetch at a time for each address, whoever asks for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar, get_args

from manifest_auth.clock import Clock
from manifest_auth.metrics import Cache, CacheResult, Metrics
from manifest_auth.outgoing import Unreachable

FRESH_MS = 60 * 60 * 1000
RENEW_MS = 60 * 1000
MOST = 1000
Thing = TypeVar("Thing")


@dataclass(slots=True)
class _Entry(Generic[Thing]):
    thing: Thing
    fetched_at: int
    renewed_at: int | None = None
    failed_at: int | None = None


class Kept(Generic[Thing]):
    """``fetch``: key → thing, within a time of its own; raises Unreachable, or whatever makes the thing no good.

    ``stale_ms``: how old a copy may be that is used while fetching fails; 0: failure closes.
    """

    def __init__(
        self, fetch: Callable[[str], Awaitable[Thing]], clock: Clock, metrics: Metrics, cache: Cache, stale_ms: int = 0
    ) -> None:
        self._fetch, self._clock, self._stale_ms = fetch, clock, stale_ms
        self._hit, self._miss, self._stale = (metrics.cache(cache, result) for result in get_args(CacheResult))
        self._entries: dict[str, _Entry[Thing]] = {}
        self._under_way: dict[str, asyncio.Task[Thing]] = {}

    async def get(self, key: str, deadline: float) -> Thing:
        """The thing, at most an hour old where its source can be reached by the deadline (of the event loop)."""
        entry = self._entries.get(key)
        if entry is None or not self._is_younger(entry.fetched_at, max(FRESH_MS, self._stale_ms)):
            self._miss.inc()
            return await self._fetched(key, deadline)
        if self._is_younger(entry.fetched_at, FRESH_MS):
            self._hit.inc()
            return entry.thing
        if self._is_younger(entry.failed_at, RENEW_MS):
            self._stale.inc()
            return entry.thing
        try:  # the rest of the time is for what the thing is needed for
            now = asyncio.get_running_loop().time()
            thing = await self._fetched(key, now + (deadline - now) / 2)
        except Unreachable:
            self._stale.inc()
            entry.failed_at = self._clock.now_ms()
            return entry.thing
        self._miss.inc()
        return thing

    async def renew(self, key: str, outdated: Thing, deadline: float) -> Thing | None:
        """Something newer than ``outdated``, which did not do; None when the last renewal was less than a minute ago.

        The minute keeps whoever can show tokens of unknown keys from making us fetch for each.
        """
        entry = self._entries.get(key)
        if entry is not None and entry.thing is not outdated:
            return entry.thing
        if entry is not None and self._is_younger(entry.renewed_at, RENEW_MS) and key not in self._under_way:
            return None
        return await self._fetched(key, deadline, is_renewal=True)

    def _is_younger(self, at: int | None, age_ms: int) -> bool:
        return at is not None and 0 <= self._clock.now_ms() - at < age_ms

    async def _fetched(self, key: str, deadline: float, *, is_renewal: bool = False) -> Thing:
        task = self._under_way.get(key)
        if task is None:
            task = self._under_way[key] = asyncio.ensure_future(self._fetch_and_keep(key, is_renewal))
            task.add_done_callback(lambda done: self._forget(key, done))
        try:
            async with asyncio.timeout_at(deadline):
                return await asyncio.shield(task)
        except TimeoutError:
            raise Unreachable(f"{key}: no answer in time") from None

    async def _fetch_and_keep(self, key: str, is_renewal: bool) -> Thing:
        thing = await self._fetch(key)
        now = self._clock.now_ms()
        self._entries.pop(key, None)
        while len(self._entries) >= MOST:
            del self._entries[next(iter(self._entries))]
        self._entries[key] = _Entry(thing, now, now if is_renewal else None)
        return thing

    def _forget(self, key: str, done: asyncio.Task[Thing]) -> None:
        del self._under_way[key]
        if not done.cancelled():
            done.exception()  # looked at, though all who asked may be gone
