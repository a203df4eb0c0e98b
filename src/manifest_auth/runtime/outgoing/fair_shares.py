"""Slots that clients share fairly: each client has guaranteed slots, whatever other clients use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Shares:
    """Slots of one kind in one process. ``own``: guaranteed slots of a client. While all clients together use fewer
    than ``common``, a client can use up to ``most``.

    So the total is limited by ``common`` plus ``own`` for each calling client, and a client that uses fewer than
    ``own`` never waits. The client with the fewest used slots comes first; within a client, the task that waits
    longest.
    """

    def __init__(self, own: int, most: int, common: int) -> None:
        self._own, self._most, self._common = own, most, common
        self._in_use: dict[int, int] = {}
        self._total = 0
        self._waiting: dict[int, dict[asyncio.Future[None], None]] = {}

    async def acquire(self, tenant_id: int) -> None:
        """Waits for a slot of the tenant. The caller must :meth:`release` it."""
        if tenant_id not in self._waiting and self._is_free(tenant_id):
            self._count(tenant_id, 1)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(tenant_id, {})[turn] = None
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._remove_waiting(tenant_id, turn)
            else:  # the slot was granted at the same moment
                self.release(tenant_id)
            raise

    def release(self, tenant_id: int) -> None:
        """Returns a slot; the next waiting task gets it."""
        self._count(tenant_id, -1)
        while ready := [waiting for waiting in self._waiting if self._is_free(waiting)]:
            first = min(ready, key=lambda waiting: self._in_use.get(waiting, 0))
            turn = next(iter(self._waiting[first]))
            self._remove_waiting(first, turn)
            if not turn.done():
                self._count(first, 1)
                turn.set_result(None)

    @asynccontextmanager
    async def slot(self, tenant_id: int) -> AsyncIterator[None]:
        """A slot until the end of the block."""
        await self.acquire(tenant_id)
        try:
            yield
        finally:
            self.release(tenant_id)

    def _is_free(self, tenant_id: int) -> bool:
        in_use = self._in_use.get(tenant_id, 0)
        return in_use < self._own or (in_use < self._most and self._total < self._common)

    def _count(self, tenant_id: int, change: int) -> None:
        self._total += change
        self._in_use[tenant_id] = self._in_use.get(tenant_id, 0) + change
        if not self._in_use[tenant_id]:
            del self._in_use[tenant_id]

    def _remove_waiting(self, tenant_id: int, turn: asyncio.Future[None]) -> None:
        turns = self._waiting.get(tenant_id, {})
        turns.pop(turn, None)
        if not turns:
            self._waiting.pop(tenant_id, None)
