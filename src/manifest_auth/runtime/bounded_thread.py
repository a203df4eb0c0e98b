"""One thread in addition to the event loop, for work that holds Python's global lock.

Work runs in order; only a few tasks can wait.

A second thread would not help, because the global lock makes the event loop wait for both.
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
    """One object per process and kind of work. The thread starts with the first task. ``most``: maximum number of tasks
    that run or wait."""

    def __init__(self, name: str, most: int) -> None:
        self._thread = ThreadPoolExecutor(1, name)
        self.most = most
        self._inside = 0

    @contextlib.contextmanager
    def slot(self) -> Iterator[None]:
        """Reserves a slot for one task, from its first part to its last. Raises Overloaded if no slot is free."""
        if self._inside >= self.most:
            raise Overloaded(retry_after=1)
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1

    async def run(self, work: Callable[[], T]) -> T:
        """Runs ``work``, a part of a task with a slot, in the thread. Returns its result."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
