"""Slots that clients share fairly: whatever others hold, each client can take slots of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Shares:
    """Slots of one kind in one process. ``own``: how many a client can hold at any time. ``common``: while fewer than
    these are held by all clients together, a client can hold up to ``most``.

    So the slots are bounded by ``common`` and by ``own`` for each client that calls, and no client waits for others
    while it holds fewer than ``own``. Who waits longest within a client, and which client holds least, comes first.
    """

    def __init__(self, own: int, most: int, common: int) -> None:
        self._own, self._most, self._common = own, most, common
        self._held: dict[int, int] = {}
        self._total = 0
        self._waiting: dict[int, dict[asyncio.Future[None], None]] = {}

    async def take(self, tenant_id: int) -> None:
        """Waits for a slot. Who took one gives it back."""
        if tenant_id not in self._waiting and self._is_free(tenant_id):
            self._count(tenant_id, 1)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(tenant_id, {})[turn] = None
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._leave(tenant_id, turn)
            else:  # it came in the same moment
                self.give_back(tenant_id)
            raise

    def give_back(self, tenant_id: int) -> None:
        """Frees a slot for whose turn it is."""
        self._count(tenant_id, -1)
        while ready := [waiting for waiting in self._waiting if self._is_free(waiting)]:
            first = min(ready, key=lambda waiting: self._held.get(waiting, 0))
            turn = next(iter(self._waiting[first]))
            self._leave(first, turn)
            if not turn.done():
                self._count(first, 1)
                turn.set_result(None)

    @asynccontextmanager
    async def slot(self, tenant_id: int) -> AsyncIterator[None]:
        """A slot until the end of the block."""
        await self.take(tenant_id)
        try:
            yield
        finally:
            self.give_back(tenant_id)

    def _is_free(self, tenant_id: int) -> bool:
        held = self._held.get(tenant_id, 0)
        return held < self._own or (held < self._most and self._total < self._common)

    def _count(self, tenant_id: int, change: int) -> None:
        self._total += change
        self._held[tenant_id] = self._held.get(tenant_id, 0) + change
        if not self._held[tenant_id]:
            del self._held[tenant_id]

    def _leave(self, tenant_id: int, turn: asyncio.Future[None]) -> None:
        turns = self._waiting.get(tenant_id, {})
        turns.pop(turn, None)
        if not turns:
            self._waiting.pop(tenant_id, None)
