"""PostgreSQL through asyncpg: units of work are plain functions, run in a greenlet that waits for the driver.

An announcement of a unit is a row of its transaction, so other processes read it if and only if it commits.
:mod:`.postgres_beat` describes how, and for how long a process can rely on that.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextvars import Context
from functools import lru_cache
from typing import Any, Concatenate, ParamSpec, TypeVar
from weakref import WeakValueDictionary

import asyncpg
from sqlalchemy.util.concurrency import await_only, greenlet_spawn

from manifest_auth.errors import Conflict
from manifest_auth.runtime.logs import FilteringBoundLogger
from manifest_auth.runtime.metrics import BeatMetrics, Failure, Metrics
from manifest_auth.runtime.sealing import Macs
from manifest_auth.store.postgres_at_once import AtOnce, Expected, NotExpected
from manifest_auth.store.postgres_beat import ANNOUNCE, LEAVE, NOW, SWEEP, Beats, CacheValidity
from manifest_auth.store.postgres_connections import BROKEN, Connections, connect
from manifest_auth.store.statements import TENANT, CrossTenant, Global, Statement, TenantScoped
from manifest_auth.store.store import Store, StoreUnavailable, Work
from manifest_auth.store.unit import Connection, SystemUnit

T = TypeVar("T")
R = TypeVar("R")
P = ParamSpec("P")
_Attempt = Callable[Concatenate["PostgresStore", Any, P], Awaitable[T]]
_Attempted = Callable[Concatenate["PostgresStore", P], Coroutine[Any, Any, T]]

ACQUIRE_TIMEOUT = 3.0
ATTEMPTS = 4
#: After this time, changes no longer wait for the group before theirs.
LONG_GROUP_S = 0.1
LEAST_CONNECTIONS = 4
#: Nothing was written: the server aborted this transaction so that another could continue, or a table was changed.
_AGAIN = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError, asyncpg.InvalidCachedStatementError)
#: From this number, announcements of one tenant become one announcement of the whole tenant.
MOST_ANNOUNCED = 1000
#: No connection was free in time, or a statement ran for too long.
_BUSY = (TimeoutError, asyncpg.QueryCanceledError)


class PostgresConnection(Connection):
    """An open transaction on one asyncpg connection. Its methods run inside a greenlet."""

    def __init__(self, raw: Any, macs: Macs | None, *, has_begun: bool) -> None:
        """Opens the connection. ``has_begun``: a transaction is already open; otherwise it begins with the first
        statement that writes or locks. Until then each statement sees what is committed when it runs, as in a READ
        COMMITTED transaction."""
        super().__init__(macs)
        self._raw = raw
        self.has_begun = has_begun
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
        """Runs the waiting changes in one statement (PostgreSQL: data-modifying WITH)."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        sql = _together(tuple(statement for statement, _ in waiting))
        self._execute(sql, [value for statement, values in waiting for value in statement.postgres.values(values)])

    def _execute(self, sql: str, values: list[Any]) -> str:
        self._begin()
        try:
            status: str = await_only(self._raw.execute(sql, *values))
        except asyncpg.UniqueViolationError as error:
            raise Conflict(reason=str(error)) from error
        return status

    def _begin(self) -> None:
        if not self.has_begun:
            self.has_begun = True
            await_only(self._raw.execute("BEGIN"))

    async def write_announcements(self) -> None:
        """Inserts the announcements, as the last statement before the commit. Those for one tenant are
        combined."""
        counts = Counter(self.announced.values())
        many = {client for client, count in counts.items() if client and count > MOST_ANNOUNCED}
        listed = [(client, *announcement) for announcement, client in self.announced.items() if client not in many]
        listed += [(client, "tenant", str(client)) for client in many]
        if listed:
            await self._raw.execute(ANNOUNCE, *map(list, zip(*listed, strict=True)))


def _on_server(*, writes: bool = False) -> Callable[[_Attempt[P, T]], _Attempted[P, T]]:
    """Gives a method a connection, and retries it if it was aborted before it wrote anything. Raises StoreUnavailable
    if the server cannot be reached or aborts."""

    def decorated(attempt: _Attempt[P, T]) -> _Attempted[P, T]:
        async def attempts(store: PostgresStore, /, *given: P.args, **named: P.kwargs) -> T:
            for _ in range(ATTEMPTS):
                try:
                    async with store._connections.acquire(ACQUIRE_TIMEOUT, to_write=writes) as raw:
                        try:
                            return await attempt(store, raw, *given, **named)
                        except asyncpg.InvalidCachedStatementError:
                            # The driver has forgotten the statement. A pooler keeps it for all its clients and prepares
                            # it in its old form, unless its connection to the server forgets it as well.
                            await raw.execute("DEALLOCATE ALL")
                            raw.terminate()
                            raise
                except _AGAIN as error:
                    lost = error
                except BROKEN as error:
                    if writes and isinstance(error, asyncpg.ReadOnlySQLTransactionError):  # the server became a standby
                        store._connections.lost()
                    why: Failure = "busy" if isinstance(error, _BUSY) else "unavailable"
                    raise StoreUnavailable(f"{type(error).__name__}: {error}", why) from error
            raise StoreUnavailable(f"{type(lost).__name__}, {ATTEMPTS} times", "busy") from lost

        return attempts

    return decorated


