"""Migrates the schema, exactly once even if many processes start together.

SQLite: ``BEGIN EXCLUSIVE`` precedes the read of the version. PostgreSQL: an advisory lock in the transaction. All
revisions and the new version commit together, so a process that is killed leaves the old schema whole. A newer schema
is used as it is where its revision lets programs of this one read it. Alembic and the secret key, which a new store
needs, are loaded only when there is something to do.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Connection, create_engine, delete, event, insert, text
from sqlalchemy.pool import NullPool

from manifest_auth.runtime.clock import Clock, Random
from manifest_auth.runtime.os_process import who_runs_this
from manifest_auth.runtime.sealing import Sealer, SecretKeys
from manifest_auth.store.ddl_locks import LOCK_TIMEOUT, with_short_locks
from manifest_auth.store.store import StoreUnavailable
from manifest_auth.store.tables import schema_state
from manifest_auth.store.upgrade_steps import Progress, told_again

if TYPE_CHECKING:
    import sqlite3

_MIGRATIONS = Path(__file__).parent / "migrations"
_FILES = {path.name[1:5]: path.stem for path in sorted((_MIGRATIONS / "versions").glob("v????_*.py"))}
#: The revisions, by the names of their files.
SCHEMAS = tuple(_FILES)
HEAD = SCHEMAS[-1]
#: The row of ``installation`` that stores an upgrade until it is recorded in the audit trail.
UPGRADED = "schema_upgraded"
# The row says something of the schema that it names alone. A store from before the first release may have none.
_SCHEMA = (
    "SELECT v.version_num, s.readable_by FROM alembic_version v LEFT JOIN schema_state s ON s.schema = v.version_num"
)
_VERSION = "SELECT version_num, NULL FROM alembic_version"


class SchemaRefused(Exception):
    """The schema is newer than this release, or no release has it; the text names the remedy."""


class SchemaOlder(SchemaRefused):
    """The schema must be upgraded first, and this process must not do it."""


class Schema(NamedTuple):
    """The schema of a store, and the oldest schema whose programs may use it."""

    number: str
    readable_by: str

    def check(self, what: str = "the store's schema") -> None:
        """Raises :class:`SchemaRefused` unless this release upgrades that schema or may use it as it is."""
        if self.number < SCHEMAS[0]:
            says = f"is older than {SCHEMAS[0]}, the first schema of a release; start with an empty store"
            raise SchemaRefused(f"{what}: {self.number} {says}")
        if self.number not in SCHEMAS and self.readable_by > HEAD:
            says = f"is newer than this release, which knows {HEAD}; upgrade the program"
            raise SchemaRefused(f"{what}: {self.number} {says}")


def head() -> Schema:
    """What this release upgrades to."""
    revision = import_module(f"manifest_auth.store.migrations.versions.{_FILES[HEAD]}")
    return Schema(HEAD, revision.READABLE_BY)


async def find_schema(url: str) -> Schema | None:
    """The schema of the store, or None when it is empty. Raises :class:`StoreUnavailable`."""
    if not url.startswith("sqlite:"):
        return await _schema_on_postgres(url)
    from manifest_auth.store.sqlite_file import opened

    path = Path(url.removeprefix("sqlite:///"))
    if not path.exists():
        return None
    with opened(path.absolute().as_uri()) as store:
        return schema_of(store)


def is_new(url: str) -> bool:
    """Whether a store in a file has no tables yet. Raises :class:`StoreUnavailable`."""
    path = Path(url.removeprefix("sqlite:///"))
    if not path.exists():
        return True
    from manifest_auth.store.sqlite_file import opened

    with opened(path.absolute().as_uri()) as store:
        return schema_of(store) is None


def schema_of(store: sqlite3.Connection) -> Schema | None:
    """As :func:`find_schema`, of an open SQLite store. Raises sqlite3.DatabaseError for a file that is none."""
    from sqlite3 import OperationalError

    for query in (_SCHEMA, _VERSION):
        with contextlib.suppress(OperationalError):
            return next(map(_schema, store.execute(query)), None)
    return None


async def _schema_on_postgres(url: str) -> Schema | None:
    import asyncpg

    from manifest_auth.store.postgres_connect import connected

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
    """Upgrades the store. True when there was something to do. ``keys``: called only then. ``progress``: called twice a
    second, from a thread, while it lasts. ``may_change``: otherwise an older or empty store is refused.

    Raises :class:`SchemaRefused`, `StoreUnavailable`, CannotOpen (a wrong secret key), and what ``keys`` raises; then
    nothing was done.
    """
    found = await find_schema(url)
    if found is not None:
        found.check()
    is_current = found is not None and found.number >= HEAD
    if not is_current and not may_change:
        of = f"its schema is {found.number}" if found else "it is empty"
        raise SchemaOlder(f"the store must be upgraded to {HEAD} first ({of}): run manifest-auth db upgrade")
    changed = False
    if not is_current:
        with told_again(HEAD, progress) as step:
            if url.startswith("sqlite:"):
                changed = _upgrade_sqlite(url, keys, step)
            else:
                changed = await _upgrade_postgres(url, keys, step)
    if may_change and not url.startswith("sqlite:"):
        from manifest_auth.store.postgres_connect import limit_role

        await limit_role(url)
    return changed


async def _upgrade_postgres(url: str, keys: Callable[[], SecretKeys], step: Progress) -> bool:
    from sqlalchemy.ext.asyncio import create_async_engine

    from manifest_auth.store.postgres_connect import LIMITS, LOCK, connect

    # The driver parses the address, as in the store: it knows parameters like `sslmode` that SQLAlchemy does not.
    engine = create_async_engine("postgresql+asyncpg://", async_creator=lambda: connect(url), poolclass=NullPool)

    async def once() -> bool:
        async with engine.begin() as connection:
            for limit in LIMITS:  # another process may be upgrading a large store
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
        # Readable by its owner alone, independent of the umask; SQLite gives the log files the same mode.
        if not Path(path).exists():
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        connect(path).close()
    except (OSError, sqlite3.Error) as error:
        raise StoreUnavailable(f"{path}: {error}") from error
    engine = create_engine("sqlite://", creator=lambda: connect(path), poolclass=NullPool)

    @event.listens_for(engine, "begin")
    def _exclusive(connection: Connection) -> None:
        # sqlite3 runs in autocommit mode; the lock is taken before the version is read. Another process may be
        # upgrading a large store, so this waits longer than a request would.
        connection.exec_driver_sql("PRAGMA busy_timeout=600000")
        # Within the transaction it has no effect. A revision that rebuilds a table checks all rows at its end.
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
    config.set_main_option("script_location", str(_MIGRATIONS))
    found = MigrationContext.configure(connection).get_current_revision()
    if found is not None and found >= HEAD:
        # Another process was first; one of a newer release may have left what this one must not use.
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
    """Raises CannotOpen where the start would be refused after the upgrade, which might sign with the wrong key."""
    sealer = Sealer(keys, Random())
    for key_id, secret in connection.execute(text("SELECT id, secret FROM signing_keys")):
        sealer.open(secret, f"signing_keys/{key_id}/secret")
