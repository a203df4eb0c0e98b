"""Fixtures: each kind of store opened on a new schema, and pairs of tenants that no other test uses."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from sqlalchemy import bindparam, insert

from manifest_auth import tenants
from manifest_auth.store import Store, SystemUnit, open_store, tenant_scoped
from manifest_auth.store.tables import users
from manifest_auth.tenants import TenantSettings

Pair = tuple[int, int]
_numbers = itertools.count(1)
_NAMES = ("email", "email_key", "first_name", "last_name", "title", "roles", "created_at")
ADD_USER = tenant_scoped(insert(users).values({name: bindparam(name) for name in _NAMES}).returning(users.c.id), int)


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


@pytest.fixture
async def user_id(store: Store, pair: Pair) -> int:
    """A user of the first tenant."""
    given = dict.fromkeys(_NAMES, "x") | {"email_key": f"u{pair[0]}", "roles": 1, "created_at": 1}
    return await store.of(pair[0]).write(lambda unit: unit.one(ADD_USER, **given))


async def make_pair(store: Store) -> Pair:
    def work(unit: SystemUnit) -> Pair:
        made = [tenants.create(unit, f"t{next(_numbers)}x", "T", TenantSettings(), 1).id for _ in range(2)]
        return made[0], made[1]

    return await store.write(work)


MakePair = Callable[[Store], Awaitable[Pair]]
