"""PostgreSQL through asyncpg: units of work are plain functions, run in a greenlet that waits for the driver.

Announcements are sent with ``NOTIFY`` in the transaction that causes them, so they arrive if and only if it commits.
The listener checks its connection every ``HEARTBEAT`` seconds; a node whose check is older than ``STALE_AFTER`` seconds
reads everything from the store until it is connected again, so a change on another node takes effect within a second,
whatever happens to the network.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, TypeVar

import asyncpg
from sqlalchemy.util.concurrency import await_only, greenlet_spawn

from manifest_auth.errors import Conflict
from manifest_auth.runtime.metrics import Failure, Metrics
from manifest_auth.runtime.sealing import Macs
from manifest_auth.store.postgres_connect import BROKEN, NoLogin, connect
from manifest_auth.store.postgres_connections import Connections
from manifest_auth.store.statements import TENANT, CrossTenant, Global, Statement, TenantScoped
from manifest_auth.store.store import Store, StoreUnavailable, Work
from manifest_auth.store.unit import Announcement, Connection, SystemUnit

T = TypeVar("T")
R = TypeVar("R")

CHANNEL = "manifest_auth"
HEARTBEAT = 0.25
STALE_AFTER = 0.8
ACQUIRE_TIMEOUT = 3.0
ATTEMPTS = 4
LEAST_CONNECTIONS = 4
#: Nothing was written: the server aborted this transaction so that another could continue, or a table was changed.
_AGAIN = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError, asyncpg.InvalidCachedStatementError)
_NOTIFY = "SELECT pg_notify($1, $2)"
#: No connection was free in time, or a statement ran for too long.
_BUSY = (TimeoutError, asyncpg.QueryCanceledError)


class PostgresConnection(Connection):
    """An open transaction on one asyncpg connection. Its methods run inside a greenlet."""

    def __init__(self, raw: Any, macs: Macs | None) -> None:
        super().__init__(macs)
        self._raw = raw

    def fetch(self, statement: Statement[Any], values: dict[str, Any]) -> Sequence[Any]:
        compiled = statement.postgres
        try:
            rows: Sequence[Any] = await_only(self._raw.fetch(compiled.sql, *compiled.values(values)))
        except asyncpg.UniqueViolationError as error:
            raise Conflict(reason=str(error)) from error
        return rows

    def change(self, statement: Statement[Any], values: dict[str, Any]) -> int:
        compiled = statement.postgres
        try:
            status: str = await_only(self._raw.execute(compiled.sql, *compiled.values(values)))
        except asyncpg.UniqueViolationError as error:
            raise Conflict(reason=str(error)) from error
        return _changed(status)

    def announce(self, announcement: Announcement) -> None:
        super().announce(announcement)
        await_only(self._raw.execute(_NOTIFY, CHANNEL, f"{announcement.kind}:{announcement.key}"))


class PostgresStore(Store):
    """Connections for units of work, and one more that listens."""

    def __init__(self, url: str, pool_size: int, metrics: Metrics | None = None, macs: Macs | None = None) -> None:
        super().__init__(metrics, macs)
        self._url = url
        self._size = max(LEAST_CONNECTIONS, pool_size)
        self._connections = Connections(lambda: connect(url), self._size)
        self._listening: asyncio.Task[None] | None = None
        self._heard_at = 0.0

    async def open(self) -> None:
        await self._connections.open(2)
        self._listening = asyncio.create_task(self._listen(), name="store-listen")

    async def close(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listening
        await self._connections.close()

    @property
    def is_gone(self) -> bool:
        return self._connections.is_gone

    @contextlib.asynccontextmanager
    async def _acquire(self, *, to_write: bool = False) -> AsyncIterator[Any]:
        """A connection. Raises StoreUnavailable when the server cannot be reached or aborts."""
        connections = self._connections
        try:
            async with (connections.to_write if to_write else connections.acquire)(ACQUIRE_TIMEOUT) as raw:
                yield raw
        except BROKEN as error:
            if to_write and isinstance(error, asyncpg.ReadOnlySQLTransactionError):  # it became a standby
                connections.lost()
            why: Failure = "busy" if isinstance(error, _BUSY) else "unavailable"
            raise StoreUnavailable(f"{type(error).__name__}: {error}", why) from error

    async def _write(self, work: Work[T]) -> T:
        return await self._repeated(self._attempt, work)

    _write_quickly = _write

    async def _read(self, work: Work[T]) -> T:
        return await self._repeated(self._attempt_to_read, work)

    async def _repeated(self, attempt: Callable[[Work[T]], Awaitable[T]], work: Work[T]) -> T:
        for _ in range(ATTEMPTS):
            try:
                return await attempt(work)
            except _AGAIN as error:
                lost = error
        raise StoreUnavailable(f"{type(lost).__name__}, {ATTEMPTS} times", "busy") from lost

    async def _attempt(self, work: Work[T]) -> T:
        async with self._acquire(to_write=True) as raw:
            connection = PostgresConnection(raw, self.macs)
            transaction = raw.transaction()
            await transaction.start()
            try:
                result = await greenlet_spawn(work, SystemUnit(connection))
            except Exception as error:  # after any other the connection is closed
                if getattr(error, "keeps_writes", False):
                    await self._commit(raw, transaction.commit(), connection.announced)
                elif not raw.is_closed():
                    await transaction.rollback()
                raise
            await self._commit(raw, transaction.commit(), connection.announced)
        return result

    async def _commit(self, raw: Any, sent: Awaitable[R], announced: Sequence[Announcement] = ()) -> R:
        """The answer to what commits. Raises StoreUnavailable where the server warns: the change is visible there, and
        may be on no standby. Where no answer comes it may have happened, so that is announced as well."""
        raw.is_warned = False
        try:
            answer = await sent
        finally:
            self._deliver(announced)
        if raw.is_warned:
            raise StoreUnavailable("PostgreSQL warned at a commit: no standby may have it")
        return answer

    async def _attempt_to_read(self, work: Work[T]) -> T:
        async with self._acquire() as raw:
            transaction = raw.transaction(isolation="repeatable_read", readonly=True)
            await transaction.start()
            try:
                result = await greenlet_spawn(work, SystemUnit(PostgresConnection(raw, self.macs)))
            except Exception:
                if not raw.is_closed():
                    await transaction.rollback()
                raise
            await transaction.commit()
        return result

    async def _change_one(self, tenant_id: int, statement: TenantScoped[Any], values: dict[str, Any]) -> int:
        compiled = statement.postgres
        async with self._acquire(to_write=True) as raw:  # no BEGIN: a single statement is its own transaction
            sent = raw.execute(compiled.sql, *compiled.values({**values, TENANT: tenant_id}))
            return _changed(await self._commit(raw, sent))

    async def _look_up(self, statement: CrossTenant[R] | Global[R], values: dict[str, Any]) -> R | None:
        compiled = statement.postgres
        async with self._acquire() as raw:
            row = await raw.fetchrow(compiled.sql, *compiled.values(values))
        return None if row is None else statement.make(row)

    async def ping(self) -> None:
        try:
            async with asyncio.timeout(2), self._acquire() as raw:
                await raw.fetchval("SELECT 1")
        except TimeoutError as error:
            raise StoreUnavailable("PostgreSQL does not answer") from error

    def version(self) -> object | None:
        return True if self.is_listening() else None

    def is_listening(self) -> bool:
        return time.monotonic() - self._heard_at < STALE_AFTER

    async def _listen(self) -> None:
        while True:
            raw = None
            try:
                raw = await connect(self._url, "manifest-auth-ear")
                raw.add_termination_listener(self._on_disconnect)
                await raw.add_listener(CHANNEL, self._on_notify)
                # Announcements were missed while nothing listened: all caches are dropped.
                self._deliver([Announcement("all", "")])
                while True:
                    asked_at = time.monotonic()
                    await raw.fetchval("SELECT 1", timeout=STALE_AFTER)
                    self._heard_at = asked_at
                    self._connections.found()
                    await asyncio.sleep(HEARTBEAT)
            except (*BROKEN, StoreUnavailable, asyncpg.PostgresError) as error:
                self._heard_at = 0.0
                if isinstance(error, NoLogin) and error.is_gone:
                    self._connections.lost()
                await asyncio.sleep(HEARTBEAT)
            finally:
                if raw is not None:
                    raw.terminate()

    def _on_disconnect(self, _connection: Any) -> None:
        self._heard_at = 0.0

    def _on_notify(self, _connection: Any, _pid: int, _channel: str, payload: Any) -> None:
        kind, _, key = str(payload).partition(":")
        self._deliver([Announcement(kind, key)])


def _changed(status: str) -> int:
    """The number of rows in a command's answer, like ``UPDATE 1``."""
    return int(status.rpartition(" ")[2])
