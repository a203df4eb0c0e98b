"""The threads of the SQLite store: workers for units of work, sync of the write-ahead log, and checkpoints."""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import sqlite3
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from manifest_auth.store.store import StoreUnavailable, Work

T = TypeVar("T")

CHECKPOINT_EVERY = 200  # units of work on the event loop; a sign-in changes some ten pages of 4 KiB
GROUP = 256  # units of work in one commit, so that the first one does not wait too long


class Job:
    """A unit of work and the future of its caller."""

    __slots__ = ("error", "future", "result", "work")

    def __init__(self, work: Work[Any], future: asyncio.Future[Any]) -> None:
        self.work = work
        self.future = future
        self.result: Any = None
        self.error: BaseException | None = None


def settle(group: list[Job]) -> None:
    """Resolves the futures. On the event loop only."""
    for job in group:
        if job.future.cancelled():
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)


class Worker(threading.Thread):
    """A thread with a connection and a queue of units; ``run_group`` gets all queued units together."""

    def __init__(
        self, name: str, raw: sqlite3.Connection, run_group: Callable[[sqlite3.Connection, list[Job]], None]
    ) -> None:
        super().__init__(name=name, daemon=True)
        self.jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._raw, self._run_group = raw, run_group
        self._loop = asyncio.get_running_loop()

    def submit(self, work: Work[T]) -> asyncio.Future[T]:
        """Queues a unit."""
        future: asyncio.Future[T] = self._loop.create_future()
        self.jobs.put(Job(work, future))
        return future

    def stop(self) -> None:
        """Finishes what is queued, then ends. Blocks."""
        self.jobs.put(None)
        self.join(10)
        self._raw.close()

    def run(self) -> None:
        """The thread."""
        while True:
            group: list[Job] = []
            job = self.jobs.get()
            while job is not None:
                group.append(job)
                if len(group) >= GROUP:
                    break
                try:
                    job = self.jobs.get_nowait()
                except queue.Empty:
                    break
            if group:
                try:
                    self._run_group(self._raw, group)
                except BaseException as error:  # noqa: BLE001 - the waiting requests must get the error
                    for waiting in group:
                        waiting.error = error
                with contextlib.suppress(RuntimeError):  # the loop is closed: no caller waits
                    self._loop.call_soon_threadsafe(settle, group)
            if job is None:
                return


class Syncer(threading.Thread):
    """Syncs the write-ahead log after commits that did not, and only then resolves their futures.

    One sync serves every group that committed before it started. SQLite takes no lock on the log file, so a second
    descriptor on it is safe.
    """

    def __init__(self, log: str) -> None:
        super().__init__(name="store-sync", daemon=True)
        self._descriptor = os.open(log, os.O_RDWR | os.O_CREAT, 0o644)
        self._log = log
        self._go: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._waiting: list[Job] = []
        self._syncing: list[Job] = []

    def settle_after_sync(self, group: list[Job]) -> None:
        """Queues a group that has just committed. On the event loop only."""
        self._waiting += group
        if not self._syncing:
            self._start()

    def stop(self) -> None:
        """Syncs what is queued, then ends. Blocks."""
        self._go.put(False)
        self.join(10)
        os.close(self._descriptor)

    def run(self) -> None:
        """The thread."""
        while self._go.get():
            error: OSError | None = None
            try:
                os.fdatasync(self._descriptor)
            except OSError as failed:
                error = failed
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._synced, error)

    def _start(self) -> None:
        self._syncing, self._waiting = self._waiting, []
        self._go.put(True)

    def _synced(self, error: OSError | None) -> None:
        done, self._syncing = self._syncing, []
        if error is not None:
            for job in done:
                job.error = StoreUnavailable(f"{self._log}: {error}")
        if self._waiting:
            self._start()
        settle(done)


class Checkpointer(threading.Thread):
    """Moves the write-ahead log into the database, so that no commit on the event loop has to: its two syncs take some
    milliseconds. It does not block writers."""

    def __init__(self, raw: sqlite3.Connection) -> None:
        super().__init__(name="store-checkpoint", daemon=True)
        self._raw = raw
        self._go: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._units = 0

    def count(self, units: int) -> None:
        """Counts committed units, and starts a checkpoint every :data:`CHECKPOINT_EVERY`. On the event loop only."""
        self._units += units
        if self._units >= CHECKPOINT_EVERY:
            self._units = 0
            self._go.put(True)

    def stop(self) -> None:
        """Ends after the running checkpoint. Blocks."""
        self._go.put(False)
        self.join(10)
        self._raw.close()

    def run(self) -> None:
        """The thread."""
        while self._go.get():
            with contextlib.suppress(sqlite3.Error):  # tried again soon; writers report a broken disk
                self._raw.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
