"""DNS lookups, done before connecting.

So the address that was checked is the one that is called (DNS rebinding).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from manifest_auth.runtime.outgoing.fair_shares import Shares

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
