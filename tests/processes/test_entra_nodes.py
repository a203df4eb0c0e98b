"""Entra ID tokens with two processes on one database: a decision on one node reaches the other within a second.

Both nodes cache the token.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.interop.microsoft import tokens
from tests.interop.microsoft.people import OTHER_APP, OUR_SECRET, OURS, POWER_APP
from tests.interop.microsoft.stand_in import Standin, standin
from tests.processes.node_client import AUTH, NODE, Node, bearer, seconds_until
from tests.support.rules import rule
from tests.support.server import DEMO_PASSWORD, served, start, stop

_numbers = itertools.count(1)
Settings = dict[str, Any]
KINDS = pytest.mark.parametrize("kind", ["graph", "api"])


@dataclass
class Setup:
    """Two nodes, Microsoft, and a client with a provider for contoso's tokens."""

    nodes: tuple[Node, Node]
    microsoft: Standin
    database_url: str
    client: str
    provider: str = "apps"

    def admin(self, method: str, path: str = "", body: Any = None, *, node: int = 0) -> Any:
        """Send a system admin's request about the client."""
        here = self.nodes[node]
        signed_in = here.post("/api/admin/auth/sign-in", {"username": "admin", "password": DEMO_PASSWORD})
        token = signed_in.json()["data"]["token"]
        address = f"/api/admin/clients{path}"
        answer = here.http.request(method, address, json=body, headers=bearer(token))
        assert answer.status_code < 300, answer.text
        return answer.json()["data"]

    def me(self, node: int, token: str) -> httpx2.Response:
        here = self.nodes[node]
        here.http.cookies.clear()
        return here.http.get(f"{AUTH}/me", headers={**bearer(token), "X-Client-ID": self.client})

    def code(self, node: int, token: str) -> str:
        """The error code, or empty for a valid token."""
        answer = self.me(node, token)
        return "" if answer.status_code == 200 else str(answer.json()["error"]["code"])

    def sign_out(self, node: int, token: str) -> None:
        headers = {**bearer(token), "X-Client-ID": self.client}
        assert self.nodes[node].http.post(f"{AUTH}/sign-out", headers=headers).status_code == 200

    def warm(self, kind: str = "graph", user: str = "alice") -> str:
        """A token that both nodes have cached."""
        token = self.microsoft.mint(kind, user=user)
        for node in (0, 1, 0, 1):
            assert self.code(node, token) == ""
        return token

    def claim(self, *, counts: bool) -> None:
        """Verify or release the client's claim on the directory, on the first node."""
        path = f"/{self.client}/directories/{self.microsoft.named('contoso').id}"
        if counts:
            self.admin("POST", f"{path}/vouch", {"reason": "of the tests' own client"})
        else:
            self.admin("DELETE", path)

    def unnamed(self, node: int, token: str) -> int:
        """The status of a request that names no client."""
        here = self.nodes[node]
        here.http.cookies.clear()
        return here.http.get(f"{AUTH}/me", headers=bearer(token)).status_code

    def felt(self, happened: Callable[[], bool]) -> None:
        """Check that it happens within a second on PostgreSQL, and with the next request on SQLite."""
        if self.database_url.startswith("sqlite"):
            assert happened()
        else:
            assert seconds_until(happened) < 1.0

    def felt_everywhere(self, token: str, code: str) -> None:
        for node in (1, 0):
            self.felt(lambda n=node: self.code(n, token) == code)  # type: ignore[misc]


@pytest.fixture(scope="module")
def microsoft() -> Iterator[Standin]:
    with standin() as microsoft:
        yield microsoft


@pytest.fixture(scope="module")
def settings(microsoft: Standin) -> Settings:
    return {**NODE, **microsoft.settings}


@pytest.fixture(scope="module")
def nodes(
    database_url: str, settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Node, Node]]:
    folder: Path = tmp_path_factory.mktemp("nodes")
    servers = [start(folder, database_url, **settings) for _ in range(2)]
    yield Node(servers[0]), Node(servers[1])
    for server in servers:
        stop(server)