class PostgresStore(Store):
    """Connections for units of work, and one more for the beat of a serving process."""

    def __init__(self, url: str, pool_size: int, metrics: Metrics | None = None, macs: Macs | None = None) -> None:
        super().__init__(metrics, macs)
        self._connections = Connections(
            lambda: connect(url, is_serving=self._beats is not None), max(LEAST_CONNECTIONS, pool_size)
        )
        self._expected = Expected()
        self._changes: dict[TenantScoped[Any], list[tuple[list[Any], asyncio.Future[int]]]] = {}
        self._busy_until: dict[TenantScoped[Any], float] = {}
        self._running = set[asyncio.Task[None]]()
        self._turns: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
        self._validity = CacheValidity()
        self._beats: Beats | None = None

    async def open(self) -> None:
        await self._connections.open(2)

    async def join(self, direct_url: str, log: FilteringBoundLogger, *, wakes: bool = True) -> None:
        await super().join(direct_url, log, wakes=wakes)
        self._connections.is_knocked_at = True
        metrics, state = BeatMetrics(self._metrics.registry), lambda: self.state
        self._beats = Beats(
            self._validity, direct_url, self._connections, self._deliver, state, metrics, log, wakes=wakes
        )

    async def close(self) -> None:
        if self._beats is not None:
            await self._beats.stop()
            with contextlib.suppress(StoreUnavailable, asyncpg.PostgresError, TimeoutError):
                async with asyncio.timeout(2):
                    await self._leave(self._beats.node_id)
        await self._connections.close()

    @property
    def is_gone(self) -> bool:
        return self._connections.is_gone

    async def _transact(self, raw: Any, work: Work[T]) -> T:
        connection = PostgresConnection(raw, self.macs, has_begun=False)
        try:
            result: T = await greenlet_spawn(_run, work, connection)
        except Exception as error:  # after any other error the connection is closed
            if getattr(error, "keeps_writes", False):
                await self._commit(raw, connection)
            elif connection.has_begun and not raw.is_closed():
                await raw.execute("ROLLBACK")
            raise
        await self._commit(raw, connection)
        return result

    _write = _write_quickly = _on_server(writes=True)(_transact)

    async def _write_at_once(self, tenant_id: int, work: Work[T]) -> T:
        # Each unit expects the end of the audit trail that the one before it leaves.
        turn = self._turns.setdefault(tenant_id, asyncio.Lock())
        try:
            async with asyncio.timeout(ACQUIRE_TIMEOUT):
                await turn.acquire()
        except TimeoutError:
            return await self._write(work)
        try:
            return await self._at_once(work)
        finally:
            turn.release()

    @_on_server(writes=True)
    async def _at_once(self, raw: Any, work: Work[T]) -> T:
        unit = AtOnce(self.macs, self._expected)
        try:
            result = work(SystemUnit(unit))
            unit.end()
        except (NotExpected, Exception):  # noqa: BLE001 - a refusal is decided in a transaction
            return await self._transact(raw, work)
        sql, values = unit.statement()
        with contextlib.suppress(asyncpg.IntegrityConstraintViolationError):  # another unit wrote the same row
            if _changed(await _durable(raw, raw.execute(sql, *values))):
                return result
        return await self._transact(raw, work)

    async def _commit(self, raw: Any, connection: PostgresConnection) -> None:
        """Commits with the announcements, and delivers those even without a response, because the commit might have
        happened."""
        self._expected.put(connection.expects)
        try:
            if connection.announced:
                await _durable(raw, connection.write_announcements())
            if connection.has_begun:
                await _durable(raw, raw.execute("COMMIT"))
        finally:
            if connection.announced:
                self._deliver(connection.announced)
                if self._beats is not None:
                    self._beats.tell()

    @_on_server()
    async def _read(self, raw: Any, work: Work[T]) -> T:
        await raw.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            result = await greenlet_spawn(work, SystemUnit(PostgresConnection(raw, self.macs, has_begun=True)))
        except Exception:
            if not raw.is_closed():
                await raw.execute("ROLLBACK")
            raise
        await raw.execute("COMMIT")
        return result

    async def _change_one(self, tenant_id: int, statement: TenantScoped[Any], values: dict[str, Any]) -> int:
        loop = asyncio.get_running_loop()
        changed: asyncio.Future[int] = loop.create_future()
        given = statement.postgres.values({**values, TENANT: tenant_id})
        self._changes.setdefault(statement, []).append((given, changed))
        if loop.time() > self._busy_until.get(statement, 0):
            self._busy_until[statement] = loop.time() + LONG_GROUP_S
            self._running.add(task := loop.create_task(self._change_in_groups(statement), context=Context()))
            task.add_done_callback(self._running.discard)
        return await changed

    async def _change_in_groups(self, statement: TenantScoped[Any]) -> None:
        """Makes the changes that wait, with one group under way. If it takes too long, the next change starts one."""
        while group := self._changes.pop(statement, None):
            self._busy_until[statement] = asyncio.get_running_loop().time() + LONG_GROUP_S
            group.sort(key=str)  # in one order on all nodes, so that groups don't wait for one another
            try:
                counts = await self._change_group(statement, [given for given, _ in group])
            except Exception as error:  # noqa: BLE001 - the callers get it
                for _, changed in group:
                    if not changed.done():
                        changed.set_exception(error)
            else:
                for (_, changed), count in zip(group, counts, strict=True):
                    if not changed.done():
                        changed.set_result(count)
        self._busy_until[statement] = 0

    @_on_server(writes=True)
    async def _change_group(self, raw: Any, statement: TenantScoped[Any], given: list[list[Any]]) -> list[int]:
        """Returns how many rows each change changed. They are one transaction, without BEGIN, in one round trip."""
        sql = statement.postgres.sql
        if len(given) == 1:
            return [_changed(await _durable(raw, raw.execute(sql, *given[0])))]
        sql = f"{sql} RETURNING ${len(given[0]) + 1}::int"
        rows = await _durable(raw, raw.fetchmany(sql, [(*each, number) for number, each in enumerate(given)]))
        counts = Counter(row[0] for row in rows)
        return [counts[number] for number in range(len(given))]

    @_on_server()
    async def _look_up(self, raw: Any, statement: CrossTenant[R] | Global[R], values: dict[str, Any]) -> list[R]:
        compiled = statement.postgres
        return [statement.make(row) for row in await raw.fetch(compiled.sql, *compiled.values(values))]

    async def _ping(self) -> None:
        try:
            async with asyncio.timeout(2):
                await self._answer("SELECT 1")
        except TimeoutError as error:
            raise StoreUnavailable("PostgreSQL doesn't respond") from error

    @_on_server()
    async def _answer(self, raw: Any, question: str) -> Any:
        """Returns the only value of a statement's result."""
        return await raw.fetchval(question)

    def version(self) -> object | None:
        return True if self._validity.holds() else None

    async def server_clock(self) -> int:
        return int(await self._answer(f"SELECT {NOW}"))

    @_on_server(writes=True)
    async def sweep_announcements(self, raw: Any) -> int:
        return _changed(await raw.execute(SWEEP))

    @_on_server()
    async def _leave(self, raw: Any, node_id: str) -> None:
        await raw.execute(LEAVE, node_id)


