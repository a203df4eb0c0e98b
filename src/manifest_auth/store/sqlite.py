"""SQLite: one writer thread that commits in groups, one reader thread, key reads on the event loop itself.

Durability: WAL with ``synchronous=FULL``. Every commit is on the disk before its answer leaves (contract, section 12);
the price, one fsync, is shared by all units of work that queued up while the last one ran (group commit). When one of
a group fails, the group is rolled back and run again with a savepoint for each unit, so that the one that failed takes
nothing of the others with it. Units are plain functions of what they read, so they can run twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from manifest_auth.errors import Conflict
from manifest_auth.store.statements import Crossing, Statement, Unowned
from manifest_auth.store.store import Store, StoreUnavailable, Work
from manifest_auth.store.unit import Announcement, Connection, SystemUnit

T = TypeVar("T")
R = TypeVar("R")

BUSY_MS = 5000
GROUP = 256  # units of work in one commit, so that the first of them is not kept waiting


class SqliteConnection(Connection):
    """The transaction that is open on one sqlite3 connection."""

    def __init__(self, raw: sqlite3.Connection) -> None:
        super().__init__()
        self._raw = raw

    def fetch(self, statement: Statement[Any], values: dict[str, Any]) -> Sequence[Any]:
        return self._execute(statement, values).fetchall()

    def change(self, statement: Statement[Any], values: dict[str, Any]) -> int:
        return self._execute(statement, values).rowcount

    def _execute(self, statement: Statement[Any], values: dict[str, Any]) -> sqlite3.Cursor:
        compiled = statement.sqlite
        try:
            return self._raw.execute(compiled.sql, compiled.values(values))
        except sqlite3.IntegrityError as error:
            if error.sqlite_errorcode in (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY):
                raise Conflict(reason=str(error)) from error
            raise


def connect(path: str, *, readonly: bool = False) -> sqlite3.Connection:
    """A connection with the pragmas that every one of ours has."""
    raw = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=512)
    raw.execute(f"PRAGMA busy_timeout={BUSY_MS}")
    raw.execute("PRAGMA journal_mode=WAL")
    raw.execute("PRAGMA synchronous=FULL")
    raw.execute("PRAGMA foreign_keys=ON")
    raw.execute("PRAGMA trusted_schema=OFF")
    if readonly:
        raw.execute("PRAGMA query_only=ON")
    return raw


class _Job:
    __slots__ = ("error", "future", "result", "work")

    def __init__(self, work: Work[Any], future: asyncio.Future[Any]) -> None:
        self.work = work
        self.future = future
        self.result: Any = None
        self.error: BaseException | None = None


class _Worker(threading.Thread):
    """A thread with a connection and a queue; ``None`` ends it."""

    def __init__(
        self, name: str, raw: sqlite3.Connection, run: Callable[[sqlite3.Connection, list[_Job]], None]
    ) -> None:
        super().__init__(name=name, daemon=True)
        self.jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._raw, self._run = raw, run
        self._loop = asyncio.get_running_loop()

    def submit(self, work: Work[T]) -> asyncio.Future[T]:
        future: asyncio.Future[T] = self._loop.create_future()
        self.jobs.put(_Job(work, future))
        return future

    def run(self) -> None:
        while True:
            batch: list[_Job] = []
            job = self.jobs.get()
            while job is not None:
                batch.append(job)
                if len(batch) >= GROUP:
                    break
                try:
                    job = self.jobs.get_nowait()
                except queue.Empty:
                    break
            if batch:
                try:
                    self._run(self._raw, batch)
                except BaseException as error:  # noqa: BLE001 - the waiting requests must hear of it
                    for waiting in batch:
                        waiting.error = error
                with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                    self._loop.call_soon_threadsafe(_settle, batch)
            if job is None:
                return


def _settle(batch: list[_Job]) -> None:
    for job in batch:
        if job.future.cancelled():
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)


class SqliteStore(Store):
    """One file. Other processes may use it at the same time; each commit is seen by the next read of each."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.path = url.removeprefix("sqlite:///")
        self._look: sqlite3.Connection | None = None
        self._workers: list[_Worker] = []

    async def open(self) -> None:
        try:
            Path(self.path).parent.mkdir(parents=True, exist_ok=True)
            self._look = connect(self.path, readonly=True)
            self._workers = [
                _Worker("store-write", connect(self.path), self._write_group),
                _Worker("store-read", connect(self.path, readonly=True), self._read_group),
            ]
        except (OSError, sqlite3.Error) as error:
            raise StoreUnavailable(f"{self.path}: {error}") from error
        for worker in self._workers:
            worker.start()

    async def close(self) -> None:
        for worker in self._workers:
            worker.jobs.put(None)
        for worker in self._workers:
            await asyncio.to_thread(worker.join, 10)
            worker._raw.close()
        if self._look is not None:
            self._look.close()
            self._look = None

    async def write(self, work: Work[T]) -> T:
        return await self._workers[0].submit(work)

    async def read(self, work: Work[T]) -> T:
        return await self._workers[1].submit(work)

    async def look_up(self, statement: Crossing[R] | Unowned[R], **values: Any) -> R | None:
        assert self._look is not None
        compiled = statement.sqlite
        row = self._look.execute(compiled.sql, compiled.values(values)).fetchone()
        return None if row is None else statement.make(row)

    async def ping(self) -> None:
        try:
            assert self._look is not None
            self._look.execute("SELECT 1").fetchone()
        except sqlite3.Error as error:
            raise StoreUnavailable(str(error)) from error

    def _write_group(self, raw: sqlite3.Connection, batch: list[_Job]) -> None:
        announced = _run_together(raw, batch)
        if announced is None:
            announced = _run_apart(raw, batch)
        if announced:
            self._workers[0]._loop.call_soon_threadsafe(self._deliver, announced)

    @staticmethod
    def _read_group(raw: sqlite3.Connection, batch: list[_Job]) -> None:
        for job in batch:
            raw.execute("BEGIN")
            try:
                job.result = job.work(SystemUnit(SqliteConnection(raw)))
            except BaseException as error:  # noqa: BLE001 - handed to the one who waits for this unit
                job.error = error
            finally:
                raw.execute("ROLLBACK")


