"""Migrates the schema, exactly once even if many processes start together.

SQLite: ``BEGIN EXCLUSIVE`` precedes the read of the version. PostgreSQL: an advisory lock in the transaction. All
revisions and the new version commit together, so a process that is killed leaves the old schema whole. A schema that is
newer than the program, or older than the first revision, is refused. Alembic and the secret key, which a new store
needs, are loaded only when there is something to do.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, create_engine, event, text
from sqlalchemy.pool import NullPool

from manifest_auth.runtime.sealing import SecretKeys
from manifest_auth.store.store import StoreUnavailable

_MIGRATIONS = Path(__file__).parent / "migrations"
#: The revisions, by the names of their files.
SCHEMAS = tuple(sorted(path.name[1:5] for path in (_MIGRATIONS / "versions").glob("v????_*.py")))
HEAD = SCHEMAS[-1]
#: The row of ``installation`` that stores an upgrade until it is recorded in the audit trail.
UPGRADED = "schema_upgraded"
_VERSION = "SELECT version_num FROM alembic_version"


class SchemaRefused(Exception):
    """The schema is newer than this release, or too old for it; the text names the remedy."""


def check(schema: str, what: str = "the store's schema", *, may_be_newer: bool = False) -> None:
    """Raises :class:`SchemaRefused` for a schema that is not in :data:`SCHEMAS`. ``may_be_newer``: for code that only
    copies, or reads what all schemas have."""
    if schema < SCHEMAS[0]:
        advice = f"bring it to {SCHEMAS[0]} with a program that knows both, or start with an empty store"
        raise SchemaRefused(f"{what}: {schema} is older than {SCHEMAS[0]}, from which this release upgrades; {advice}")
    if schema not in SCHEMAS and not may_be_newer:
        raise SchemaRefused(f"{what}: {schema} is newer than this release, which knows {HEAD}; upgrade the program")


_NOW = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"


async def server_clock(url: str) -> int | None:
    """The time of the PostgreSQL server, in milliseconds since 1970; None on SQLite. Raises StoreUnavailable."""
    if url.startswith("sqlite:"):
        return None
    from manifest_auth.store.postgres_connect import connect

    raw = await connect(url)
    try:
        return int(await raw.fetchval(_NOW))
    finally:
        await raw.close()


async def current_version(url: str) -> str | None:
    """The revision of the store, or None when it is empty. Raises :class:`StoreUnavailable`."""
    if url.startswith("sqlite:"):
        import sqlite3

        path = Path(url.removeprefix("sqlite:///"))
        if not path.exists():
            return None
        try:
            with_version = sqlite3.connect(path)
        except sqlite3.Error as error:
            raise StoreUnavailable(f"{path}: {error}") from error
        try:
            return str(with_version.execute(_VERSION).fetchone()[0])
        except (sqlite3.OperationalError, TypeError):
            return None
        except sqlite3.DatabaseError as error:
            raise StoreUnavailable(f"{path}: {error}") from error
        finally:
            with_version.close()
    import asyncpg

    from manifest_auth.store.postgres_connect import connect

    raw = await connect(url)
    try:
        return str(await raw.fetchval(_VERSION))
    except asyncpg.UndefinedTableError:
        return None
    finally:
        await raw.close()


async def upgrade(url: str, keys: Callable[[], SecretKeys]) -> bool:
    """Upgrades the store. True when there was something to do. ``keys``: called only then.

    Raises :class:`SchemaRefused`, `StoreUnavailable`, and what ``keys`` raises; then nothing was done.
    """
    is_current = await current_version(url) == HEAD
    if url.startswith("sqlite:"):
        return not is_current and _upgrade_sqlite(url, keys)
    from manifest_auth.store.postgres_connect import limit_role

    changed = not is_current and await _upgrade_postgres(url, keys)
    await limit_role(url)
    return changed


async def _upgrade_postgres(url: str, keys: Callable[[], SecretKeys]) -> bool:
    from sqlalchemy.ext.asyncio import create_async_engine

    from manifest_auth.store.postgres_connect import LIMITS, LOCK, connect

    # The driver parses the address, as in the store: it knows parameters like `sslmode` that SQLAlchemy does not.
    engine = create_async_engine("postgresql+asyncpg://", async_creator=lambda: connect(url), poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            for limit in LIMITS:  # another process may be upgrading a large store
                await connection.execute(text(f"SET LOCAL {limit} = 0"))
            await connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
            return await connection.run_sync(_run, keys)
    finally:
        await engine.dispose()


def _upgrade_sqlite(url: str, keys: Callable[[], SecretKeys]) -> bool:
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
        connection.exec_driver_sql("PRAGMA busy_timeout=120000")
        connection.exec_driver_sql("BEGIN EXCLUSIVE")

    try:
        with engine.begin() as connection:
            return _run(connection, keys)
    finally:
        engine.dispose()


def _run(connection: Connection, keys: Callable[[], SecretKeys]) -> bool:
    from alembic import command
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext

    config = Config(attributes={"connection": connection, "keys": keys})
    config.set_main_option("script_location", str(_MIGRATIONS))
    found = MigrationContext.configure(connection).get_current_revision()
    if found == HEAD:
        return False
    if found is not None:
        check(found)
    command.upgrade(config, "head")
    if found is not None:  # the next start records it in the audit trail
        put = text("INSERT INTO installation (name, value) VALUES (:name, :value)")
        connection.execute(text("DELETE FROM installation WHERE name = :name"), {"name": UPGRADED})
        connection.execute(put, {"name": UPGRADED, "value": f'{{"before":"{found}","after":"{HEAD}"}}'})
    return True
