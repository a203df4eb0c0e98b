"""Fixtures: both stores, and the application on each of them."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.house import App, running
from tests.support.postgres import Postgres


def pytest_sessionstart() -> None:
    """A run that is told to end does so as after Ctrl-C: what it started is stopped."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The PostgreSQL server of this run."""
    server = Postgres()
    yield server
    server.stop()


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """A PostgreSQL server that the test may kill.

    Before it recovers it hands its files to the disk, by default one by one, which takes seconds; here all at once.
    """
    server = Postgres()
    server.server.psql("ALTER SYSTEM SET recovery_init_sync_method = 'syncfs'")
    yield server
    server.stop()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An empty database of each kind, one for each test module."""
    if request.param == "sqlite":
        folder: Path = tmp_path_factory.mktemp("store")
        return f"sqlite:///{folder / 'test.db'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.fresh_database()


@pytest.fixture(scope="module")
async def app(database_url: str) -> AsyncIterator[App]:
    """The application on each store, shared by the tests of a module: tests do not rely on what others left."""
    async with running(database_url) as application:
        yield application
