"""A cache of provider documents: fetched again after an hour, used longer only while fetching fails.

One fetch of a document at a time for each client; the documents are shared by all clients.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar, get_args

from manifest_auth.runtime.clock import Clock
from manifest_auth.runtime.metrics import Cache, CacheResult, Metrics
from manifest_auth.runtime.outgoing import Deadline, Unreachable

FRESH_MS = 60 * 60 * 1000
RENEW_MS = 60 * 1000
MOST = 1000
Thing = TypeVar("Thing")


@dataclass(slots=True)
class _Entry(Generic[Thing]):
    thing: Thing
    fetched_at: int
    renewed_at: int | None = None
    failed_at: dict[int, int] = field(default_factory=dict)  # by client: the calls of one client may fail alone


class TtlCache(Generic[Thing]):
    """``fetch``: from key and client to the value, with its own time limit; raises Unreachable, or another error of an
    invalid value.

    ``stale_ms``: the maximum age of a copy that is used while fetching fails; 0: none. No client waits for the fetch of
    another client, whose share may be used up.
    """

    def __init__(
        self,
        fetch: Callable[[str, int], Awaitable[Thing]],
        clock: Clock,
        metrics: Metrics,
        cache: Cache,
        stale_ms: int = 0,
    ) -> None:
        self._fetch, self._clock, self._stale_ms = fetch, clock, stale_ms
        self._hit, self._miss, self._stale = (metrics.cache(cache, result) for result in get_args(CacheResult))
        self._entries: dict[str, _Entry[Thing]] = {}
        self._under_way: dict[tuple[str, int], asyncio.Task[Thing]] = {}

    async def get(self, key: str, deadline: Deadline) -> Thing:
        """The cached value, at most an hour old if its source can be reached before the deadline."""
        entry = self._entries.get(key)
        if entry is None or not self._is_younger(entry.fetched_at, max(FRESH_MS, self._stale_ms)):
            self._miss.inc()
            return await self._fetch_once(key, deadline)
        if self._is_younger(entry.fetched_at, FRESH_MS):
            self._hit.inc()
            return entry.thing
        if self._is_younger(entry.failed_at.get(deadline.tenant_id), RENEW_MS):
            self._stale.inc()
            return entry.thing
        try:  # the rest of the time is for the use of the value
            now = asyncio.get_running_loop().time()
            thing = await self._fetch_once(key, deadline._replace(at=now + (deadline.at - now) / 2))
        except Unreachable:
            self._stale.inc()
            entry.failed_at[deadline.tenant_id] = self._clock.now_ms()
            return entry.thing
        self._miss.inc()
        return thing

    async def renew(self, key: str, outdated: Thing, deadline: Deadline) -> Thing | None:
        """A newer value than ``outdated``, which was not sufficient; None when the last renewal was less than a minute
        ago.

        The minute prevents an attacker with tokens of unknown keys from causing a fetch for each.
        """
        entry, tenant_id = self._entries.get(key), deadline.tenant_id
        if entry is not None and entry.thing is not outdated:
            return entry.thing
        is_new = entry is not None and self._is_younger(entry.renewed_at, RENEW_MS)
        if is_new and (key, tenant_id) not in self._under_way:
            return None
        return await self._fetch_once(key, deadline, is_renewal=True)

    def _is_younger(self, at: int | None, age_ms: int) -> bool:
        return at is not None and 0 <= self._clock.now_ms() - at < age_ms

    async def _fetch_once(self, key: str, deadline: Deadline, *, is_renewal: bool = False) -> Thing:
        asked = (key, deadline.tenant_id)
        task = self._under_way.get(asked)
        if task is None:
            task = self._under_way[asked] = asyncio.ensure_future(self._fetch_and_store(*asked, is_renewal))
            task.add_done_callback(lambda done: self._forget(asked, done))
        try:
            async with asyncio.timeout_at(deadline.at):
                return await asyncio.shield(task)
        except TimeoutError:
            raise Unreachable(f"{key}: no answer in time") from None

    async def _fetch_and_store(self, key: str, tenant_id: int, is_renewal: bool) -> Thing:
        thing = await self._fetch(key, tenant_id)
        now = self._clock.now_ms()
        self._entries.pop(key, None)
        while len(self._entries) >= MOST:
            del self._entries[next(iter(self._entries))]
        self._entries[key] = _Entry(thing, now, now if is_renewal else None)
        return thing

    def _forget(self, asked: tuple[str, int], done: asyncio.Task[Thing]) -> None:
        del self._under_way[asked]
        if not done.cancelled():
            done.exception()  # marks the error as handled; the callers may be gone
