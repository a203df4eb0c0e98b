"""Names to numbers: looked up by us, so that what was checked is what is called (against DNS rebinding)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from manifest_auth.runtime.outgoing.fair_shares import Shares

#: Host and port → addresses, the best first. Blocks; raises OSError.
Resolve = Callable[[str, int], list[str]]
#: Look-ups at once: of a client in any case, of a client at most (more than it can have providers, which may all have
#: dead name servers), and of all clients together before each is left to the first number.
OWN, MOST, COMMON = 8, 64, 128
_THREADS = 10_000  # made when they are needed; the shares are what bounds them


def system(host: str, port: int) -> list[str]:
    """The addresses as the operating system knows them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Names:
    """Look-ups in threads of their own. Those who ask for one name at a time share one look-up, and one thread.

    A look-up cannot be called off, and a dead name server takes a thread for many seconds. So the client for which it
    began holds a slot of its share until the thread is free, though the call itself was given up.
    """

    def __init__(self, resolve: Resolve = system) -> None:
        self._resolve = resolve
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="names")
        self._shares = Shares(OWN, MOST, COMMON)
        self._under_way: dict[tuple[str, int], asyncio.Future[list[str]]] = {}

    async def find(self, host: str, port: int, tenant_id: int) -> list[str]:
        """Raises OSError (socket.gaierror) when there is none; UnicodeError for what can be no name."""
        if (host, port) not in self._under_way:  # what waits for a share is not under way: no other call waits with it
            await self._shares.take(tenant_id)
            if (host, port) in self._under_way:
                self._shares.give_back(tenant_id)
            else:
                self._begin(host, port, tenant_id)
        return await asyncio.shield(self._under_way[host, port])

    def _begin(self, host: str, port: int, tenant_id: int) -> None:
        look_up = asyncio.get_running_loop().run_in_executor(self._threads, self._resolve, host, port)
        self._under_way[host, port] = look_up
        look_up.add_done_callback(lambda done: self._forget((host, port), tenant_id, done))

    def _forget(self, key: tuple[str, int], tenant_id: int, done: asyncio.Future[list[str]]) -> None:
        del self._under_way[key]
        self._shares.give_back(tenant_id)
        if not done.cancelled():
            done.exception()  # looked at, though all who asked may be gone

    def close(self) -> None:
        """Waits for nobody."""
        self._threads.shutdown(wait=False, cancel_futures=True)
