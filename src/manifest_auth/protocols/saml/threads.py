"""Where SAML responses are read and verified: off the event loop, one after the other, as many as may wait.

A large response takes some 15 ms, and anybody may send one. One thread is enough: it holds Python's lock for most of
the time, and a second would only make the loop wait for two.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from manifest_auth.errors import Overloaded

T = TypeVar("T")
MOST = 32  # under way or waiting: half a second's worth of the largest


class SamlThreads:
    """One for each process; the thread starts with the first response."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(1, "saml")
        self._inside = 0

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """For one response, until it is judged. Raises Overloaded when all are taken."""
        if self._inside >= MOST:
            raise Overloaded(retry_after=1)
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1

    async def run(self, work: Callable[[], T]) -> T:
        """The result of ``work``, which is a part of what a place was taken for."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
