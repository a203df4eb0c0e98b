"""Migration of the schema, exactly once even if many processes start together.

SQLite: ``BEGIN EXCLUSIVE`` precedes the read of the version. PostgreSQL: an advisory lock in the transaction. All
revisions and the new version commit together, so a process that is killed leaves the old schema intact. A newer schema
is used unchanged if its revision allows programs of this one to read it. Alembic and the secret key, which a new
database needs, are loaded only when there is something to do.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import threading
from collections.abc import Awaitable, Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import Connection, create_engine, delete, event, insert, text
from sqlalchemy.pool import NullPool

from manifest_auth.runtime.clock import Clock, Random
from manifest_auth.runtime.os_process import who_runs_this
from manifest_auth.runtime.revisions import FILES, HEAD, MIGRATIONS, SCHEMAS
from manifest_auth.runtime.sealing import Sealer, SecretKeys
from manifest_auth.store.store import StoreUnavailable
from manifest_auth.store.tables import schema_state

if TYPE_CHECKING:
    import sqlite3


# Runs an upgrade's transaction so that it never blocks users of its tables for long.
#
# PostgreSQL queues every later reader of a table behind a statement that waits to change it. So such a statement waits
# two seconds at most. Then the transaction is rolled back, the queued readers continue, and it is retried.


LOCK_TIMEOUT = "SET LOCAL lock_timeout = '2s'"
TRIES = 30
PAUSE_S = 0.5
_LOCKED = ("55P03", "40P01")  # lock_not_available, deadlock_detected
#: The sessions that keep the holder of the advisory lock $1 waiting.
_BLOCKER = """
SELECT a.pid, a.usename, a.application_name, a.client_addr
FROM pg_locks l, unnest(pg_blocking_pids(l.pid)) blocking(pid) JOIN pg_stat_activity a ON a.pid = blocking.pid
WHERE l.locktype = 'advisory' AND l.objid = $1 AND l.granted LIMIT 1"""


async def with_short_locks(once: Callable[[], Awaitable[bool]], url: str, key: int) -> bool:
    """Returns the result of ``once``: one transaction with :data:`LOCK_TIMEOUT` under the advisory lock ``key``. Raises
    StoreUnavailable, naming the lock's holder, if the lock is never released."""
    from sqlalchemy.exc import DBAPIError

    for tries_left in reversed(range(TRIES)):
        holder: list[str] = []
        watch = None if tries_left else asyncio.create_task(_watch(url, key, holder))
        try:
            return await once()
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", "") not in _LOCKED:
                raise
            if not tries_left:
                by = holder[0] if holder else "a different connection"
                raise StoreUnavailable(
                    f"the upgrade needs a lock on a table that {by} holds; end it, and start again"
                ) from error
        finally:
            if watch is not None:
                watch.cancel()
        await asyncio.sleep(PAUSE_S)
    raise AssertionError("unreachable")


async def _watch(url: str, key: int, holder: list[str]) -> None:
    """Puts the connection that the upgrade waits for into ``holder``."""
    from manifest_auth.store.postgres_connections import connected

    async with connected(url) as raw:
        while not holder:
            if row := await raw.fetchrow(_BLOCKER, key):
                program, address = row["application_name"] or "a program", row["client_addr"] or "this machine"
                holder.append(f"{program} (process {row['pid']}, user {row['usename']}, from {address})")
            await asyncio.sleep(0.2)


#: Receives the name of the step, how many parts of it are done, and of how many.
Progress = Callable[[str, int, int], None]
_PAUSE_S: Final = 0.5


@contextlib.contextmanager
def told_again(schema: str, progress: Progress) -> Iterator[Progress]:
    """Repeats progress messages: ``with told_again("0013", progress) as step: step("users", 3, 30)``. A thread repeats
    the newest step, since one statement can take minutes. ``progress`` itself decides what to show."""
    steps, over = list[tuple[str, int, int]](), threading.Event()

    def tell() -> None:
        while not over.wait(_PAUSE_S):
            if steps:
                progress(*steps[-1])

    thread = threading.Thread(target=tell, name="upgrade-steps", daemon=True)
    thread.start()
    try:
        yield lambda what, done, of: steps.append((f"upgrading the schema to {schema}: {what}", done, of))
    finally:
        over.set()
        thread.join()


