"""Entra tokens in two real processes on one store: what one node decides is felt by the other within a second, though
both remember the token (contract, section 5)."""

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
from tests.support.server import DEMO_PASSWORD, served, start, stop

_numbers = itertools.count(1)
Settings = dict[str, Any]
KINDS = pytest.mark.parametrize("kind", ["graph", "api"])


@dataclass
class Desk:
    """Two nodes, Microsoft, and a client whose provider takes tokens of contoso."""

    nodes: tuple[Node, Node]
    microsoft: Standin
    database_url: str
    client: str
    provider: str = "apps"

    def admin(self, method: str, path: str = "", body: Any = None, *, node: int = 0) -> Any:
        """A system admin's request about the client."""
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
        """Empty for a token that lets its person in."""
        answer = self.me(node, token)
        return "" if answer.status_code == 200 else str(answer.json()["error"]["code"])

    def sign_out(self, node: int, token: str) -> None:
        headers = {**bearer(token), "X-Client-ID": self.client}
        assert self.nodes[node].http.post(f"{AUTH}/sign-out", headers=headers).status_code == 200

    def warm(self, kind: str = "graph", user: str = "alice") -> str:
        """A token that both nodes remember."""
        token = self.microsoft.mint(kind, user=user)
        for node in (0, 1, 0, 1):
            assert self.code(node, token) == ""
        return token

    def claim(self, *, counts: bool) -> None:
        """The client's claim on the directory counts, or is there no more; decided on the first node."""
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
        """Within a second on PostgreSQL; with the very next request on SQLite."""
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
def desk(nodes: tuple[Node, Node], microsoft: Standin, database_url: str) -> Iterator[Desk]:
    microsoft.reset()
    made = Desk(nodes, microsoft, database_url, f"entra-{next(_numbers)}")
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
    for provider in made.admin("GET", f"/{made.client}/providers")["items"]:  # or they would take others' tokens
        made.admin("DELETE", f"/{made.client}/providers/{provider['name']}")


@KINDS
def test_a_sign_out_shuts_the_token_on_every_node(desk: Desk, kind: str) -> None:
    for here in (0, 1):
        token, other = desk.warm(kind), desk.warm(kind)
        desk.sign_out(here, token)
        assert desk.code(here, token) == "INVALID_TOKEN"
        desk.felt(lambda h=here, t=token: desk.code(1 - h, t) == "INVALID_TOKEN")  # type: ignore[misc]
        assert desk.code(0, other) == desk.code(1, other) == ""


def test_however_the_token_is_written_and_whoever_remembers_it_not(desk: Desk) -> None:
    token = desk.microsoft.mint("graph")
    assert desk.code(0, token) == ""
    desk.sign_out(0, token)
    calls = desk.microsoft.count("graph")
    assert desk.code(1, token) == desk.code(1, tokens.with_header_respaced(token)) == "INVALID_TOKEN"
    assert desk.microsoft.count("graph") == calls


def test_a_sign_out_while_the_other_node_asks_graph(desk: Desk) -> None:
    token = desk.microsoft.mint("graph")
    assert desk.code(0, token) == ""
    with ThreadPoolExecutor(1) as threads:
        with desk.microsoft.gates.shut("graph"):
            asking = threads.submit(desk.code, 1, token)
            while desk.microsoft.count("graph") < 2 and not asking.done():
                time.sleep(0.005)
            desk.sign_out(0, token)
            assert not asking.done()
        assert asking.result() == "INVALID_TOKEN"


def test_a_process_that_starts_later_knows_it(desk: Desk, settings: Settings, tmp_path: Path) -> None:
    if desk.database_url.startswith("sqlite"):
        folder = Path(desk.database_url.removeprefix("sqlite:///")).parent
    else:
        folder = tmp_path
    token, other = desk.warm(), desk.warm()
    desk.sign_out(0, token)
    with served(folder, desk.database_url, **settings) as server:
        later = Desk((Node(server), Node(server)), desk.microsoft, desk.database_url, desk.client)
        assert later.code(0, token) == "INVALID_TOKEN"
        assert later.code(0, other) == ""


