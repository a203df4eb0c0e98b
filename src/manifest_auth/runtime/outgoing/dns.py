"""DNS lookups, done before connecting.

So the address that was checked is the one that is called (DNS rebinding).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

# Slots that clients share fairly: each client has guaranteed slots, whatever other clients use.


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


#: Host and port to addresses, the best first. Blocks; raises OSError.
Resolve = Callable[[str, int], list[str]]
#: Simultaneous lookups: guaranteed for a client; maximum for a client (more than its providers, all of which may have
#: dead name servers); and total above which a client has only its guaranteed number.
OWN, MOST, COMMON = 8, 64, 128
_THREADS = 10_000  # started on demand; the shares limit them


def system(host: str, port: int) -> list[str]:
    """The addresses from the operating system's resolver."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Resolver:
    """DNS lookups in threads. Simultaneous requests for one name share one lookup and one thread.

    A lookup cannot be cancelled, and a dead name server blocks a thread for many seconds. So the client that started it
    uses a slot of its share until the thread is free, even when the call itself was given up.
    """

    def __init__(self, resolve: Resolve = system) -> None:
        self._resolve = resolve
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="names")
        self._shares = Shares(OWN, MOST, COMMON)
        self._under_way: dict[tuple[str, int], asyncio.Future[list[str]]] = {}

    async def resolve(self, host: str, port: int, tenant_id: int) -> list[str]:
        """The addresses of a host, the best first. Raises OSError (socket.gaierror) without any; UnicodeError for an
        invalid name."""
        if (host, port) not in self._under_way:  # while it waits for a slot, no other call waits with it
            await self._shares.acquire(tenant_id)
            if (host, port) in self._under_way:
                self._shares.release(tenant_id)
            else:
                self._begin(host, port, tenant_id)
        return await asyncio.shield(self._under_way[host, port])

    def _begin(self, host: str, port: int, tenant_id: int) -> None:
        look_up = asyncio.get_running_loop().run_in_executor(self._threads, self._resolve, host, port)
        self._under_way[host, port] = look_up
        look_up.add_done_callback(lambda done: self._forget((host, port), tenant_id, done))

    def _forget(self, key: tuple[str, int], tenant_id: int, done: asyncio.Future[list[str]]) -> None:
        del self._under_way[key]
        self._shares.release(tenant_id)
        if not done.cancelled():
            done.exception()  # marks the error as handled; the callers may be gone

    def close(self) -> None:
        """Stops without waiting for running lookups."""
        self._threads.shutdown(wait=False, cancel_futures=True)
