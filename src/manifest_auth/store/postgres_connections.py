"""Connections to PostgreSQL, handed from one unit of work to the next."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from time import monotonic
from typing import Any

import asyncpg

from manifest_auth.store.store import StoreUnavailable

# Every connection to PostgreSQL is made here: for the store, for upgrades, for ``doctor`` and for the command line.
#
# PgBouncer rejects startup parameters other than ``application_name``; time limits of statements belong to the role
# (:func:`limit_role`).


NAME = "manifest-auth"
#: Maximum duration of a login in seconds: when requests wait for it, and when a command or a start waits.
LOGIN_S, PATIENT_LOGIN_S = 1.5, 10.0
#: A running statement, or a transaction that waits for its client, ends after this many milliseconds.
LIMITS = ("statement_timeout", "idle_in_transaction_session_timeout")
LIMIT, LEAST_MS, MOST_MS = "15s", 1_000, 60_000
_LIMIT_ROLE = """
SELECT format('ALTER ROLE CURRENT_USER IN DATABASE %I SET %I = %L', current_database(), $1::text, $2::text)"""
LOCK = 0x6D616E69  # any number, but the same in every process: only one at a time changes the schema or the role
#: Errors that mean that the server, or the connection to it, does not work.
BROKEN = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,  # 08, also a response of PgBouncer
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that is being shut down
    asyncpg.OperatorInterventionError,  # 57: starting, stopping or crashed, or a statement took too long
    asyncpg.PostgresSystemError,  # 58: its disk fails
    asyncpg.InsufficientResourcesError,  # 53: its disk is full, or no connection is left
    asyncpg.ReadOnlySQLTransactionError,  # a standby
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InsufficientPrivilegeError,  # the role lacks a right on a table, which the operator must fix, see `doctor`
)
#: Errors of a statement on its own connection, or of its login.
FAILURES = (*BROKEN, StoreUnavailable, asyncpg.PostgresError)
#: Errors of a standby, or of a pooler that cannot log in.
_AWAY = (asyncpg.ReadOnlySQLTransactionError, asyncpg.ProtocolViolationError)


class NoLogin(StoreUnavailable):
    """No connection could be made. ``is_gone``: for a reason other than too many connections; ``is_late``: it took too
    long."""

    def __init__(self, error: Exception) -> None:
        super().__init__(f"PostgreSQL: {error or type(error).__name__}")
        self.is_gone = not isinstance(error, asyncpg.TooManyConnectionsError)
        self.is_late = isinstance(error, TimeoutError)


def means_gone(error: Exception, unanswered: int) -> bool:
    """Whether the error of a beat or its login means that the server cannot be used. Otherwise the connection was cut,
    and the next one might work. ``unanswered``: the number of consecutive connections without any response."""
    if isinstance(error, NoLogin):
        return error.is_gone
    if any(isinstance(each, _AWAY) for each in (error, error.__cause__)):
        return True
    return unanswered > 1 and not isinstance(error.__cause__, asyncpg.AdminShutdownError)


class Raw(asyncpg.Connection):
    """A connection that knows whether the server warned since ``is_warned`` was set to False.

    If an operator ends the wait of a COMMIT, its response has a warning, whose text depends on the server's language. A
    COMMIT has no other warnings.
    """

    is_warned = False

    async def is_pooled(self) -> bool:
        """Whether a pooler is in between, which reports its own process numbers at login."""
        return bool(self.get_server_pid() != await self.fetchval("SELECT pg_backend_pid()"))


def _heard(raw: Any, message: Any) -> None:
    raw.is_warned = raw.is_warned or message.severity_en == "WARNING"


async def connect(url: str, name: str = NAME, *, is_serving: bool = False) -> Raw:
    """Logs in within :data:`PATIENT_LOGIN_S`, or within :data:`LOGIN_S` if requests wait for it (``is_serving``). The
    host name is looked up each time. ``name`` appears in the server's list of sessions. Raises :class:`NoLogin`."""
    try:
        raw: Raw = await asyncpg.connect(
            url,
            timeout=LOGIN_S if is_serving else PATIENT_LOGIN_S,
            statement_cache_size=512,
            connection_class=Raw,
            server_settings={"application_name": name},
        )
    except (*BROKEN, asyncpg.PostgresError) as error:
        raise NoLogin(error) from error
    raw.add_log_listener(_heard)
    return raw


