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

# The one way to a connection to PostgreSQL: of the store, of upgrades, of ``doctor`` and of the command line.
#
# PgBouncer rejects start-up parameters other than ``application_name``; time limits of statements belong to the role
# (:func:`limit_role`).


NAME = "manifest-auth"
#: How long a login takes at most, seconds: where requests wait for it, and where a command or a start does.
LOGIN_S, PATIENT_LOGIN_S = 1.5, 10.0
#: A statement that runs, or a transaction that waits for its client, ends after this many milliseconds.
LIMITS = ("statement_timeout", "idle_in_transaction_session_timeout")
LIMIT, LEAST_MS, MOST_MS = "15s", 1_000, 60_000
_LIMIT_ROLE = """
SELECT format('ALTER ROLE CURRENT_USER IN DATABASE %I SET %I = %L', current_database(), $1::text, $2::text)"""
LOCK = 0x6D616E69  # any number, the same in every process: one at a time changes the schema or the role
#: The server does not work, or the connection to it.
BROKEN = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,  # 08, which PgBouncer answers with too
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that is being shut down
    asyncpg.OperatorInterventionError,  # 57: it starts, stops or crashed, or a statement took too long
    asyncpg.PostgresSystemError,  # 58: its disk fails
    asyncpg.InsufficientResourcesError,  # 53: its disk is full, or no connection is left
    asyncpg.ReadOnlySQLTransactionError,  # a standby
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InsufficientPrivilegeError,  # the role has no right on a table: the operator's to mend, see `doctor`
)
#: What a statement on its own connection can raise, or its login.
FAILURES = (*BROKEN, StoreUnavailable, asyncpg.PostgresError)
#: It is a standby, or a pooler says that it cannot log in there.
_AWAY = (asyncpg.ReadOnlySQLTransactionError, asyncpg.ProtocolViolationError)


class NoLogin(StoreUnavailable):
    """No connection could be made. ``is_gone``: not because the server has too many already; ``is_late``: it took too
    long."""

    def __init__(self, error: Exception) -> None:
        super().__init__(f"PostgreSQL: {error or type(error).__name__}")
        self.is_gone = not isinstance(error, asyncpg.TooManyConnectionsError)
        self.is_late = isinstance(error, TimeoutError)


def means_gone(error: Exception, unanswered: int) -> bool:
    """Whether the server cannot be used, by what a beat or its login failed with; else its connection was cut, and the
    next one can serve. ``unanswered``: this many connections, one after the other, had no answer at all."""
    if isinstance(error, NoLogin):
        return error.is_gone
    if any(isinstance(each, _AWAY) for each in (error, error.__cause__)):
        return True
    return unanswered > 1 and not isinstance(error.__cause__, asyncpg.AdminShutdownError)


class Raw(asyncpg.Connection):
    """A connection that knows whether the server warned since ``is_warned`` was set to False.

    A COMMIT whose wait was ended by the operator is answered with a warning, whose text depends on the server's
    language, and there is no other warning of a COMMIT.
    """

    is_warned = False

    async def is_pooled(self) -> bool:
        """Whether a pooler stands between, which tells process numbers of its own at login."""
        return bool(self.get_server_pid() != await self.fetchval("SELECT pg_backend_pid()"))


def _heard(raw: Any, message: Any) -> None:
    raw.is_warned = raw.is_warned or message.severity_en == "WARNING"


async def connect(url: str, name: str = NAME, *, is_serving: bool = False) -> Raw:
    """Logs in within :data:`PATIENT_LOGIN_S`, or within :data:`LOGIN_S` where requests wait for it (``is_serving``).
    The name of the host is looked up each time. ``name``: for the server's list of sessions. Raises :class:`NoLogin`.
    """
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
    """Like :func:`connect`; it is ended with the block, whatever became of its statements, and without a cancel request
    (:meth:`.postgres_connections.Connections.acquire`)."""
    raw = await connect(url, name, is_serving=is_serving)
    try:
        yield raw
    finally:
        raw.terminate()


async def limit_role(url: str) -> None:
    """Gives the role :data:`LIMIT` in this database for each of :data:`LIMITS` that is not set within limits. Counts
    for later logins. Raises StoreUnavailable."""
    async with connected(url) as raw:
        if not (wrong := await limits_out_of_bounds(raw)):
            return
        # Where the role must not, or the server is a standby, `doctor` tells.
        with contextlib.suppress(asyncpg.PostgresError):
            async with raw.transaction():
                await raw.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
                for name in wrong:
                    await raw.execute(await raw.fetchval(_LIMIT_ROLE, name, LIMIT))


