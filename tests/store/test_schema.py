"""The upgraded schema equals ``store/tables``, newer ones are rejected, and SQLite is as durable as documented."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, bindparam, create_engine, delete
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from manifest_auth import tenants
from manifest_auth.store import Store, StoreUnavailable, SystemUnit, global_, migrate, open_store
from manifest_auth.store.sqlite import BUSY_MS, connect
from manifest_auth.store.tables import metadata
from manifest_auth.store.tables import tenants as tenants_table
from tests.support.secret_keys import the_keys
from tests.support.stores import fresh_store, schema_number


def _versions() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    return ScriptDirectory.from_config(config)


def test_head_is_the_newest_revision_and_the_only_end() -> None:
    assert _versions().get_heads() == [migrate.HEAD]


def test_every_revision_is_reachable_and_in_the_folder() -> None:
    files = {p.stem[1:5] for p in (Path(migrate.__file__).parent / "migrations" / "versions").glob("v*.py")}
    walked = tuple(r.revision for r in _versions().walk_revisions())
    assert set(walked) == files
    assert walked[::-1] == migrate.SCHEMAS


def _differences(connection: Connection) -> list[Any]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return [d for d in compare_metadata(context, metadata) if not _is_about_identity(connection, d)]


def _is_about_identity(connection: Connection, difference: Any) -> bool:
    """SQLite has no identity columns. There, AUTOINCREMENT has the same effect (see the test below), and so does a
    single-column key besides one that is unique with the tenant (``test_keys.py``)."""
    if connection.dialect.name != "sqlite":
        return False
    if isinstance(difference, tuple):
        return difference[0] == "remove_index" and [c.name for c in difference[1].columns] == ["tenant_id", "id"]
    return bool(difference[0][0] == "modify_default")


async def test_the_upgraded_schema_is_the_one_of_the_tables_page(store: Store, database_url: str) -> None:
    if database_url.startswith("sqlite"):
        engine = create_engine(database_url)
        with engine.connect() as connection:
            assert _differences(connection) == []
        engine.dispose()
        return
    remote = create_async_engine(database_url.replace("postgresql://", "postgresql+asyncpg://", 1), poolclass=NullPool)
    async with remote.connect() as opened:
        assert await opened.run_sync(_differences) == []
    await remote.dispose()


def test_every_table_of_sqlite_is_strict(tmp_path: Path) -> None:
    """Without STRICT, SQLite accepts text in a numeric column."""
    with sqlite3.connect(fresh_store(tmp_path / "m.db").removeprefix("sqlite:///")) as raw:
        found = dict(raw.execute("SELECT name, strict FROM pragma_table_list WHERE type = 'table'").fetchall())
    raw.close()
    assert {name for name, strict in found.items() if not strict and name[:7] != "sqlite_"} == {"alembic_version"}


async def test_an_upgraded_store_has_nothing_left_to_upgrade(store: Store, database_url: str) -> None:
    assert await schema_number(database_url) == migrate.HEAD
    assert await migrate.upgrade(database_url, the_keys) is False


async def test_a_schema_of_a_newer_release_is_rejected_and_left_alone(database_url: str) -> None:
    await _refused(database_url, "9999", rf"9999 is newer than {migrate.HEAD}, .*; upgrade the program")


async def test_a_schema_older_than_the_first_revision_is_rejected_and_left_alone(database_url: str) -> None:
    """Development builds before the first release created such schemas."""
    told = rf"0011 is older than {migrate.SCHEMAS[0]}, the first schema of a release; start with an empty database"
    await _refused(database_url, "0011", told)


async def _refused(database_url: str, schema: str, told: str) -> None:
    await migrate.upgrade(database_url, the_keys)
    await _set_version(database_url, migrate.HEAD, schema)
    try:
        with pytest.raises(migrate.SchemaRefused, match=told):
            await migrate.upgrade(database_url, the_keys)
        assert await schema_number(database_url) == schema
    finally:
        await _set_version(database_url, schema, migrate.HEAD)


async def _set_version(database_url: str, before: str, after: str) -> None:
    change = f"UPDATE alembic_version SET version_num = '{after}' WHERE version_num = '{before}'"
    if database_url.startswith("sqlite"):
        raw = sqlite3.connect(database_url.removeprefix("sqlite:///"))
        with raw:
            assert raw.execute(change).rowcount == 1
        raw.close()
    else:
        remote = await asyncpg.connect(database_url)
        assert await remote.execute(change) == "UPDATE 1"
        await remote.close()


async def test_addresses_that_only_the_driver_understands_are_upgraded_too(postgres: Any) -> None:
    """Hosted PostgreSQL services provide addresses with such parameters."""
    url = f"{postgres.empty_database()}&sslmode=disable"
    assert await migrate.upgrade(url, the_keys) is True
    assert await migrate.upgrade(url, the_keys) is False


async def test_a_store_that_cannot_be_reached_is_said_to_be_so(tmp_path: Path) -> None:
    unreachable = "postgresql://postgres@127.0.0.1:1/none"
    with pytest.raises(StoreUnavailable):
        await migrate.upgrade(unreachable, the_keys)
    with pytest.raises(StoreUnavailable):
        await open_store(unreachable, 2).open()


async def test_a_file_that_is_no_store_is_said_to_be_so(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("This is no database. " * 100)
    with pytest.raises(StoreUnavailable, match=r"notes\.txt"):
        await migrate.upgrade(f"sqlite:///{path}", the_keys)
    assert path.read_text().startswith("This is no database.")


@pytest.mark.parametrize("readonly", [False, True])
def test_sqlite_connections_have_their_pragmas(tmp_path: Path, readonly: bool) -> None:
    connect(str(tmp_path / "x.db")).close()
    raw = connect(str(tmp_path / "x.db"), readonly=readonly)

    def pragma(name: str) -> Any:
        return raw.execute(f"PRAGMA {name}").fetchone()[0]

    assert pragma("journal_mode") == "wal"
    assert pragma("synchronous") == 2  # FULL: a commit is on the disk before it returns
    assert pragma("foreign_keys") == 1
    assert pragma("busy_timeout") == BUSY_MS >= 1000
    assert pragma("query_only") == readonly
    raw.close()


async def test_every_connection_of_the_store_has_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path / 'y.db'}"
    await migrate.upgrade(url, the_keys)
    opened: list[sqlite3.Connection] = []
    real = sqlite3.connect

    def kept(*given: Any, **options: Any) -> sqlite3.Connection:
        opened.append(real(*given, **options))
        return opened[-1]

    monkeypatch.setattr(sqlite3, "connect", kept)
    store = open_store(url, 2)
    await store.open()
    try:
        assert opened
        for raw in opened:
            modes = {p: raw.execute(f"PRAGMA {p}").fetchone()[0] for p in ("journal_mode", "foreign_keys")}
            assert modes == {"journal_mode": "wal", "foreign_keys": 1}
    finally:
        await store.close()


async def test_an_id_is_never_given_twice(store: Store) -> None:
    """Not even the ID of the newest row, after it was deleted."""

    def make(unit: SystemUnit, name: str) -> int:
        return tenants.create(unit, name, "T", tenants.TenantSettings(), 1).id

    first = await store.write(lambda unit: make(unit, "gone-soon"))
    gone = global_(delete(tenants_table).where(tenants_table.c.id == bindparam("id")))
    assert await store.write(lambda unit: unit.change(gone, id=first)) == 1
    assert await store.write(lambda unit: make(unit, "comes-next")) > first


def test_every_numbered_table_never_gives_an_id_twice_on_sqlite() -> None:
    for table in metadata.tables.values():
        if "id" in table.c and table.c.id.identity is not None:
            assert table.dialect_options["sqlite"]["autoincrement"], table.name