def _run(work: Work[T], connection: PostgresConnection) -> T:
    """Returns the result of the unit of work, once all its changes have run."""
    try:
        result = work(SystemUnit(connection))
    except BaseException as error:
        if getattr(error, "keeps_writes", False):
            connection.flush()
        raise
    connection.flush()
    return result


@lru_cache(512)
def _together(changes: tuple[Statement[Any], ...]) -> str:
    """Combines several changes into one statement, with its parameters in their order."""
    parts, before = list[str](), 0
    for change in changes:
        parts.append(change.postgres.shifted(before))
        before += len(change.postgres.order)
    if len(parts) == 1:
        return parts[0]
    return "WITH " + ", ".join(f"c{i} AS ({part})" for i, part in enumerate(parts[:-1])) + " " + parts[-1]


def _changed(status: str) -> int:
    """Returns the number of rows in a command's status, like ``UPDATE 1``."""
    return int(status.rpartition(" ")[2])


async def _durable(raw: Any, sent: Awaitable[R]) -> R:
    """Returns the response to a commit. Raises StoreUnavailable if the server warns, because then the change is visible
    there but possibly on no standby."""
    raw.is_warned = False
    answer = await sent
    if raw.is_warned:
        raise StoreUnavailable("PostgreSQL warned at a commit: no standby may have it")
    return answer
