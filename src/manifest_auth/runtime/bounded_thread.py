"""One thread beside the event loop, for work that holds Python's lock: what comes runs in turn, and few may wait.

Python's lock makes a second thread useless: the loop would only wait for two.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from manifest_auth.errors import Overloaded

T = TypeVar("T")


class BoundedThread:
    """One for each process and kind of work; the thread starts with the first. ``most``: under way or waiting."""

    def __init__(self, name: str, most: int) -> None:
        self._thread = ThreadPoolExecutor(1, name)
        self.most = most
        self._inside = 0

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """For one piece of work, from its first part to its last. Raises Overloaded when all places are taken."""
        if self._inside >= self.most:
            raise Overloaded(retry_after=1)
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1

    async def run(self, work: Callable[[], T]) -> T:
        """The result of ``work``, which is a part of what a place is taken for."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
