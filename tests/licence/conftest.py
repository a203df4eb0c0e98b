"""Fixtures: an on-premise installation on each database, new for each test, since an installed license stays."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.licence.vendor import on_premise
from tests.support.application import App
from tests.support.postgres import Databases


@pytest.fixture(params=["sqlite", "postgresql"])
async def premise(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[App]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'premise.db'}"
    else:
        postgres: Databases = request.getfixturevalue("postgres")
        url = postgres.fresh_database()
    async with on_premise(url) as app:
        yield app
