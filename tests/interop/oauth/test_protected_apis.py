"""The programs on the page *Protect your API* accept the callers that it says, and notice a sign-out if it says so."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import NamedTuple

import httpx2
import pytest

from tests.architecture import docs_pages
from tests.interop.programs import running as running_program
from tests.processes.node_client import AUTH, Node, bearer
from tests.support.application import running
from tests.support.matrix import matrix
from tests.support.oauth_callers import Machine, machine
from tests.support.processes import free_port
from tests.support.server import DEMO_PASSWORD, Server, served

pytestmark = [pytest.mark.one_store, pytest.mark.needs("node", "npm")]

PAGE = "protect-your-api.md"
PACKAGES = {"express": "5.1.0", "jose": "6.1.0"}
_PROGRAMS = {
    f"{language}, {way}": block
    for language in ("js", "python")
    for way, (_, block) in zip(
        ("introspection", "local verification"),
        [found for found in docs_pages.blocks(language) if found[0] == PAGE],
        strict=True,
    )
}


class Api(NamedTuple):
    """A running program from the page."""

    address: str

    def status(self, token: str | None) -> int:
        return httpx2.get(f"{self.address}/reports", headers=bearer(token), timeout=30).status_code

    def caller(self, token: str) -> str:
        return str(httpx2.get(f"{self.address}/reports", headers=bearer(token), timeout=30).json()["caller"])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, database_url: str) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("protected"), database_url) as running_server:
        yield running_server


@pytest.fixture(scope="module")
async def account(server: Server, database_url: str) -> AsyncIterator[Machine]:
    """The account that the APIs use for introspection."""
    async with running(database_url, MANIFEST_PUBLIC_URL=server.base) as app:
        app.clock.ms, app.root = int(time.time() * 1000), "admin"
        yield await machine(app, "acme", "api", mayIntrospect=True)


@matrix("program", _PROGRAMS)
async def test_each_program_lets_in_whom_the_page_says(
    server: Server, account: Machine, tmp_path: Path, program: str
) -> None:
    introspects, node = program.endswith("introspection"), Node(server)
    user = node.sign_in("viewer@acme.example")
    address = f"{program[:2]}-{introspects}@globex.example".lower()
    other = {"email": address, "roles": ["Viewer"], "password": DEMO_PASSWORD}
    node.admin("POST", "/clients/globex/users", other)
    theirs = node.sign_in(address)
    narrow = await account.token(scope="templates:read")
    given = {"AUTH_URL": server.base, "CLIENT_ID": account.client_id, "CLIENT_SECRET": account.secret}
    language = program.partition(",")[0]
    with running_program(_PROGRAMS[program], language, tmp_path, PACKAGES, free_port(), **given) as address:
        api = Api(address)
        assert api.status(None) == 401
        for junk in ("x", user["token"][:-4] + "AAAA", user["refreshToken"]):
            assert api.status(junk) == 401
        assert api.caller(user["token"]) == str(user["user"]["id"])
        assert api.status(theirs["token"]) == 401  # signed by the same keys
        assert api.status(narrow) == (403 if introspects else 401)
        assert node.post(f"{AUTH}/sign-out", token=user["token"]).status_code == 200
        if "python" in program and introspects:  # it caches a response for ten seconds
            assert api.status(user["token"]) == 200
        else:
            assert api.status(user["token"]) == (401 if introspects else 200)
