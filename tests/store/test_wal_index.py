"""Data cached from an SQLite store is valid until any process commits anything."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from manifest_auth.store import Store, SystemUnit, open_store
from manifest_auth.store.wal_index import WalIndex
from tests.store.test_units_of_work import ADD, FIND, Value
from tests.support.stores import fresh_store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "m.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    opened = open_store(fresh_store(path), 2)
    await opened.open()
    yield opened
    await opened.close()


def _add(name: str, unit: SystemUnit) -> int:
    return unit.change(ADD, name=name, value="v")


async def test_reading_changes_nothing_and_each_commit_does(store: Store) -> None:
    seen = {before := store.version()}
    assert before is not None
    await store.look_up(FIND, name="x")
    await store.read(lambda unit: unit.first(FIND, name="x"))
    assert store.version() == before
    for number in range(50):
        write = store.write if number % 2 else store.write_quickly
        await write(partial(_add, f"n{number}"))
        assert store.version() not in seen
        seen.add(store.version())


async def test_a_commit_of_another_process_is_seen_when_it_returns(store: Store, path: Path) -> None:
    before = store.version()
    code = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "c.execute(\"INSERT INTO installation VALUES ('other', 'v')\")"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    assert store.version() != before
    assert await store.look_up(FIND, name="other") == Value("v")


async def test_a_checkpoint_that_starts_the_log_anew_is_seen_before_the_next_commit_is_missed(
    store: Store, path: Path
) -> None:
    await store.write(lambda unit: unit.change(ADD, name="a", value="1"))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = store.version()
    other.execute("UPDATE installation SET value = '2' WHERE name = 'a'")
    assert store.version() != before
    other.close()


async def test_closing_one_store_of_a_file_leaves_the_locks_of_another(store: Store, path: Path) -> None:
    second = open_store(f"sqlite:///{path}", 2)
    await second.open()
    assert second.version() == store.version()
    await second.close()
    await store.write(lambda unit: unit.change(ADD, name="still", value="v"))
    assert await store.look_up(FIND, name="still") == Value("v")


def test_without_the_file_nothing_is_remembered(tmp_path: Path) -> None:
    assert WalIndex(str(tmp_path / "none.db")).version() is None
