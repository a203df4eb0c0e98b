"""PostgreSQL through asyncpg: units of work are plain functions, run in a greenlet that waits for the driver.

What a unit announces is a row of its transaction, so other processes read it if and only if it commits. How, and until
when a process may rest on that, is in :mod:`.postgres_beat`.
"""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from functools import lru_cache
from typing import Any, TypeVar

import asyncpg
from sqlalchemy.util.concurrency import await_only, greenlet_spawn
from structlog.typing import FilteringBoundLogger

from manifest_auth.errors import Conflict
from manifest_auth.runtime.metrics import BeatMetrics, Failure, Metrics
from manifest_auth.runtime.sealing import Macs
from manifest_auth.store.belief import Belief
from manifest_auth.store.postgres_beat import ANNOUNCE, LEAVE, SWEEP, Beats
from manifest_auth.store.postgres_connections import Connections
from manifest_auth.store.statements import TENANT, CrossTenant, Global, Statement, TenantScoped
from manifest_auth.store.store import Store, StoreUnavailable, Work
from manifest_auth.store.unit import Connection, SystemUnit

T = TypeVar("T")
R = TypeVar("R")

STATEMENT_TIMEOUT_MS = 15_000
ACQUIRE_TIMEOUT = 10.0
ATTEMPTS = 4
#: Nothing was written: the server aborted this transaction so that another could continue.
_LOST_TO_ANOTHER = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
#: So many announcements of one tenant are one announcement of the tenant.
MOST_ANNOUNCED = 1000
_PLACE = re.compile(r"\$(\d+)")
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

    async def write_announcements(self) -> None:
        """Inserts what was announced: the last statement before the commit. Many of one tenant become one of it."""
        counts = Counter(self.announced.values())
        many = {client for client, count in counts.items() if client and count > MOST_ANNOUNCED}
        listed = [(client, *announcement) for announcement, client in self.announced.items() if client not in many]
        listed += [(client, "tenant", str(client)) for client in many]
        if listed:
            await self._raw.execute(ANNOUNCE, *map(list, zip(*listed, strict=True)))


class PostgresStore(Store):
    """Connections for units of work, and one more for the beat of a serving process."""

    def __init__(self, url: str, pool_size: int, metrics: Metrics | None = None, macs: Macs | None = None) -> None:
        super().__init__(metrics, macs)
        self._url = url
        self._size = pool_size
        self._connections = Connections(self._connect, pool_size)
        self._belief = Belief()
        self._beats: Beats | None = None

    async def open(self) -> None:
        try:
            await self._connections.open(min(2, self._size))
        except (*_GONE, asyncpg.PostgresError) as error:
            raise StoreUnavailable(f"PostgreSQL: {error}") from error

    async def join(self, direct_url: str, log: FilteringBoundLogger, *, wakes: bool = True) -> None:
        async def connect() -> Any:
            named = {"application_name": "manifest-auth-beat"}
            return await asyncpg.connect(direct_url, statement_cache_size=512, server_settings=named)

        gone, metrics = (*_GONE, asyncpg.PostgresError), BeatMetrics(self._metrics.registry)
        self._beats = Beats(self._belief, connect, gone, self._deliver, metrics, log, wakes=wakes)

    async def close(self) -> None:
        if self._beats is not None:
            await self._beats.stop()
            with contextlib.suppress(*_GONE, asyncpg.PostgresError):
                async with self._connections.acquire(2) as raw:
                    await raw.execute(LEAVE, self._beats.node_id, timeout=2)
        await self._connections.close()

    @property
    def is_gone(self) -> bool:
        """Whether the server could not be reached when the beat logged in last."""
        return self._beats is not None and self._beats.is_gone

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
                if getattr(error, "keeps_writes", False):
                    await self._commit(connection, transaction)
                elif connection.has_begun and not raw.is_closed():
                    await transaction.rollback()
                raise
            await self._commit(connection, transaction)
        return result

    async def _commit(self, connection: PostgresConnection, transaction: Any) -> None:
        """Commits with what was announced, and delivers that."""
        if connection.announced:
            await connection.write_announcements()
        if connection.has_begun:
            await transaction.commit()
        if connection.announced:
            self._deliver(connection.announced)
            if self._beats is not None:
                self._beats.tell()

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
        return True if self._belief.holds() else None

    async def sweep_announcements(self) -> int:
        async with self._acquire() as raw:
            return _changed(await raw.execute(SWEEP))


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
