"""SQLite: units of work run in one writer thread or, if they are short, on the event loop; key reads run on the loop.

Durability: WAL mode, and every commit is on disk before its response is sent. The writer thread's connection does that
with ``synchronous=FULL``. Short units (:meth:`.store.Store.write_quickly`) commit on the loop with
``synchronous=NORMAL``, and their response follows an ``fdatasync`` of the write-ahead log by :class:`Syncer`. The same
bytes are on disk at the same point, but one sync serves all units that committed during the previous one, and no
statement switches threads (``docs/decisions/0011-group-commit.md``).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextvars import Context
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from manifest_auth.errors import Conflict
from manifest_auth.runtime.metrics import Metrics
from manifest_auth.runtime.sealing import Macs
from manifest_auth.store.statements import CrossTenant, Global, Statement, TenantScoped
from manifest_auth.store.store import Store, StoreUnavailable, Work
from manifest_auth.store.unit import Announcement, Connection, SystemUnit
from manifest_auth.store.wal_index import Change, KnownCommits, WalIndex

T = TypeVar("T")

CHECKPOINT_EVERY = 200  # units of work on the event loop; a sign-in changes about ten pages of 4 KiB
GROUP = 256  # units of work in one commit, so that the first one does not wait too long


@dataclass(slots=True, eq=False)
class Job:
    """A unit of work and the future of its caller."""

    work: Work[Any]
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None


def settle(group: list[Job]) -> None:
    """Resolves the futures. Call it only on the event loop."""
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
        """Finishes the queue, then ends. Blocks."""
        self.jobs.put(None)
        self.join(10)
        self._raw.close()

    def run(self) -> None:
        """Runs the thread."""
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
                with contextlib.suppress(RuntimeError):  # if the loop is closed, no caller waits
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
        """Queues a group that has just committed. Call it only on the event loop."""
        self._waiting += group
        if not self._syncing:
            self._start()

    def stop(self) -> None:
        """Syncs the queue, then ends. Blocks."""
        self._go.put(False)
        self.join(10)
        os.close(self._descriptor)

    def run(self) -> None:
        """Runs the thread."""
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
    """Moves the write-ahead log into the database, so that commits on the event loop don't have to, because its two
    syncs take several milliseconds. It doesn't block writers."""

    def __init__(self, raw: sqlite3.Connection) -> None:
        super().__init__(name="store-checkpoint", daemon=True)
        self._raw = raw
        self._go: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._units = 0

    def count(self, units: int) -> None:
        """Counts committed units, and starts a checkpoint every :data:`CHECKPOINT_EVERY`. Call it only on the event
        loop."""
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
        """Runs the thread."""
        while self._go.get():
            with contextlib.suppress(sqlite3.Error):  # retried soon; writers report a broken disk
                self._raw.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


R = TypeVar("R")
#: The announcements of a transaction, and its change of the file; None if it changed nothing.
_Committed = tuple[list[Announcement], Change] | None

BUSY_MS = 5000
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_STORE_ERRORS = _BUSY | frozenset(
    {
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
    }
)


class SqliteConnection(Connection):
    """An open transaction on one sqlite3 connection."""

    def __init__(self, raw: sqlite3.Connection, macs: Macs | None) -> None:
        super().__init__(macs)
        self._raw = raw

    def fetch(self, statement: Statement[Any], values: dict[str, Any]) -> Sequence[Any]:
        try:
            return self._execute(statement, values).fetchall()
        except sqlite3.OperationalError as error:
            if not str(error).startswith("Could not decode to UTF-8"):
                raise _unavailable(error) from error
        # Text that was edited by hand into bytes that are not UTF-8 becomes surrogates, which no valid text has.
        self._raw.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        try:
            return self._execute(statement, values).fetchall()
        finally:
            self._raw.text_factory = str

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
        except sqlite3.OperationalError as error:
            raise _unavailable(error) from error


