"""When a signing key is retired immediately, all processes on an SQLite file reject it from the next request on."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.processes.node_client import AUTH, NODE, Node, bearer
from tests.support.rules import rule
from tests.support.server import DEMO_PASSWORD, start, stop

PEOPLE = [f"{name}@acme.example" for name in ("author", "viewer", "operator", "publisher", "approver")]


@pytest.fixture(scope="module", params=["HS256", "ES256"])
def nodes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Node]]:
    """Three processes on one file, because keys are announced on PostgreSQL, but not here."""
    folder = tmp_path_factory.mktemp("retired")
    given = {**NODE, "MANIFEST_TOKEN_ALGORITHM": request.param}
    servers = [start(folder, "", **given) for _ in range(3)]
    yield [Node(server) for server in servers]
    for server in servers:
        stop(server)


def admins(node: Node) -> str:
    body = {"username": "admin", "password": DEMO_PASSWORD}
    return str(node.post("/api/admin/auth/sign-in", body).json()["data"]["token"])


def retire(node: Node, admin: str, purpose: str, meanwhile: Callable[[], object] | None = None) -> None:
    """Retire the key that signs for that purpose, effective immediately. With ``meanwhile``, first let it verify."""
    query = f"/api/admin/keys?purpose={purpose}&state=signing"
    [key] = node.http.get(query, headers=bearer(admin)).json()["data"]["items"]
    for at_once in (False, True) if meanwhile else (True,):
        answer = node.http.post(f"/api/admin/keys/{key['id']}/retire", json={"atOnce": at_once}, headers=bearer(admin))
        assert answer.status_code == 200, answer.text
        if meanwhile and not at_once:
            meanwhile()


@rule("KEY-ROTATION")
def test_no_process_accepts_a_token_of_the_key_after_the_answer(nodes: list[Node]) -> None:
    admin = admins(nodes[0])
    for retiring in nodes:
        given = [node.sign_in(email)["token"] for node, email in zip(itertools.cycle(nodes), PEOPLE, strict=False)]
        for node, token in itertools.product(nodes, given):  # each process caches each token and each session
            assert [node.me(token).status_code for _ in range(2)] == [200, 200]
        retire(retiring, admin, "access")
        asked = itertools.product(nodes, given)
        assert [node.me(token).status_code for node, token in asked] == [401] * 3 * len(given)
        for node in nodes:
            assert {other.me(node.sign_in()["token"]).status_code for other in nodes} == {200}


@rule("KEY-ROTATION")
def test_no_process_gives_a_token_that_counts_nowhere(nodes: list[Node]) -> None:
    """The first thing that each does after the response is to sign."""
    admin = admins(nodes[0])
    for retiring in nodes:
        refreshed = [node.sign_in()["refreshToken"] for node in nodes]
        retire(retiring, admin, "access")
        given: list[dict[str, Any]] = [
            nodes[0].sign_in(), nodes[1].refresh(refreshed[1]), nodes[2].sign_in()
        ]  # fmt: skip
        assert [node.me(keys["token"]).status_code for node in nodes for keys in given] == [200] * 9


def test_no_process_accepts_a_refresh_token_of_the_key(nodes: list[Node]) -> None:
    admin = admins(nodes[0])
    refreshed = [node.sign_in()["refreshToken"] for node in nodes]
    for node, token in zip(nodes, refreshed, strict=True):
        node.refresh(token)
    retire(nodes[0], admin, "refresh")
    for node, token in itertools.product(nodes, refreshed):
        assert node.post(f"{AUTH}/refresh", {"refreshToken": token}).status_code == 401
    for node in nodes:
        for other in nodes:
            other.refresh(node.sign_in()["refreshToken"])


def test_no_process_accepts_an_admins_token_of_the_key(nodes: list[Node]) -> None:
    given = [admins(node) for node in nodes]
    path = "/api/admin/keys"
    for node, token in itertools.product(nodes, given):
        assert node.http.get(path, headers=bearer(token)).status_code == 200
    retire(nodes[1], given[1], "admin-access")
    for node, token in itertools.product(nodes, given):
        assert node.http.get(path, headers=bearer(token)).status_code == 401
    for node in nodes:
        assert {other.http.get(path, headers=bearer(admins(node))).status_code for other in nodes} == {200}
