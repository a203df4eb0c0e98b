"""Data cached from SQLite stays valid until another process commits, or an own commit announces a change."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from manifest_auth.store import Announcement, Store, SystemUnit, open_store
from manifest_auth.store.wal_index import KnownCommits, WalIndex
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


async def test_reading_changes_nothing_and_neither_do_own_commits(store: Store) -> None:
    """Announced changes still do."""
    before = store.version()
    assert before is not None
    await store.look_up(FIND, name="x")
    await store.read(lambda unit: unit.first(FIND, name="x"))
    assert store.version() == before
    for number in range(50):
        write = store.write if number % 2 else store.write_quickly
        await write(partial(_add, f"n{number}"))
        assert store.version() == before


async def test_own_commits_of_both_connections_at_the_same_time_are_known(store: Store) -> None:
    before = store.version()
    writes = (store.write, store.write_quickly)
    await asyncio.gather(*(writes[number % 2](partial(_add, f"m{number}")) for number in range(200)))
    assert store.version() == before


async def test_nothing_is_known_between_a_commit_and_what_it_announced(store: Store) -> None:
    """The thread has committed, but the event loop hasn't been notified yet."""
    heard: list[Announcement] = []
    store.on_announcement(heard.append)
    before, done = store.version(), threading.Event()

    def work(unit: SystemUnit) -> int:
        unit.announce("user", 7)
        done.set()
        return _add("between", unit)

    writing = asyncio.ensure_future(store.write(work))
    await asyncio.sleep(0)
    assert done.wait(10)
    while sqlite3.connect(store.path).execute("SELECT 1 FROM installation WHERE name = 'between'").fetchone() is None:  # type: ignore[attr-defined]
        pass
    assert (store.version(), heard) == (None, [])
    await writing
    assert (store.version(), heard) == (before, [Announcement("user", "7")])


async def test_a_commit_of_another_process_between_own_ones_is_seen(store: Store, path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    seen = {store.version()}
    for number in range(20):
        await store.write(partial(_add, f"o{number}"))
        other.execute("INSERT INTO installation VALUES (?, 'v')", (f"other{number}",))
        await store.write_quickly(partial(_add, f"p{number}"))
        assert store.version() not in seen
        seen.add(store.version())
    other.close()


async def test_a_commit_of_another_process_in_the_moment_of_an_own_one_is_seen(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other process commits after this one's commit, and before this one reads the header."""
    other, before = sqlite3.connect(path, isolation_level=None), store.version()
    header, looks = KnownCommits.header, itertools.count(1)

    def commit_of_another_first(known: KnownCommits) -> bytes | None:
        if next(looks) == 2:
            other.execute("INSERT INTO installation VALUES ('just then', 'v')")
        return header(known)

    monkeypatch.setattr(KnownCommits, "header", commit_of_another_first)
    await store.write_quickly(partial(_add, "own"))
    assert store.version() != before
    other.close()


@pytest.mark.processes
async def test_a_commit_of_another_process_is_seen_when_it_returns(store: Store, path: Path) -> None:
    before = store.version()
    code = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "c.execute(\"INSERT INTO installation VALUES ('other', 'v')\")"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    assert store.version() != before
    assert await store.look_up(FIND, name="other") == Value("v")


async def test_a_checkpoint_that_starts_the_log_again_is_seen_before_the_next_commit_is_missed(
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