def _unavailable(error: sqlite3.Error) -> Exception:
    """Returns StoreUnavailable for a full or broken disk or a lock that takes too long. Any other error is a bug and
    stays."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary code of an extended one
    if code not in _STORE_ERRORS:
        return error
    return StoreUnavailable(str(error), "busy" if code in _BUSY else "unavailable")


def connect(
    path: str, *, readonly: bool = False, synchronous: str = "FULL", busy_ms: int = BUSY_MS
) -> sqlite3.Connection:
    """Opens a connection with the pragmas of all connections."""
    raw = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=512)
    raw.execute(f"PRAGMA busy_timeout={BUSY_MS}")
    raw.execute("PRAGMA journal_mode=WAL")
    raw.execute(f"PRAGMA synchronous={synchronous}")
    raw.execute("PRAGMA foreign_keys=ON")
    raw.execute("PRAGMA trusted_schema=OFF")
    raw.execute(f"PRAGMA busy_timeout={busy_ms}")
    # SQLite's own function handles only ASCII.
    raw.create_function("lower", 1, lambda text: text if text is None else text.lower(), deterministic=True)
    if readonly:
        raw.execute("PRAGMA query_only=ON")
    return raw


class SqliteStore(Store):
    """A database in one file. Several processes can use it; each sees a commit at its next read."""

    def __init__(self, url: str, metrics: Metrics | None = None, macs: Macs | None = None) -> None:
        super().__init__(metrics, macs)
        self.path = url.removeprefix("sqlite:///")
        self._look: sqlite3.Connection
        self._quick: sqlite3.Connection
        self._writer: Worker
        self._reader: Worker
        self._syncer: Syncer
        self._checkpointer: Checkpointer
        self._commits: KnownCommits
        self._group: list[Job] = []
        self._open = False

    async def open(self) -> None:
        try:
            Path(self.path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._look = connect(self.path, readonly=True)
            self._quick = connect(self.path, synchronous="NORMAL", busy_ms=0)
            self._quick.execute("PRAGMA wal_autocheckpoint=0")
            self._checkpointer = Checkpointer(connect(self.path))
            self._writer = Worker("store-write", connect(self.path), self._write_group)
            self._reader = Worker("store-read", connect(self.path, readonly=True), self._read_group)
            self._syncer = Syncer(f"{self.path}-wal")
            self._commits = KnownCommits(WalIndex(self.path))
        except (OSError, sqlite3.Error) as error:
            raise StoreUnavailable(f"{self.path}: {error}") from error
        self._loop = asyncio.get_running_loop()
        self._open = True
        for thread in (self._writer, self._reader, self._syncer, self._checkpointer):
            thread.start()

    async def close(self) -> None:
        if not self._open:
            return
        self._open = False
        if self._group:
            self._run_group()
        for thread in (self._writer, self._reader, self._syncer, self._checkpointer):
            await asyncio.to_thread(thread.stop)
        self._look.close()
        self._quick.close()

    async def _write(self, work: Work[T]) -> T:
        return await self._writer.submit(work)

    async def _write_quickly(self, work: Work[T]) -> T:
        job = Job(work, self._loop.create_future())
        if not self._group:
            self._loop.call_soon(self._run_group, context=Context())  # not that of one of the group
        self._group.append(job)
        result: T = await job.future
        return result

    async def _change_one(self, tenant_id: int, statement: TenantScoped[Any], values: dict[str, Any]) -> int:
        return await self._write_quickly(lambda unit: unit.of(tenant_id).change(statement, **values))

    async def _read(self, work: Work[T]) -> T:
        return await self._reader.submit(work)

    async def _look_up(self, statement: CrossTenant[R] | Global[R], values: dict[str, Any]) -> list[R]:
        compiled = statement.sqlite
        try:
            rows = self._look.execute(compiled.sql, compiled.values(values)).fetchall()
        except sqlite3.OperationalError as error:
            raise _unavailable(error) from error
        return [statement.make(row) for row in rows]

    def version(self) -> object | None:
        return self._commits.version()

    async def _ping(self) -> None:
        try:
            self._look.execute("SELECT 1 FROM alembic_version").fetchone()
        except sqlite3.Error as error:
            raise StoreUnavailable(str(error)) from error

    def _run_group(self) -> None:
        """Commits all short units that arrived since the last turn of the loop, then syncs the log."""
        group, self._group = self._group, []
        try:
            self._committed(_run(self._quick, group, self.macs, self._commits))
        except StoreUnavailable:  # another connection is writing: the writer thread can wait, the loop cannot
            for job in group:
                self._writer.jobs.put(job)
            return
        except Exception as error:  # noqa: BLE001 - passed to the waiting callers
            for job in group:
                job.error = error
        self._syncer.settle_after_sync(group)
        self._checkpointer.count(len(group))

    def _write_group(self, raw: sqlite3.Connection, group: list[Job]) -> None:
        committed = None
        self._commits.begin()
        try:
            committed = _run(raw, group, self.macs, self._commits)
        finally:
            self._loop.call_soon_threadsafe(self._ended, committed)

    def _ended(self, committed: _Committed) -> None:
        self._commits.end()
        self._committed(committed)

    def _committed(self, committed: _Committed) -> None:
        if committed is not None:
            announced, change = committed
            self._deliver(announced)
            self._commits.add(change)

    def _read_group(self, raw: sqlite3.Connection, group: list[Job]) -> None:
        for job in group:
            raw.execute("BEGIN")
            try:
                job.result = job.work(SystemUnit(SqliteConnection(raw, self.macs)))
            except BaseException as error:  # noqa: BLE001 - passed to the waiting caller
                job.error = error
            finally:
                raw.execute("ROLLBACK")


def _run(raw: sqlite3.Connection, group: list[Job], macs: Macs | None, commits: KnownCommits) -> _Committed:
    """Runs a group in one transaction. If one of several units must be rolled back, the group runs again with a
    savepoint for each, so that the others stay; units are plain functions and can run twice. Returns None if all was
    rolled back.

    Raises StoreUnavailable, without any write, if another connection has the lock.
    """
    try:
        return _attempt(raw, group, macs, commits, savepoints=False)
    except _Again:
        return _attempt(raw, group, macs, commits, savepoints=True)


class _Again(Exception):
    """One of several units was rolled back, and all the others with it."""


def _attempt(
    raw: sqlite3.Connection, group: list[Job], macs: Macs | None, commits: KnownCommits, *, savepoints: bool
) -> _Committed:
    try:
        raw.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        raise _unavailable(error) from error
    before, announced = commits.header(), list[Announcement]()
    try:
        for job in group:
            job.result = job.error = None
            connection = SqliteConnection(raw, macs)
            if savepoints:
                raw.execute("SAVEPOINT unit")
            try:
                job.result = job.work(SystemUnit(connection))
            except BaseException as error:
                job.error = error
                if not raw.in_transaction:  # a full disk: SQLite rolled back on its own
                    raise
                if not getattr(error, "keeps_writes", False):
                    connection.announced.clear()
                    raw.execute("ROLLBACK TO unit" if savepoints else "ROLLBACK")
                    if not savepoints and len(group) > 1:
                        raise _Again from error
                    if not savepoints:
                        return None
            if savepoints:
                raw.execute("RELEASE unit")
            announced += connection.announced
        raw.execute("COMMIT")
    except _Again:
        raise
    except BaseException as error:
        with contextlib.suppress(sqlite3.Error):
            raw.execute("ROLLBACK")
        if isinstance(error, sqlite3.Error):
            raise _unavailable(error) from error
        raise
    return announced, Change(before, commits.header())
