"""Tells what an upgrade of the schema does, also while one statement takes minutes."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Final

#: Gets what is done, how many parts of it are done, and of how many.
Progress = Callable[[str, int, int], None]
_PAUSE_S: Final = 0.5


@contextlib.contextmanager
def told_again(schema: str, progress: Progress) -> Iterator[Progress]:
    """``with told_again("0013", progress) as step: step("users", 3, 30)``. A thread tells the newest step again and
    again: ``progress`` itself decides what of it is shown."""
    steps, over = list[tuple[str, int, int]](), threading.Event()

    def tell() -> None:
        while not over.wait(_PAUSE_S):
            if steps:
                progress(*steps[-1])

    thread = threading.Thread(target=tell, name="upgrade-steps", daemon=True)
    thread.start()
    try:
        yield lambda what, done, of: steps.append((f"upgrading the schema to {schema}: {what}", done, of))
    finally:
        over.set()
        thread.join()
