"""Which worker runs which file: each file whole on one of them, those that run alone last."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable


class Scheduling:
    """``files``: in the order in which they are to run; ``alone``: those of them beside which nothing runs."""

    def __init__(self, files: Iterable[str], alone: Iterable[str]) -> None:
        self._ahead, self._alone = deque(files), frozenset(alone)
        self._running: dict[str, str | None] = {}  # by worker, its file
        self._ending: set[str] = set()

    def begins(self, worker: str) -> None:
        """There is one more, which has nothing to do."""
        self._running[worker] = None

    def has_run(self, worker: str) -> None:
        """It has run the file that it was given."""
        self._running[worker] = None

    def ended(self, worker: str, again: str | None = None) -> None:
        """It is no more. ``again``: a file of which it has left tests."""
        del self._running[worker]
        self._ending.discard(worker)
        if again is not None:
            self._ahead.appendleft(again)

    def file_of(self, worker: str) -> str | None:
        """What it runs."""
        return self._running[worker]

    @property
    def is_work_left(self) -> bool:
        """Whether a file waits for a worker."""
        return bool(self._ahead)

    def next(self) -> Iterable[tuple[str, str | None]]:
        """Workers that have nothing to do, each with the file that it is to run, or None: it is to end. Once nothing is
        left but what runs alone, the last worker gets it when the others have ended."""
        for worker in [name for name, file in self._running.items() if file is None and name not in self._ending]:
            is_alone = bool(self._ahead) and self._ahead[0] in self._alone
            is_last = len(self._running) - len(self._ending) == 1
            if is_alone and is_last and len(self._running) > 1:
                continue
            if not self._ahead or (is_alone and not is_last):
                self._ending.add(worker)
                yield worker, None
            else:
                self._running[worker] = self._ahead.popleft()
                yield worker, self._running[worker]
