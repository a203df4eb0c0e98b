"""A program uses a newer database if its revision allows it, and never upgrades one that it must not change."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from manifest_auth.store import migrate
from tests.releases import next_release
from tests.store import old_stores
from tests.support.secret_keys import the_keys

NEWER = "9990"


async def state(url: str, **values: str) -> Any:
    """Set the row with the state, and Alembic's version if given."""

    def work(connection: Connection) -> None:
        for column, value in values.items():
            table = "alembic_version" if column == "version_num" else "schema_state"
            connection.execute(text(f"UPDATE {table} SET {column} = '{value}'"))

    return await old_stores.within(url, work)


@pytest.fixture
async def url(database_url: str) -> AsyncIterator[str]:
    yield database_url
    await state(database_url, version_num=migrate.HEAD, schema=migrate.HEAD, readable_by=migrate.head().readable_by)


async def test_an_upgrade_writes_what_its_revision_says(url: str) -> None:
    assert await migrate.find_schema(url) == migrate.head()


async def test_a_newer_schema_that_this_program_can_use_is_used_as_it_is(url: str) -> None:
    await state(url, version_num=NEWER, schema=NEWER, readable_by=migrate.HEAD)
    assert await migrate.upgrade(url, the_keys) is False
    assert await migrate.find_schema(url) == (NEWER, migrate.HEAD)


@pytest.mark.parametrize("of", ["this one", "another"])
async def test_one_that_it_must_not_use_is_rejected(url: str, of: str) -> None:
    """The row of another schema has no effect."""
    row = {"schema": NEWER, "readable_by": "9980"} if of == "this one" else {"schema": migrate.HEAD}
    await state(url, version_num=NEWER, **row)
    with pytest.raises(
        migrate.SchemaRefused, match=f"{NEWER} is newer than {migrate.HEAD}, the newest that this version knows"
    ):
        await migrate.upgrade(url, the_keys)


async def test_so_is_one_that_another_process_made_in_the_meantime(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database was empty when this process checked, before it waited for the lock."""

    async def before(_url: str) -> None:
        return None

    monkeypatch.setattr(migrate, "find_schema", before)
    assert await migrate.upgrade(url, the_keys) is False
    await state(url, version_num=NEWER, schema=NEWER, readable_by=NEWER)
    with pytest.raises(migrate.SchemaRefused, match=f"{NEWER} is newer"):
        await migrate.upgrade(url, the_keys)


async def test_an_older_or_empty_store_is_left_alone_where_it_must_not_be_changed(
    empty_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    next_release.learn(tmp_path, monkeypatch)
    with pytest.raises(migrate.SchemaOlder, match=rf"to {migrate.HEAD} first \(it is empty\): run manifest-auth db up"):
        await migrate.upgrade(empty_url, the_keys, may_change=False)
    assert await migrate.find_schema(empty_url) is None
    old = old_stores.read("0.1.0")
    await old.make(empty_url)
    with pytest.raises(migrate.SchemaOlder, match=rf"\(its schema is {old.schema}\)"):
        await migrate.upgrade(empty_url, the_keys, may_change=False)
    assert await migrate.find_schema(empty_url) == (old.schema, old.schema)