#: The row of ``installation`` that stores an upgrade until it is recorded in the audit trail.
UPGRADED = "schema_upgraded"
# The row describes only the schema that it names. A database from before the first release might have no row.
_SCHEMA = (
    "SELECT v.version_num, s.readable_by FROM alembic_version v LEFT JOIN schema_state s ON s.schema = v.version_num"
)
_VERSION = "SELECT version_num, NULL FROM alembic_version"


class SchemaRefused(Exception):
    """The schema is newer than this release, or no release has it. The message names the remedy."""


class SchemaOlder(SchemaRefused):
    """The schema must be upgraded first, and this process must not do it."""


class Schema(NamedTuple):
    """The schema of a database, and the oldest schema whose programs can use it."""

    number: str
    readable_by: str

    def check(self, what: str = "schema of the database") -> None:
        """Raises :class:`SchemaRefused` unless this release upgrades that schema or can use it unchanged."""
        if self.number < SCHEMAS[0]:
            says = f"is older than {SCHEMAS[0]}, the first schema of a release; start with an empty database"
            raise SchemaRefused(f"{what}: {self.number} {says}")
        if self.number not in SCHEMAS and self.readable_by > HEAD:
            says = f"is newer than {HEAD}, the newest that this version knows; upgrade the program"
            raise SchemaRefused(f"{what}: {self.number} {says}")


def head() -> Schema:
    """Returns the schema to which this release upgrades."""
    revision = import_module(f"manifest_auth.store.migrations.versions.{FILES[HEAD]}")
    return Schema(HEAD, revision.READABLE_BY)


async def find_schema(url: str) -> Schema | None:
    """Returns the schema of the database, or None if it is empty. Raises :class:`StoreUnavailable`."""
    if not url.startswith("sqlite:"):
        return await _schema_on_postgres(url)
    path = Path(url.removeprefix("sqlite:///"))
    if not path.exists():
        return None
    with opened(path.absolute().as_uri()) as store:
        return schema_of(store)


def is_new(url: str) -> bool:
    """Whether a database file has no tables yet. Raises :class:`StoreUnavailable`."""
    path = Path(url.removeprefix("sqlite:///"))
    if not path.exists():
        return True
    with opened(path.absolute().as_uri()) as store:
        return schema_of(store) is None


@contextlib.contextmanager
def opened(address: str) -> Iterator[sqlite3.Connection]:
    """Returns a connection to the file of this URI. Raises :class:`StoreUnavailable`, also for failures within the
    block."""
    import sqlite3

    try:
        raw = sqlite3.connect(address, uri=True, isolation_level=None)
        try:
            yield raw
        finally:
            raw.close()
    except (sqlite3.Error, ValueError) as error:  # ValueError: there is no schema version
        path = address.removeprefix("file://").partition("?")[0]
        raise StoreUnavailable(f"{path}: {error}") from error


def schema_of(store: sqlite3.Connection) -> Schema | None:
    """Returns the schema of an open SQLite database, like :func:`find_schema`. Raises sqlite3.DatabaseError for a file
    that is not a database."""
    from sqlite3 import OperationalError

    for query in (_SCHEMA, _VERSION):
        with contextlib.suppress(OperationalError):
            return next(map(_schema, store.execute(query)), None)
    return None


async def _schema_on_postgres(url: str) -> Schema | None:
    import asyncpg

    from manifest_auth.store.postgres_connections import connected

    async with connected(url) as raw:
        for query in (_SCHEMA, _VERSION):
            with contextlib.suppress(asyncpg.UndefinedTableError):
                return next(map(_schema, await raw.fetch(query)), None)
    return None


def _schema(row: Any) -> Schema:
    return Schema(row[0], row[1] or row[0])