@pytest.fixture
def setup(nodes: tuple[Node, Node], microsoft: Standin, database_url: str) -> Iterator[Setup]:
    microsoft.reset()
    made = Setup(nodes, microsoft, database_url, f"entra-{next(_numbers)}")
    made.admin("POST", "", {"identifier": made.client, "name": made.client})
    entra = {
        "directory": microsoft.named("contoso").id,
        "applications": [POWER_APP],
        "clientId": OURS,
        "clientSecret": OUR_SECRET,
    }
    body = {"name": made.provider, "createUsers": True, "defaultRoles": ["Operator"], "entra": entra}
    made.admin("POST", f"/{made.client}/providers", body)
    made.claim(counts=True)
    yield made
    if made.admin("GET", f"/{made.client}/directories")["items"]:
        made.claim(counts=False)
    for provider in made.admin("GET", f"/{made.client}/providers")["items"]:  # or they'd accept others' tokens
        made.admin("DELETE", f"/{made.client}/providers/{provider['name']}")


@rule("SIGN-OUT")
@KINDS
def test_a_sign_out_shuts_the_token_on_every_node(setup: Setup, kind: str) -> None:
    for here in (0, 1):
        token, other = setup.warm(kind), setup.warm(kind)
        setup.sign_out(here, token)
        assert setup.code(here, token) == "INVALID_TOKEN"
        setup.felt(lambda h=here, t=token: setup.code(1 - h, t) == "INVALID_TOKEN")  # type: ignore[misc]
        assert setup.code(0, other) == setup.code(1, other) == ""


def test_however_the_token_is_written_and_even_where_no_node_remembers_it(setup: Setup) -> None:
    token = setup.microsoft.mint("graph")
    assert setup.code(0, token) == ""
    setup.sign_out(0, token)
    calls = setup.microsoft.count("graph")
    assert setup.code(1, token) == setup.code(1, tokens.with_header_respaced(token)) == "INVALID_TOKEN"
    assert setup.microsoft.count("graph") == calls


def test_a_sign_out_while_the_other_node_asks_graph(setup: Setup) -> None:
    token = setup.microsoft.mint("graph")
    assert setup.code(0, token) == ""
    with ThreadPoolExecutor(1) as threads:
        with setup.microsoft.gates.shut("graph"):
            asking = threads.submit(setup.code, 1, token)
            while setup.microsoft.count("graph") < 2 and not asking.done():
                time.sleep(0.005)
            setup.sign_out(0, token)
            assert not asking.done()
        assert asking.result() == "INVALID_TOKEN"


def test_a_process_that_starts_later_knows_it(setup: Setup, settings: Settings, tmp_path: Path) -> None:
    if setup.database_url.startswith("sqlite"):
        folder = Path(setup.database_url.removeprefix("sqlite:///")).parent
    else:
        folder = tmp_path
    token, other = setup.warm(), setup.warm()
    setup.sign_out(0, token)
    with served(folder, setup.database_url, **settings) as server:
        later = Setup((Node(server), Node(server)), setup.microsoft, setup.database_url, setup.client)
        assert later.code(0, token) == "INVALID_TOKEN"
        assert later.code(0, other) == ""


@rule("SESSION-ENDED-BY-OTHERS")
@KINDS
def test_a_deactivation(setup: Setup, kind: str) -> None:
    token, bystander = setup.warm(kind), setup.warm(kind, "bob")
    user_id = setup.me(0, token).json()["data"]["user"]["id"]
    setup.admin("POST", f"/{setup.client}/users/{user_id}/deactivate")
    setup.felt_everywhere(token, "ACCOUNT_DISABLED")
    assert setup.code(1, bystander) == ""