async def limits_out_of_bounds(raw: Raw) -> dict[str, int]:
    """Those of :data:`LIMITS` that are off, shorter than a second or longer than a minute: milliseconds."""
    found = await raw.fetch("SELECT name, setting::bigint FROM pg_settings WHERE name = ANY($1::text[])", LIMITS)
    return {name: value for name, value in found if not LEAST_MS <= value <= MOST_MS}


IDLE_S = 300.0  # a connection that nobody used for this long is not trusted: a firewall might have dropped it
UNIT_S = 8.0  # for one unit of work, its commit with it; then the connection is terminated
SPARED = 2  # connections that units of work that write leave to others


_CUT = (TimeoutError, OSError, asyncpg.InterfaceError)


class Lease:
    """A connection for one unit of work, see :meth:`Connections.acquire`. Not a generator: the event loop keeps account
    of each, which takes longer than all that is done here."""

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
    """At most ``most`` connections, the one used last first. A connection is released after a commit or rollback, so
    there is nothing to reset, which saves a round trip; one that is in any other state is closed.

    ``is_gone``: the last login failed, or the server was found to be a standby. Nothing is asked of it then until
    :meth:`found`, where ``is_knocked_at``: something else tries to reach it.
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
        """The server works, as far as is known."""
        self.is_gone, self._found_at = False, monotonic()

    def lost(self) -> None:
        """Terminates all connections: a unit of work that has one ends immediately, whether it was committed or not.
        Who waits for one is rejected."""
        self.is_gone = self.is_knocked_at
        for raw in (*self._used, *(raw for raw, _ in self._idle)):
            raw.terminate()
        while self._waiting:
            if not (turn := self._waiting.popleft()).done():
                turn.set_exception(_gone())

    async def open(self, count: int) -> None:
        """Makes the first ``count`` connections. Raises what ``connect`` raises."""
        for raw in [await self._take(5) for _ in range(count)]:
            self._give_back(raw)

    def acquire(self, seconds: float, *, to_write: bool = False) -> Lease:
        """A connection, for :data:`UNIT_S` seconds, to be entered with ``async with``. ``to_write``: some are not for
        that, so that a commit that waits for a standby stops no read. Raises TimeoutError if none is free in time,
        StoreUnavailable and what ``connect`` raises.

        Where the caller gives up, it is terminated in the same turn of the event loop. So the driver's task that would
        ask the server to cancel the statement ends before it begins: such a request ends a commit's wait for a standby,
        and what is not replicated is answered with success.
        """
        return Lease(self, seconds, to_write=to_write)

    async def begin(self, seconds: float, *, to_write: bool) -> Any:
        """A connection that is not used until :meth:`end`. Raises as :meth:`acquire`."""
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
        """Ends the use of a connection. ``error``: with which it failed."""
        # An answer can be on its way that nobody waits for: only a refusal of our own leaves it as it was.
        is_ours = isinstance(error, Exception) and not isinstance(error, _CUT)
        if error is None or is_ours:
            self._give_back(raw)
        else:
            self._drop(raw)
        if to_write:
            self._writing.release()

    async def close(self) -> None:
        """Closes those that are idle; the others close when they are released."""
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
            # A server that answers beats is far away: a login has many turns, and those who are in go on.
            if isinstance(error, NoLogin) and error.is_gone and not (error.is_late and self._found_at > began):
                self.lost()
            self._hand_on(None)
            raise
        if self.is_gone:  # it was found out in the meantime
            self._drop(raw)
            raise _gone()
        return raw

    async def _turn(self, seconds: float) -> Any:
        """The connection of a caller who has done with it; None: one was closed, and another can be made."""
        turn: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(seconds):
                return await turn
        except BaseException:
            # The turn came in this very moment: the next one's.
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                if turn.result() is None:
                    self._hand_on(None)
                else:
                    self._give_back(turn.result())
            raise

    def _hand_on(self, raw: Any | None) -> bool:
        """Gives a connection, or leave to make one, to who waits longest. False: nobody waits."""
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
