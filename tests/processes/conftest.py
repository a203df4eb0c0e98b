"""Fixtures: two processes on one store, and a store of two clients for commands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.node_client import NODE, Node
from tests.support.commands import done
from tests.support.server import start, stop


@pytest.fixture(scope="module")
def nodes(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Node, Node]]:
    """Two processes on one store of each kind, shared by a module."""
    folder: Path = tmp_path_factory.mktemp("nodes")
    servers = [start(folder, database_url, **NODE) for _ in range(2)]
    yield Node(servers[0]), Node(servers[1])
    for server in servers:
        stop(server)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a store of two clients, for commands."""
    for client in ("acme", "globex"):
        done(tmp_path, "client", "create", client)
    return tmp_path
