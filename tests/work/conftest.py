"""Fixtures: as those of ``tests/storage``, each store with today's schema; and one that plain functions drive."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from manifest_auth.store import open_store
from manifest_auth.store.migrate import upgrade
from tests.storage.conftest import pair, store
from tests.support.world import World

__all__ = ["pair", "store", "world"]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    url = f"sqlite:///{tmp_path / 'm.db'}"
    loop = asyncio.new_event_loop()
    loop.run_until_complete(upgrade(url))
    store = open_store(url, 1)
    loop.run_until_complete(store.open())
    yield World(loop, store)
    loop.run_until_complete(store.close())
    loop.close()
