"""Fixtures: the server, a proxy in front of it, and a session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import manifest_auth_client
from manifest_auth_client import ManifestAuth
from tests.sdk_python.suite.proxy import Proxy
from tests.sdk_python.suite.servers import EMAIL, PASSWORD, Server, Standing, real

assert "site-packages" in Path(manifest_auth_client.__file__).parts, "the suite runs by the installed wheel"


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The real server if one is described, or else the stand-in."""
    if (named := real()) is not None:
        yield named
        return
    standing = Standing()
    yield standing.server
    standing.stop()


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    """A proxy in front of the server."""
    between = Proxy(server.base_url)
    yield between
    between.close()


@pytest.fixture
def auth(server: Server) -> Iterator[ManifestAuth]:
    """The session of a signed-in user."""
    with ManifestAuth(server.base_url, client="acme") as made:
        made.sign_in(EMAIL, PASSWORD)
        yield made