@contextlib.asynccontextmanager
async def connected(url: str, name: str = NAME, *, is_serving: bool = False) -> AsyncIterator[Raw]:
    """Connects like :func:`connect`, and ends the connection with the block, whatever happened to its statements,
    without a cancel request (:meth:`.postgres_connections.Connections.acquire`)."""
    raw = await connect(url, name, is_serving=is_serving)
    try:
        yield raw
    finally:
        raw.terminate()


async def limit_role(url: str) -> None:
    """Sets :data:`LIMIT` for the role in this database, for each of :data:`LIMITS` that is unset or out of bounds.
    Takes effect at later logins. Raises StoreUnavailable."""
    async with connected(url) as raw:
        if not (wrong := await limits_out_of_bounds(raw)):
            return
        # If the role lacks the right, or the server is a standby, `doctor` reports it.
        with contextlib.suppress(asyncpg.PostgresError):
            async with raw.transaction():
                await raw.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
                for name in wrong:
                    await raw.execute(await raw.fetchval(_LIMIT_ROLE, name, LIMIT))


async def limits_out_of_bounds(raw: Raw) -> dict[str, int]:
    """Returns the :data:`LIMITS` that are off, shorter than a second or longer than a minute, in milliseconds."""
    found = await raw.fetch("SELECT name, setting::bigint FROM pg_settings WHERE name = ANY($1::text[])", LIMITS)
    return {name: value for name, value in found if not LEAST_MS <= value <= MOST_MS}


IDLE_S = 300.0  # an older idle connection is not trusted: a firewall might have dropped it
UNIT_S = 8.0  # for one unit of work including its commit; then the connection is terminated
SPARED = 2  # connections that writing units of work leave to others


_CUT = (TimeoutError, OSError, asyncpg.InterfaceError)


class Lease:
    """A connection for one unit of work, see :meth:`Connections.acquire`. It is no generator, because the event loop
    tracks each generator, which takes longer than everything done here."""

    __slots__ = ("_connections", "_end", "_raw", "_seconds", "_to_write")
    _end: asyncio.TimerHandle

    def __init__(self, connections: Connections, seconds: float, *, to_write: bool) -> None:
        self._connections, self._seconds, self._to_write = connections, seconds, to_write

    async def __aenter__(self) -> Any:
        self._raw = raw = await self._connections.begin(self._seconds, to_write=self._to_write)
        self._end = asyncio.get_running_loop().call_later(UNIT_S, raw.terminate)
        return raw

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._end.cancel()
        self._connections.end(self._raw, error, to_write=self._to_write)


