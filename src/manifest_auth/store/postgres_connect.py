"""The one way to a connection to PostgreSQL: of the store, of upgrades, of ``doctor`` and of the command line.

PgBouncer refuses start-up parameters other than ``application_name``; time limits of statements belong to the role
(:func:`limit_role`).
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import asyncpg

from manifest_auth.store.store import StoreUnavailable

NAME = "manifest-auth"
LOGIN_S = 1.5
#: A statement that runs, or a transaction that waits for its client, ends after so many milliseconds.
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
#: What a statement on a connection of its own may raise, or its login.
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
    next one may serve. ``unanswered``: so many connections, one after the other, had no answer at all."""
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


async def connect(url: str, name: str = NAME) -> Raw:
    """Logs in within :data:`LOGIN_S`. The name of the host is looked up each time. ``name``: for the server's list of
    sessions. Raises :class:`NoLogin`."""
    try:
        raw: Raw = await asyncpg.connect(
            url,
            timeout=LOGIN_S,
            statement_cache_size=512,
            connection_class=Raw,
            server_settings={"application_name": name},
        )
    except (*BROKEN, asyncpg.PostgresError) as error:
        raise NoLogin(error) from error
    raw.add_log_listener(_heard)
    return raw


@contextlib.asynccontextmanager
async def connected(url: str, name: str = NAME) -> AsyncIterator[Raw]:
    """As :func:`connect`; it is ended with the block, whatever became of its statements, and without a cancel request
    (:meth:`.postgres_connections.Connections.acquire`)."""
    raw = await connect(url, name)
    try:
        yield raw
    finally:
        raw.terminate()


async def limit_role(url: str) -> None:
    """Gives the role :data:`LIMIT` in this database for each of :data:`LIMITS` that is not set within bounds. Counts
    for later logins. Raises StoreUnavailable."""
    async with connected(url) as raw:
        if not (wrong := await limits_out_of_bounds(raw)):
            return
        # Where the role may not, or the server is a standby, `doctor` tells.
        with contextlib.suppress(asyncpg.PostgresError):
            async with raw.transaction():
                await raw.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
                for name in wrong:
                    await raw.execute(await raw.fetchval(_LIMIT_ROLE, name, LIMIT))


async def limits_out_of_bounds(raw: Raw) -> dict[str, int]:
    """Those of :data:`LIMITS` that are off, shorter than a second or longer than a minute: milliseconds."""
    found = await raw.fetch("SELECT name, setting::bigint FROM pg_settings WHERE name = ANY($1::text[])", LIMITS)
    return {name: value for name, value in found if not LEAST_MS <= value <= MOST_MS}
