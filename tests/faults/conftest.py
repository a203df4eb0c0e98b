"""Fixtures: one cluster for all tests of a module, since building it takes a while."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faults.cluster import Cluster
from tests.faults.ways import HAProxy


@pytest.fixture
def tmp_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("nodes")


@pytest.fixture(scope="module")
async def cluster() -> AsyncIterator[Cluster]:
    """Three members, with the demo's people in the database."""
    from tests.kills.rounds import filled  # needs what pytest_configure sets

    with tempfile.TemporaryDirectory(prefix="manifest-auth-faults-", ignore_cleanup_errors=True) as folder:
        made = Cluster(Path(folder))
        made.start()
        way = HAProxy(made)
        try:
            way.start()
            way.until_it_leads()
            made.template = made.database()
            await filled(way.url(made.template))
            way.stop()
            yield made
        finally:
            way.stop()
            made.end()
