"""Names to numbers: looked up by us, so that what was checked is what is called (against DNS rebinding)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

#: Host and port → addresses, the best first. Blocks; raises OSError.
Resolve = Callable[[str, int], list[str]]
#: More than one client may have providers: each name that nobody answers for keeps one for many seconds.
_THREADS = 64


def system(host: str, port: int) -> list[str]:
    """The addresses as the operating system knows them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Names:
    """Look-ups in threads of their own. Those who ask for one name at a time share one look-up, and one thread.

    A look-up cannot be called off, and a dead name server takes a thread for many seconds: without this one tenant's
    would keep those of all others waiting.
    """

    def __init__(self, resolve: Resolve = system) -> None:
        self._resolve = resolve
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="names")
        self._under_way: dict[tuple[str, int], asyncio.Future[list[str]]] = {}

    async def find(self, host: str, port: int) -> list[str]:
        """Raises OSError (socket.gaierror) when there is none; UnicodeError for what can be no name."""
        key = (host, port)
        look_up = self._under_way.get(key)
        if look_up is None:
            look_up = asyncio.get_running_loop().run_in_executor(self._threads, self._resolve, host, port)
            self._under_way[key] = look_up
            look_up.add_done_callback(lambda done: self._forget(key, done))
        return await asyncio.shield(look_up)

    def _forget(self, key: tuple[str, int], done: asyncio.Future[list[str]]) -> None:
        del self._under_way[key]
        if not done.cancelled():
            done.exception()  # looked at, though all who asked may be gone

    def close(self) -> None:
        """Waits for nobody."""
        self._threads.shutdown(wait=False, cancel_futures=True)
