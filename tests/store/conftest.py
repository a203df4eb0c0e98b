"""Fixtures: each kind of store opened on a new schema, and pairs of tenants that no other test uses."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from manifest_auth import tenants
from manifest_auth.store import Store, SystemUnit, open_store
from manifest_auth.tenants import TenantSettings

Pair = tuple[int, int]
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
async def store(database_url: str) -> AsyncIterator[Store]:
    """A store of each kind with the current schema, shared by a module's tests."""
    opened = open_store(database_url, 8)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def pair(store: Store) -> Pair:
    """IDs of two new tenants."""
    return await make_pair(store)


async def make_pair(store: Store) -> Pair:
    def work(unit: SystemUnit) -> Pair:
        made = [tenants.create(unit, f"t{next(_numbers)}x", "T", TenantSettings(), 1).id for _ in range(2)]
        return made[0], made[1]

    return await store.write(work)


MakePair = Callable[[Store], Awaitable[Pair]]
