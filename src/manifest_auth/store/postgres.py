"""PostgreSQL through asyncpg: units of work are plain functions, run in a greenlet that waits for the driver.

Announcements are sent with ``NOTIFY`` in the transaction that causes them, so they arrive if and only if it commits.
The listener checks its connection every ``HEARTBEAT`` seconds; a node whose check is older than ``STALE_AFTER`` seconds
reads everything from the store until it is connected again, so a change on another node takes effect within a second,
whatever happens to the network.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Sequence
from functools import lru_cache
from typing import Any, TypeVar

import asyncpg
from sqlalchemy.util.concurrency import await_only, greenlet_spawn

from manifest_auth.errors import Conflict
from manifest_auth.runtime.metrics import Failure, Metrics
from manifest_auth.runtime.sealing import Macs
from manifest_auth.store.postgres_connections import Connections
from manifest_auth.store.statements import TENANT, CrossTenant, Global, Statement, TenantScoped
from manifest_auth.store.store import Store, StoreUnavailable, Work
from manifest_auth.store.unit import Announcement, Connection, SystemUnit

T = TypeVar("T")
R = TypeVar("R")

CHANNEL = "manifest_auth"
HEARTBEAT = 0.25
STALE_AFTER = 0.8
STATEMENT_TIMEOUT_MS = 15_000
ACQUIRE_TIMEOUT = 10.0
ATTEMPTS = 4
#: Nothing was written: the server aborted this transaction so that another could continue.
_LOST_TO_ANOTHER = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
_PLACE = re.compile(r"\$(\d+)")
_NOTIFY = "SELECT pg_notify($1, $2)"
#: No connection was free in time, or STATEMENT_TIMEOUT_MS passed.
_BUSY = (TimeoutError, asyncpg.QueryCanceledError)
_GONE = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.ReadOnlySQLTransactionError,  # a standby
    asyncpg.InsufficientResourcesError,  # its disk is full, or no connection is left
    asyncpg.QueryCanceledError,
    asyncpg.InternalClientError,  # a connection that is being shut down
)


class PostgresConnection(Connection):
    """An open transaction on one asyncpg connection. Its methods run inside a greenlet."""

    def __init__(self, raw: Any, macs: Macs | None, transaction: Any = None) -> None:
        """``transaction``: to begin with the first statement that writes or locks; None: it has begun. Until then each
        statement sees what is committed when it runs, as in a transaction (READ COMMITTED)."""
        super().__init__(macs)
        self._raw = raw
        self._transaction = transaction
        self._waiting: list[tuple[Statement[Any], dict[str, Any]]] = []

    def fetch(self, statement: Statement[Any], values: dict[str, Any]) -> Sequence[Any]:
        compiled = statement.postgres
        if self._waiting and statement.may_see([waiting for waiting, _ in self._waiting]):
            self.flush()
        if not statement.is_plain_read:
            self._begin()
        try:
            rows: Sequence[Any] = await_only(self._raw.fetch(compiled.sql, *compiled.values(values)))
        except asyncpg.UniqueViolationError as error:
            raise Conflict(reason=str(error)) from error
        return rows

    def change(self, statement: Statement[Any], values: dict[str, Any]) -> int:
        compiled = statement.postgres
        self.flush()
        return _changed(self._execute(compiled.sql, compiled.values(values)))

    def change_later(self, statement: Statement[Any], values: dict[str, Any]) -> None:
        self._waiting.append((statement, values))

    def flush(self) -> None:
        """Runs the changes that wait, in one statement (PostgreSQL: data-modifying WITH)."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        sql = _together(tuple(statement.postgres.sql for statement, _ in waiting))
        self._execute(sql, [value for statement, values in waiting for value in statement.postgres.values(values)])

    def _execute(self, sql: str, values: list[Any]) -> str:
        self._begin()
        try:
            status: str = await_only(self._raw.execute(sql, *values))
        except asyncpg.UniqueViolationError as error:
            raise Conflict(reason=str(error)) from error
        return status

    def _begin(self) -> None:
        if self._transaction is not None:
            transaction, self._transaction = self._transaction, None
            await_only(transaction.start())

    @property
    def has_begun(self) -> bool:
        """Whether a transaction is open: something was written or locked."""
        return self._transaction is None

    def announce(self, announcement: Announcement) -> None:
        self._begin()
        super().announce(announcement)
        await_only(self._raw.execute(_NOTIFY, CHANNEL, f"{announcement.kind}:{announcement.key}"))