def _begin(raw: sqlite3.Connection) -> None:
    try:
        raw.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:  # another process holds the lock for longer than BUSY_MS
        raise StoreUnavailable(str(error)) from error


def _run_together(raw: sqlite3.Connection, batch: list[_Job]) -> list[Announcement] | None:
    """One transaction for all; None, and nothing done, when one of several has to be rolled back."""
    _begin(raw)
    announced: list[Announcement] = []
    try:
        for job in batch:
            connection = SqliteConnection(raw)
            try:
                job.result = job.work(SystemUnit(connection))
            except BaseException as error:  # noqa: BLE001 - handed to the one who waits for this unit
                job.error = error
                if not getattr(error, "keeps_writes", False):
                    raw.execute("ROLLBACK")
                    return [] if len(batch) == 1 else None
            announced += connection.announced
        raw.execute("COMMIT")
    except BaseException:
        if raw.in_transaction:
            raw.execute("ROLLBACK")
        raise
    return announced


def _run_apart(raw: sqlite3.Connection, batch: list[_Job]) -> list[Announcement]:
    """One transaction for all, a savepoint for each."""
    _begin(raw)
    announced: list[Announcement] = []
    try:
        for job in batch:
            job.result = job.error = None
            connection = SqliteConnection(raw)
            raw.execute("SAVEPOINT unit")
            try:
                job.result = job.work(SystemUnit(connection))
            except BaseException as error:  # noqa: BLE001 - handed to the one who waits for this unit
                job.error = error
                if not getattr(error, "keeps_writes", False):
                    raw.execute("ROLLBACK TO unit")
                    connection.announced.clear()
            raw.execute("RELEASE unit")
            announced += connection.announced
        raw.execute("COMMIT")
    except BaseException:
        if raw.in_transaction:
            raw.execute("ROLLBACK")
        raise
    return announced
