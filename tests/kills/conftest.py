"""Fixtures: a server of PostgreSQL to kill."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.postgres import Postgres


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """A PostgreSQL server that the test may kill.

    Before it recovers it hands its files to the disk, by default one by one, which takes seconds; here all at once.
    """
    server = Postgres()
    server.server.psql("ALTER SYSTEM SET recovery_init_sync_method = 'syncfs'")
    yield server
    server.stop()