class PostgresStore(Store):
    """Connections for units of work, and one more that listens."""

    def __init__(self, url: str, pool_size: int, metrics: Metrics | None = None, macs: Macs | None = None) -> None:
        super().__init__(metrics, macs)
        self._url = url
        self._size = pool_size
        self._connections = Connections(self._connect, pool_size)
        self._listening: asyncio.Task[None] | None = None
        self._heard_at = 0.0

    async def open(self) -> None:
        try:
            await self._connections.open(min(2, self._size))
        except (*_GONE, asyncpg.PostgresError) as error:
            raise StoreUnavailable(f"PostgreSQL: {error}") from error
        self._listening = asyncio.create_task(self._listen(), name="store-listen")

    async def close(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listening
        await self._connections.close()

    async def _connect(self) -> Any:
        return await asyncpg.connect(
            self._url,
            statement_cache_size=512,
            server_settings={
                "application_name": "manifest-auth",
                "statement_timeout": str(STATEMENT_TIMEOUT_MS),
                "idle_in_transaction_session_timeout": str(STATEMENT_TIMEOUT_MS),
            },
            timeout=5,
        )

    @contextlib.asynccontextmanager
    async def _acquire(self) -> AsyncIterator[Any]:
        """A connection. Raises StoreUnavailable when the server cannot be reached or aborts."""
        try:
            async with self._connections.acquire(ACQUIRE_TIMEOUT) as raw:
                yield raw
        except _GONE as error:
            why: Failure = "busy" if isinstance(error, _BUSY) else "unavailable"
            raise StoreUnavailable(f"{type(error).__name__}: {error}", why) from error

    async def _write(self, work: Work[T]) -> T:
        for _ in range(ATTEMPTS):
            try:
                return await self._attempt(work)
            except _LOST_TO_ANOTHER as error:
                lost = error
        raise StoreUnavailable(f"{type(lost).__name__}, {ATTEMPTS} times", "busy") from lost

    _write_quickly = _write

    async def _attempt(self, work: Work[T]) -> T:
        async with self._acquire() as raw:
            transaction = raw.transaction()
            connection = PostgresConnection(raw, self.macs, transaction)
            try:
                result: T = await greenlet_spawn(_run, work, connection)
            except BaseException as error:
                if not connection.has_begun:
                    raise
                if getattr(error, "keeps_writes", False):
                    await transaction.commit()
                    self._deliver(connection.announced)
                elif not raw.is_closed():
                    await transaction.rollback()
                raise
            if connection.has_begun:
                await transaction.commit()
        self._deliver(connection.announced)
        return result

    async def _change_one(self, tenant_id: int, statement: TenantScoped[Any], values: dict[str, Any]) -> int:
        compiled = statement.postgres
        async with self._acquire() as raw:  # no BEGIN: a single statement is its own transaction
            return _changed(await raw.execute(compiled.sql, *compiled.values({**values, TENANT: tenant_id})))

    async def _read(self, work: Work[T]) -> T:
        async with self._acquire() as raw, raw.transaction(isolation="repeatable_read", readonly=True):
            return await greenlet_spawn(work, SystemUnit(PostgresConnection(raw, self.macs)))

    async def _look_up(self, statement: CrossTenant[R] | Global[R], values: dict[str, Any]) -> R | None:
        compiled = statement.postgres
        async with self._acquire() as raw:
            row = await raw.fetchrow(compiled.sql, *compiled.values(values))
        return None if row is None else statement.make(row)

    async def ping(self) -> None:
        try:
            async with self._connections.acquire(2) as raw:
                await raw.fetchval("SELECT 1", timeout=2)
        except (*_GONE, asyncpg.PostgresError) as error:
            raise StoreUnavailable(str(error) or type(error).__name__) from error

    def version(self) -> object | None:
        return True if self.is_listening() else None

    def is_listening(self) -> bool:
        return time.monotonic() - self._heard_at < STALE_AFTER

    async def _listen(self) -> None:
        while True:
            raw = None
            try:
                raw = await asyncpg.connect(
                    self._url, timeout=5, server_settings={"application_name": "manifest-auth-ear"}
                )
                raw.add_termination_listener(self._on_disconnect)
                await raw.add_listener(CHANNEL, self._on_notify)
                # Announcements were missed while nothing listened: all caches are dropped.
                self._deliver([Announcement("all", "")])
                while True:
                    asked_at = time.monotonic()
                    await raw.fetchval("SELECT 1", timeout=STALE_AFTER)
                    self._heard_at = asked_at
                    await asyncio.sleep(HEARTBEAT)
            except (*_GONE, asyncpg.PostgresError):
                self._heard_at = 0.0
                await asyncio.sleep(HEARTBEAT)
            finally:
                if raw is not None:
                    raw.terminate()

    def _on_disconnect(self, _connection: Any) -> None:
        self._heard_at = 0.0

    def _on_notify(self, _connection: Any, _pid: int, _channel: str, payload: Any) -> None:
        kind, _, key = str(payload).partition(":")
        self._deliver([Announcement(kind, key)])


def _run(work: Work[T], connection: PostgresConnection) -> T:
    """What the unit of work returns, once all its changes have run."""
    try:
        result = work(SystemUnit(connection))
    except BaseException as error:
        if getattr(error, "keeps_writes", False):
            connection.flush()
        raise
    connection.flush()
    return result


@lru_cache(512)
def _together(texts: tuple[str, ...]) -> str:
    """One statement of several changes, with its parameters in their order."""
    parts, before = list[str](), 0
    for text in texts:
        parts.append(_PLACE.sub(lambda found: f"${int(found[1]) + before}", text))  # noqa: B023 - used at once
        before += max((int(number) for number in _PLACE.findall(text)), default=0)
    if len(parts) == 1:
        return parts[0]
    return "WITH " + ", ".join(f"c{i} AS ({part})" for i, part in enumerate(parts[:-1])) + " " + parts[-1]


def _changed(status: str) -> int:
    """The number of rows in a command's answer, like ``UPDATE 1``."""
    return int(status.rpartition(" ")[2])
