"""Fixtures: the installed client, the versions of Node.js, and two servers with one database.

The second server issues access tokens that live for two seconds. Tests in which one of them has expired and the first
server renews it don't depend on the machine's speed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.processes.node_client import Node
from tests.sdk_javascript import installed
from tests.sdk_javascript.installed import NEWEST, OLDEST, Programs
from tests.support.server import served

ONE_ADDRESS: Any = {"MANIFEST_PUBLIC_URL": "http://127.0.0.1:8080", "MANIFEST_RATE_LIMITS": "off"}


@pytest.fixture(scope="session")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return installed.prefix(tmp_path_factory.mktemp("prefix"))


@pytest.fixture(
    scope="module",
    params=[
        "",
        pytest.param(OLDEST, marks=pytest.mark.endurance),
        pytest.param(NEWEST, marks=pytest.mark.release),
    ],
)
def programs(request: pytest.FixtureRequest, prefix: Any) -> Programs:
    return Programs(installed.nodejs(request.param), prefix)


@pytest.fixture(scope="module")
def node(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with served(tmp_path_factory.mktemp("server"), database_url, **ONE_ADDRESS) as server:
        yield Node(server)


@pytest.fixture(scope="module")
def brief(node: Node, database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the second server."""
    given: Any = {"MANIFEST_ACCESS_TOKEN_TTL": "2", "demo": False, **ONE_ADDRESS}
    with served(tmp_path_factory.mktemp("brief"), database_url, **given) as server:
        yield server.base
