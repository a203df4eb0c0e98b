"""``world``: the application and a stand-in for Microsoft, for conftest.py files to take."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.interop.microsoft.microsoft_setup import World, world_on


@pytest.fixture(scope="module")
async def shared_world(database_url: str) -> AsyncIterator[World]:
    """The application and Microsoft, one pair for each test module and store."""
    async with world_on(database_url) as world:
        yield world


@pytest.fixture
async def world(shared_world: World) -> World:
    """The same, as if no test had been there before."""
    await shared_world.clear()
    return shared_world