@KINDS
def test_a_deactivation(desk: Desk, kind: str) -> None:
    token, bystander = desk.warm(kind), desk.warm(kind, "bob")
    user_id = desk.me(0, token).json()["data"]["user"]["id"]
    desk.admin("POST", f"/{desk.client}/users/{user_id}/deactivate")
    desk.felt_everywhere(token, "ACCOUNT_DISABLED")
    assert desk.code(1, bystander) == ""


def test_a_suspension_of_the_client(desk: Desk) -> None:
    token = desk.warm()
    desk.admin("POST", f"/{desk.client}/suspend")
    desk.felt_everywhere(token, "ACCOUNT_DISABLED")


@pytest.mark.parametrize("what", ["off", "deleted", "changed"])
def test_a_provider_that_takes_the_token_no_more(desk: Desk, what: str) -> None:
    token = desk.warm()
    base = f"/{desk.client}/providers/{desk.provider}"
    if what == "off":
        desk.admin("POST", f"{base}/switch-off")
    elif what == "deleted":
        desk.admin("DELETE", base)
    else:
        desk.admin("PATCH", base, {"entra": {"applications": [OTHER_APP]}})
    desk.felt_everywhere(token, "INVALID_TOKEN")


def test_a_change_of_roles(desk: Desk) -> None:
    token = desk.warm()
    user_id = desk.me(0, token).json()["data"]["user"]["id"]
    for roles in (["Viewer"], ["Author", "Viewer"]):
        desk.admin("PUT", f"/{desk.client}/users/{user_id}/roles", {"roles": roles})
        for node in (1, 0):
            desk.felt(lambda n=node, r=roles: desk.me(n, token).json()["data"]["roles"] == r)  # type: ignore[misc]
    assert desk.microsoft.count("graph") == 2  # each node asked once


def test_a_link_that_is_cut(desk: Desk) -> None:
    """By the user, whose roles stay: nothing but the link tells that the caller is nobody any more."""
    base = f"/{desk.client}/providers/{desk.provider}"
    change = {"domains": ["contoso.example"], "vouch": True, "defaultRoles": [], "entra": {"trustEmail": True}}
    desk.admin("PATCH", base, change)
    person = {"email": "alice@contoso.example", "roles": ["Viewer"], "password": DEMO_PASSWORD}
    desk.admin("POST", f"/{desk.client}/users", person)
    token = desk.warm()
    desk.admin("PATCH", base, {"domains": []})
    for node in (0, 1, 0, 1):
        assert desk.code(node, token) == ""
    [identity] = desk.nodes[0].http.get(f"{AUTH}/identities", headers=bearer(token)).json()["data"]["items"]
    answer = desk.nodes[0].http.delete(f"{AUTH}/identities/{identity['id']}", headers=bearer(token))
    assert answer.status_code == 200, answer.text
    desk.felt_everywhere(token, "SSO_FAILED")


@KINDS
def test_a_claim_on_the_directory_that_stops_and_starts_to_count(desk: Desk, kind: str) -> None:
    token = desk.warm(kind)
    for node in (0, 1, 0, 1):
        assert desk.unnamed(node, token) == 200
    desk.claim(counts=False)
    for node in (1, 0):
        desk.felt(lambda n=node: desk.unnamed(n, token) == 401)  # type: ignore[misc]
        assert desk.code(node, token) == ""
    desk.claim(counts=True)
    for node in (1, 0):
        desk.felt(lambda n=node: desk.unnamed(n, token) == 200)  # type: ignore[misc]


def test_somebody_new_at_both_at_once_is_one_user(desk: Desk) -> None:
    desk.microsoft.delay["graph"] = 0.3  # so that all have asked before anybody is made
    made = [desk.microsoft.mint("graph") for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda n: Node(desk.nodes[n % 2].server).http.get(
            f"{AUTH}/me", headers={**bearer(made[n]), "X-Client-ID": desk.client}), range(8)))  # fmt: skip
    assert {answer.status_code for answer in answers} == {200}, [answer.text for answer in answers]
    assert len({answer.json()["data"]["user"]["id"] for answer in answers}) == 1
    assert len(desk.admin("GET", f"/{desk.client}/users")["items"]) == 1