class Connections:
    """A pool of at most ``most`` connections, most recently used first. A connection is released after a commit or
    rollback, so there is nothing to reset, which saves a round trip. A connection in any other state is closed.

    ``is_gone``: the last login failed, or the server is a standby. Then it gets no queries until :meth:`found`, if
    ``is_knocked_at``: something else tries to reach it.
    """

    is_gone = is_knocked_at = False
    _found_at = 0.0

    def __init__(self, connect: Callable[[], Awaitable[Any]], most: int) -> None:
        self._connect = connect
        self._most = most
        self._count = 0
        self._idle: list[tuple[Any, float]] = []
        self._used: set[Any] = set()
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._writing = asyncio.Semaphore(max(1, most - SPARED))

    def found(self) -> None:
        """Records that the server works, as far as is known."""
        self.is_gone, self._found_at = False, monotonic()

    def lost(self) -> None:
        """Terminates all connections, so a unit of work that has one ends immediately, whether or not it was committed.
        Callers that wait for a connection are rejected."""
        self.is_gone = self.is_knocked_at
        for raw in (*self._used, *(raw for raw, _ in self._idle)):
            raw.terminate()
        while self._waiting:
            if not (turn := self._waiting.popleft()).done():
                turn.set_exception(_gone())

    async def open(self, count: int) -> None:
        """Opens the first ``count`` connections. Raises the errors of ``connect``."""
        for raw in [await self._take(5) for _ in range(count)]:
            self._give_back(raw)

    def acquire(self, seconds: float, *, to_write: bool = False) -> Lease:
        """Returns a connection for :data:`UNIT_S` seconds, to enter with ``async with``. ``to_write``: some connections
        are reserved for reads, so that commits that wait for a standby block no read. Raises TimeoutError if none is
        free in time, StoreUnavailable and the errors of ``connect``.

        If the caller gives up, the connection is terminated in the same turn of the event loop. So the driver's task
        that would ask the server to cancel the statement ends before it starts. Such a request would end a commit's
        wait for a standby, and unreplicated data would be reported as success.
        """
        return Lease(self, seconds, to_write=to_write)

    async def begin(self, seconds: float, *, to_write: bool) -> Any:
        """Returns a connection that is not used until :meth:`end`. Raises the errors of :meth:`acquire`."""
        if not to_write:
            raw = await self._take(seconds)
        else:
            until = monotonic() + seconds
            if self._writing.locked():
                async with asyncio.timeout(seconds):
                    await self._writing.acquire()
            else:
                await self._writing.acquire()
            try:
                raw = await self._take(until - monotonic())
            except BaseException:
                self._writing.release()
                raise
        self._used.add(raw)
        return raw

    def end(self, raw: Any, error: BaseException | None, *, to_write: bool) -> None:
        """Ends the use of a connection. ``error`` is the error that it failed with."""
        # A response that nobody waits for might be on its way. Only a refusal of our own leaves the connection clean.
        is_ours = isinstance(error, Exception) and not isinstance(error, _CUT)
        if error is None or is_ours:
            self._give_back(raw)
        else:
            self._drop(raw)
        if to_write:
            self._writing.release()

    async def close(self) -> None:
        """Closes idle connections; the others close when they are released."""
        self._most = 0
        idle, self._idle = self._idle, []
        self._count -= len(idle)
        await asyncio.gather(*(raw.close(timeout=2) for raw, _ in idle), return_exceptions=True)

    async def _take(self, seconds: float) -> Any:
        if self.is_gone:
            raise _gone()
        while self._idle:
            raw, since = self._idle.pop()
            if not raw.is_closed() and monotonic() - since < IDLE_S:
                return raw
            self._drop(raw)
        raw = None if self._count < self._most else await self._turn(seconds)
        if raw is not None:
            return raw
        self._count += 1
        began = monotonic()
        try:
            raw = await self._connect()
        except BaseException as error:
            self._count -= 1
            # The server answers beats, but is far away: a login takes many turns, and current callers continue.
            if isinstance(error, NoLogin) and error.is_gone and not (error.is_late and self._found_at > began):
                self.lost()
            self._hand_on(None)
            raise
        if self.is_gone:  # found out in the meantime
            self._drop(raw)
            raise _gone()
        return raw

    async def _turn(self, seconds: float) -> Any:
        """Returns the connection that another caller has released; None if one was closed and another can be opened."""
        turn: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(seconds):
                return await turn
        except BaseException:
            # The turn came at this very moment: pass it to the next caller.
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                if turn.result() is None:
                    self._hand_on(None)
                else:
                    self._give_back(turn.result())
            raise

    def _hand_on(self, raw: Any | None) -> bool:
        """Gives a connection, or permission to open one, to the longest-waiting caller. False if nobody waits."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(raw)
                return True
        return False

    def _give_back(self, raw: Any) -> None:
        self._used.discard(raw)
        if raw.is_closed() or raw.is_in_transaction() or not self._most:
            self._drop(raw)
        elif not self._hand_on(raw):
            self._idle.append((raw, monotonic()))

    def _drop(self, raw: Any) -> None:
        self._used.discard(raw)
        self._count -= 1
        raw.terminate()
        self._hand_on(None)


def _gone() -> StoreUnavailable:
    return StoreUnavailable("PostgreSQL can't be reached")
