"""Fixture: the server behind its public address, as one node with SQLite, and as two nodes with PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.interop.apps.entrance import Entrance, entrance


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.endurance)])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Entrance]:
    folder = tmp_path_factory.mktemp("apps")
    database = "" if request.param == "sqlite" else request.getfixturevalue("postgres").fresh_database()
    with entrance(folder, database, 1 if request.param == "sqlite" else 2) as opened:
        yield opened
