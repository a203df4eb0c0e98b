"""Fixtures: the installed client, the versions of Node.js, and a server whose access tokens live for two seconds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.processes.node_client import Node
from tests.sdk_javascript import installed
from tests.sdk_javascript.installed import NEWEST, OLDEST, Programs
from tests.support.server import served


@pytest.fixture(scope="session")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return installed.prefix(tmp_path_factory.mktemp("prefix"))


@pytest.fixture(
    scope="module", params=["", *(pytest.param(version, marks=pytest.mark.endurance) for version in (OLDEST, NEWEST))]
)
def programs(request: pytest.FixtureRequest, prefix: Any) -> Programs:
    return Programs(installed.nodejs(request.param), prefix)


@pytest.fixture(scope="module")
def node(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    given: dict[str, Any] = {"MANIFEST_ACCESS_TOKEN_TTL": "2", "MANIFEST_RATE_LIMITS": "off"}
    with served(tmp_path_factory.mktemp("server"), database_url, **given) as server:
        yield Node(server)
