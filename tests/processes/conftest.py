"""Fixtures: two processes on one database, and a database with two clients for commands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.node_client import NODE, Node
from tests.processes.ways import Way, same
from tests.support.commands import done_here, installation
from tests.support.server import start, stop


@pytest.fixture(scope="module")
def way(database_url: str) -> Way:
    """The settings with which both processes connect to the database."""
    return same(database_url)


@pytest.fixture(scope="module")
def nodes(way: Way, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Node, Node]]:
    """Two processes on one database, shared by a module."""
    folder: Path = tmp_path_factory.mktemp("nodes")
    servers = [start(folder, address, **NODE, **way.settings) for address in way.addresses]
    yield Node(servers[0]), Node(servers[1])
    for server in servers:
        stop(server)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a database of two clients, for commands."""
    installation(tmp_path)
    for client in ("acme", "globex"):
        done_here(tmp_path, "client", "create", client)
    return tmp_path
