"""Tells what an upgrade of the schema does, also while one statement takes minutes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

#: Gets what is done, how many parts of it are done, and of how many.
Progress = Callable[[str, int, int], None]
_PAUSE_S: Final = 0.5


class Steps:
    """``with Steps(progress) as step: step("users", 3, 30)``. A thread tells the newest step again and again:
    ``progress`` itself decides what of it is shown."""

    def __init__(self, schema: str, progress: Progress) -> None:
        self._schema, self._progress = schema, progress
        self._now: tuple[str, int, int] | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._tell, name="upgrade-steps", daemon=True)

    def __enter__(self) -> Steps:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def __call__(self, what: str, done: int, of: int) -> None:
        self._now = (f"upgrading the schema to {self._schema}: {what}", done, of)

    def _tell(self) -> None:
        while not self._over.wait(_PAUSE_S):
            if self._now is not None:
                self._progress(*self._now)
