"""Fixtures: each kind of store with the current schema, as in ``tests/store``, and one for plain functions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from manifest_auth.store import Store, open_store
from manifest_auth.work import Actor
from tests.store.conftest import Pair, pair, store
from tests.support.stores import fresh_store
from tests.work import work_items
from tests.work.sync_store import SyncStore
from tests.work.work_race import WorkRace

__all__ = ["pair", "store", "sync_store"]


@pytest.fixture
def sync_store(tmp_path: Path) -> Iterator[SyncStore]:
    loop = asyncio.new_event_loop()
    store = open_store(fresh_store(tmp_path / "m.db"), 1)
    loop.run_until_complete(store.open())
    yield SyncStore(loop, store)
    loop.run_until_complete(store.close())
    loop.close()


@pytest.fixture(scope="module")
async def other(store: Store, database_url: str) -> AsyncIterator[Store]:
    """The same database, opened like another process's."""
    opened = open_store(database_url, 8)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def race(store: Store, other: Store, pair: Pair) -> WorkRace:
    workers = await store.of(pair[0]).write(lambda unit: [work_items.user(unit) for _ in range(2)])
    return WorkRace((store, other), pair[0], *(Actor(worker, 5) for worker in workers))
