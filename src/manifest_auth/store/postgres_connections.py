"""Connections to PostgreSQL, handed from one unit of work to the next."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from time import monotonic
from typing import Any

import asyncpg

IDLE_S = 300.0  # a connection that nobody used for so long is not trusted: a firewall may have dropped it


class Connections:
    """At most ``most`` connections, the one used last first. A connection is released after a commit or rollback, so
    there is nothing to reset, which saves a round trip; one that is in any other state is closed."""

    def __init__(self, connect: Callable[[], Awaitable[Any]], most: int) -> None:
        self._connect = connect
        self._most = most
        self._count = 0
        self._idle: list[tuple[Any, float]] = []
        self._waiting: deque[asyncio.Future[Any]] = deque()

    async def open(self, count: int) -> None:
        """Makes the first ``count`` connections. Raises what ``connect`` raises."""
        for raw in [await self._take(5) for _ in range(count)]:
            self._give_back(raw)

    @contextlib.asynccontextmanager
    async def acquire(self, seconds: float) -> AsyncIterator[Any]:
        """A connection. Raises TimeoutError where none is free in time, and what ``connect`` raises."""
        raw = await self._take(seconds)
        try:
            yield raw
        except asyncpg.PostgresError:
            self._give_back(raw)
            raise
        except BaseException as error:
            # An answer may be on its way that nobody waits for: only a refusal of our own leaves it as it was.
            if isinstance(error, Exception) and not isinstance(error, TimeoutError | OSError | asyncpg.InterfaceError):
                self._give_back(raw)
            else:
                self._drop(raw)
            raise
        else:
            self._give_back(raw)

    async def close(self) -> None:
        """Closes those that are idle; the others close when they are released."""
        self._most = 0
        idle, self._idle = self._idle, []
        self._count -= len(idle)
        await asyncio.gather(*(raw.close(timeout=2) for raw, _ in idle), return_exceptions=True)

    async def _take(self, seconds: float) -> Any:
        while self._idle:
            raw, since = self._idle.pop()
            if not raw.is_closed() and monotonic() - since < IDLE_S:
                return raw
            self._drop(raw)
        raw = None if self._count < self._most else await self._turn(seconds)
        if raw is not None:
            return raw
        self._count += 1
        try:
            return await self._connect()
        except BaseException:
            self._count -= 1
            self._hand_on(None)
            raise

    async def _turn(self, seconds: float) -> Any:
        """The connection of a caller who has done with it; None: one was closed, and another may be made."""
        turn: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(seconds):
                return await turn
        except BaseException:
            if turn.done() and not turn.cancelled():  # the turn came in this very moment: the next one's
                if turn.result() is None:
                    self._hand_on(None)
                else:
                    self._give_back(turn.result())
            raise

    def _hand_on(self, raw: Any | None) -> bool:
        """Gives a connection, or leave to make one, to who waits longest. False: nobody waits."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(raw)
                return True
        return False

    def _give_back(self, raw: Any) -> None:
        if raw.is_closed() or raw.is_in_transaction() or not self._most:
            self._drop(raw)
        elif not self._hand_on(raw):
            self._idle.append((raw, monotonic()))

    def _drop(self, raw: Any) -> None:
        self._count -= 1
        raw.terminate()
        self._hand_on(None)