@rule("SESSION-ENDED-BY-OTHERS")
def test_a_suspension_of_the_client(setup: Setup) -> None:
    token = setup.warm()
    setup.admin("POST", f"/{setup.client}/suspend")
    setup.felt_everywhere(token, "ACCOUNT_DISABLED")


@pytest.mark.parametrize("what", ["off", "deleted", "changed"])
def test_a_provider_that_takes_the_token_no_more(setup: Setup, what: str) -> None:
    token = setup.warm()
    base = f"/{setup.client}/providers/{setup.provider}"
    if what == "off":
        setup.admin("POST", f"{base}/switch-off")
    elif what == "deleted":
        setup.admin("DELETE", base)
    else:
        setup.admin("PATCH", base, {"entra": {"applications": [OTHER_APP]}})
    setup.felt_everywhere(token, "INVALID_TOKEN")


@rule("STATE-FROM-STORE")
def test_a_change_of_roles(setup: Setup) -> None:
    token = setup.warm()
    user_id = setup.me(0, token).json()["data"]["user"]["id"]
    for roles in (["Viewer"], ["Author", "Viewer"]):
        setup.admin("PUT", f"/{setup.client}/users/{user_id}/roles", {"roles": roles})
        for node in (1, 0):
            setup.felt(lambda n=node, r=roles: setup.me(n, token).json()["data"]["roles"] == r)  # type: ignore[misc]
    assert setup.microsoft.count("graph") == 2  # each node sent one request


def test_a_link_that_is_cut(setup: Setup) -> None:
    """By the user, who keeps all roles, so that only the link shows that the caller is no longer a user."""
    base = f"/{setup.client}/providers/{setup.provider}"
    change = {"domains": ["contoso.example"], "vouch": True, "defaultRoles": [], "entra": {"trustEmail": True}}
    setup.admin("PATCH", base, change)
    person = {"email": "alice@contoso.example", "roles": ["Viewer"], "password": DEMO_PASSWORD}
    setup.admin("POST", f"/{setup.client}/users", person)
    token = setup.warm()
    setup.admin("PATCH", base, {"domains": []})
    for node in (0, 1, 0, 1):
        assert setup.code(node, token) == ""
    [identity] = setup.nodes[0].http.get(f"{AUTH}/identities", headers=bearer(token)).json()["data"]["items"]
    me = setup.nodes[0].http.get(f"{AUTH}/me", headers=bearer(token)).json()["data"]
    setup.admin("DELETE", f"/{setup.client}/users/{me['user']['id']}/identities/{identity['id']}")
    setup.felt_everywhere(token, "SSO_FAILED")


@KINDS
def test_a_claim_on_the_directory_that_stops_and_starts_to_count(setup: Setup, kind: str) -> None:
    token = setup.warm(kind)
    for node in (0, 1, 0, 1):
        assert setup.unnamed(node, token) == 200
    setup.claim(counts=False)
    for node in (1, 0):
        setup.felt(lambda n=node: setup.unnamed(n, token) == 401)  # type: ignore[misc]
        assert setup.code(node, token) == ""
    setup.claim(counts=True)
    for node in (1, 0):
        setup.felt(lambda n=node: setup.unnamed(n, token) == 200)  # type: ignore[misc]


def test_someone_new_at_both_at_the_same_time_is_one_user(setup: Setup) -> None:
    setup.microsoft.delay["graph"] = 0.3  # so that all requests are sent before a user is created
    made = [setup.microsoft.mint("graph") for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda n: Node(setup.nodes[n % 2].server).http.get(
            f"{AUTH}/me", headers={**bearer(made[n]), "X-Client-ID": setup.client}), range(8)))  # fmt: skip
    assert {answer.status_code for answer in answers} == {200}, [answer.text for answer in answers]
    assert len({answer.json()["data"]["user"]["id"] for answer in answers}) == 1
    assert len(setup.admin("GET", f"/{setup.client}/users")["items"]) == 1
