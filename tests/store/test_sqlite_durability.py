"""SQLite durability: responses wait for the disk, the event loop never waits for a writer, and nothing is lost."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from manifest_auth.store import Store, StoreUnavailable, open_store
from manifest_auth.store.sqlite import SqliteStore
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


async def test_a_short_unit_is_not_answered_before_the_log_is_on_the_disk(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, reached, go_on = os.fdatasync, threading.Event(), threading.Event()

    def slow(descriptor: int) -> None:
        reached.set()
        assert go_on.wait(10)
        real(descriptor)

    monkeypatch.setattr(os, "fdatasync", slow)
    running = asyncio.ensure_future(store.write_quickly(lambda unit: unit.change(ADD, name="n", value="v")))
    assert await asyncio.to_thread(reached.wait, 10)
    await asyncio.sleep(0.05)
    assert not running.done()
    late = asyncio.ensure_future(store.write_quickly(lambda unit: unit.change(ADD, name="late", value="v")))
    await asyncio.sleep(0.05)
    assert not late.done()  # committed after that sync started, so it waits for the next one
    go_on.set()
    assert await running == 1
    assert await late == 1


async def test_a_log_that_cannot_be_synced_is_not_answered_with_success(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", broken)
    with pytest.raises(StoreUnavailable):
        await store.write_quickly(lambda unit: unit.change(ADD, name="n", value="v"))


async def test_what_is_synced_is_the_log_in_use(store: Store, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even after the log was emptied, and after other processes opened and closed the database."""
    real, synced = os.fdatasync, []

    def noted(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        real(descriptor)

    monkeypatch.setattr(os, "fdatasync", noted)
    for turn in range(3):
        await store.write_quickly(lambda unit, n=f"n{turn}": unit.change(ADD, name=n, value="v"))  # type: ignore[misc]
        assert synced[-1] == path.with_name("m.db-wal").stat().st_ino
        other = sqlite3.connect(path)
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        other.close()
    assert len(synced) >= 3


@pytest.mark.parametrize("way", ["write", "write_quickly"])
async def test_another_process_that_writes_is_waited_for_and_the_loop_goes_on(
    store: Store, path: Path, way: str
) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    running = [
        asyncio.ensure_future(getattr(store, way)(lambda unit, n=n: unit.change(ADD, name=f"n{n}", value="v")))
        for n in range(3)
    ]
    for _ in range(20):  # reads continue, and the event loop runs
        assert await store.look_up(FIND, name="n0") is None
        assert await store.read(lambda unit: unit.first(FIND, name="n0")) is None
        await asyncio.sleep(0.01)
    assert not any(task.done() for task in running)
    other.execute("COMMIT")
    other.close()
    assert await asyncio.gather(*running) == [1, 1, 1]
    assert await store.look_up(FIND, name="n2") == Value("v")


async def test_what_is_queued_at_the_end_is_still_written(path: Path) -> None:
    store = open_store(fresh_store(path), 2)
    await store.open()
    ways = (store.write, store.write_quickly)
    running = [
        asyncio.ensure_future(ways[n % 2](lambda unit, n=n: unit.change(ADD, name=f"n{n}", value="v")))  # type: ignore[misc]
        for n in range(40)
    ]
    await asyncio.sleep(0)
    await store.close()
    assert await asyncio.wait_for(asyncio.gather(*running), 10) == [1] * 40
    raw = sqlite3.connect(path)
    assert raw.execute("SELECT count(*) FROM installation WHERE name LIKE 'n%'").fetchone() == (40,)
    raw.close()


async def test_a_full_disk_is_the_stores_fault_and_nothing_of_the_unit_stays(store: Store) -> None:
    assert isinstance(store, SqliteStore)
    for raw in (store._quick, store._writer._raw):
        pages = raw.execute("PRAGMA page_count").fetchone()[0]
        raw.execute(f"PRAGMA max_page_count={pages}")
    for write in (store.write, store.write_quickly):
        with pytest.raises(StoreUnavailable):
            await write(lambda unit: unit.change(ADD, name="big", value="v" * 1_000_000))
    assert await store.look_up(FIND, name="big") is None
    assert await store.write_quickly(lambda unit: unit.change(ADD, name="small", value="v")) == 1