async def upgrade(
    url: str, keys: Callable[[], SecretKeys], progress: Progress = lambda *_: None, *, may_change: bool = True
) -> bool:
    """Upgrades the database. Returns True if there was something to do. ``keys``: called only then; ``progress``:
    called twice a second from a thread during the upgrade; ``may_change``: otherwise an older or empty database is
    rejected.

    Raises :class:`SchemaRefused`, `StoreUnavailable`, CannotOpen (a wrong secret key), and the errors of ``keys``;
    nothing was done in these cases.
    """
    found = await find_schema(url)
    if found is not None:
        found.check()
    is_current = found is not None and found.number >= HEAD
    if not is_current and not may_change:
        of = f"its schema is {found.number}" if found else "it is empty"
        raise SchemaOlder(f"upgrade the database to {HEAD} first ({of}): run manifest-auth db upgrade")
    changed = False
    if not is_current:
        with told_again(HEAD, progress) as step:
            if url.startswith("sqlite:"):
                changed = _upgrade_sqlite(url, keys, step)
            else:
                changed = await _upgrade_postgres(url, keys, step)
    if may_change and not url.startswith("sqlite:"):
        from manifest_auth.store.postgres_connections import limit_role

        await limit_role(url)
    return changed


async def _upgrade_postgres(url: str, keys: Callable[[], SecretKeys], step: Progress) -> bool:
    from sqlalchemy.ext.asyncio import create_async_engine

    from manifest_auth.store.postgres_connections import LIMITS, LOCK, connect

    # The driver parses the address, as the store does, because it knows parameters like `sslmode` that SQLAlchemy
    # doesn't.
    engine = create_async_engine("postgresql+asyncpg://", async_creator=lambda: connect(url), poolclass=NullPool)

    async def once() -> bool:
        async with engine.begin() as connection:
            for limit in LIMITS:  # another process might be upgrading a large database
                await connection.execute(text(f"SET LOCAL {limit} = 0"))
            await connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
            await connection.execute(text(LOCK_TIMEOUT))
            return await connection.run_sync(_run, keys, step)

    try:
        return await with_short_locks(once, url, LOCK)
    finally:
        await engine.dispose()


def _upgrade_sqlite(url: str, keys: Callable[[], SecretKeys], step: Progress) -> bool:
    import sqlite3

    from manifest_auth.store.sqlite import connect

    path = url.removeprefix("sqlite:///")
    try:
        Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Readable only by its owner, independent of the umask; SQLite gives the log files the same mode.
        if not Path(path).exists():
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        connect(path).close()
    except (OSError, sqlite3.Error) as error:
        raise StoreUnavailable(f"{path}: {error}") from error
    engine = create_engine("sqlite://", creator=lambda: connect(path), poolclass=NullPool)

    @event.listens_for(engine, "begin")
    def _exclusive(connection: Connection) -> None:
        # sqlite3 runs in autocommit mode; the lock is taken before the version is read. Another process might be
        # upgrading a large database, so this waits longer than a request would.
        connection.exec_driver_sql("PRAGMA busy_timeout=600000")
        # Within the transaction it would have no effect. A revision that rebuilds a table checks all rows at its end.
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        connection.exec_driver_sql("BEGIN EXCLUSIVE")

    try:
        with engine.begin() as connection:
            return _run(connection, keys, step)
    finally:
        engine.dispose()


def _run(connection: Connection, keys: Callable[[], SecretKeys], step: Progress) -> bool:
    from alembic import command
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext

    config = Config(attributes={"connection": connection, "keys": keys, "step": step})
    config.set_main_option("script_location", str(MIGRATIONS))
    found = MigrationContext.configure(connection).get_current_revision()
    if found is not None and found >= HEAD:
        # Another process was first; if it has a newer release, this process might not be able to use the result.
        _schema(connection.execute(text(_SCHEMA)).one()).check()
        return False
    if found is not None:
        _check_key(connection, keys())
    command.upgrade(config, "head")
    state = dict(zip(("schema", "readable_by"), head(), strict=True), at=Clock().now_ms())
    connection.execute(delete(schema_state))
    connection.execute(insert(schema_state), state)
    if found is not None:  # the next start records it in the audit trail
        put = text("INSERT INTO installation (name, value) VALUES (:name, :value)")
        connection.execute(text("DELETE FROM installation WHERE name = :name"), {"name": UPGRADED})
        value = json.dumps({"before": found, "after": HEAD, **who_runs_this()})
        connection.execute(put, {"name": UPGRADED, "value": value})
    return True


def _check_key(connection: Connection, keys: SecretKeys) -> None:
    """Raises CannotOpen if startup would be rejected after the upgrade, which might sign with the wrong key."""
    sealer = Sealer(keys, Random())
    for key_id, secret in connection.execute(text("SELECT id, secret FROM signing_keys")):
        sealer.open(secret, f"signing_keys/{key_id}/secret")
