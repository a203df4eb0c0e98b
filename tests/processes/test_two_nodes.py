"""A decision of one process takes effect in the other within a second, on both databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.processes.node_client import AUTH, Node, seconds_until
from tests.processes.test_key_retired_at_once import admins, retire
from tests.processes.ways import PARAMETERS, WAYS, Way, same
from tests.support.rules import rule
from tests.support.stores import fresh_store

Nodes = tuple[Node, Node]
VIEWER = "viewer@acme.example"
GLOBEX = "admin@globex.example"


@pytest.fixture(scope="module", params=["sqlite", *PARAMETERS])
def way(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Way]:
    if request.param == "sqlite":
        yield same(fresh_store(tmp_path_factory.mktemp("store") / "test.db"))
        return
    with WAYS[request.param](request.getfixturevalue("postgres").fresh_database()) as found:
        yield found


@pytest.fixture(scope="module")
def database_url(way: Way) -> str:
    return way.addresses[0]


@pytest.fixture
def warm(nodes: Nodes) -> Callable[[str], dict[str, Any]]:
    """Sign in on the first node, and let the second one cache the session."""

    def sign_in(email: str) -> dict[str, Any]:
        first, second = nodes
        signed_in = first.sign_in(email)
        for node in (second, first, second):
            assert node.me(signed_in["token"]).status_code == 200
        return signed_in

    return sign_in


def refused(node: Node, token: str) -> bool:
    answer = node.me(token)
    assert answer.status_code in (200, 401)
    assert answer.status_code == 200 or answer.json()["error"]["code"] == "INVALID_TOKEN"
    return answer.status_code == 401


def felt_in_time(nodes: Nodes, happened: Callable[[], bool], database_url: str) -> None:
    """Check that it happens within a second on PostgreSQL, and with the next request on SQLite."""
    if database_url.startswith("sqlite"):
        assert happened()
    else:
        assert seconds_until(happened) < 1.0


@rule("DEVIATION-TOKEN-LIFE", "SIGN-OUT")
def test_a_sign_out(nodes: Nodes, warm: Callable[[str], dict[str, Any]], database_url: str) -> None:
    first, second = nodes
    for here, there in ((first, second), (second, first)):
        signed_in = warm("author@acme.example")
        assert here.post(f"{AUTH}/sign-out", token=signed_in["token"]).status_code == 200
        felt_in_time(nodes, lambda n=there, s=signed_in: refused(n, s["token"]), database_url)  # type: ignore[misc]
        answer = there.post(f"{AUTH}/refresh", {"refreshToken": signed_in["refreshToken"]})
        assert answer.json()["error"]["code"] == "INVALID_TOKEN"


def test_a_sign_out_from_everywhere(nodes: Nodes, warm: Callable[[str], dict[str, Any]], database_url: str) -> None:
    first, second = nodes
    both = [warm("author@acme.example")["token"] for _ in range(2)]
    assert first.post(f"{AUTH}/sign-out-all", token=both[0]).json()["data"]["ended"] >= 2
    felt_in_time(nodes, lambda: all(refused(second, token) for token in both), database_url)


@pytest.fixture
def restored(nodes: Nodes) -> Iterator[None]:
    yield
    first, _ = nodes
    for path in ("/clients/globex/restore", f"/clients/acme/users/{_id_of(first, VIEWER)}/restore"):
        try:
            first.admin("POST", path)
        except AssertionError:
            continue  # the test didn't change it


def _id_of(node: Node, email: str) -> int:
    signed_in = node.post("/api/admin/auth/sign-in", {"username": "admin", "password": "kestrel-harbor-21-violet"})
    token = signed_in.json()["data"]["token"]
    found = node.http.get(f"/api/admin/clients/acme/users?q={email}", headers={"Authorization": f"Bearer {token}"})
    return int(found.json()["data"]["items"][0]["id"])


@rule("SESSION-ENDED-BY-OTHERS")
@pytest.mark.usefixtures("restored")
def test_a_deactivation(nodes: Nodes, warm: Callable[[str], dict[str, Any]], database_url: str) -> None:
    first, second = nodes
    signed_in = warm(VIEWER)
    first.admin("POST", f"/clients/acme/users/{signed_in['user']['id']}/deactivate")
    felt_in_time(nodes, lambda: refused(second, signed_in["token"]), database_url)


@rule("SESSION-ENDED-BY-OTHERS")
@pytest.mark.usefixtures("restored")
def test_a_suspension_of_the_client(nodes: Nodes, warm: Callable[[str], dict[str, Any]], database_url: str) -> None:
    first, second = nodes
    signed_in, bystander = warm(GLOBEX), warm("author@acme.example")
    first.admin("POST", "/clients/globex/suspend")
    felt_in_time(nodes, lambda: refused(second, signed_in["token"]), database_url)
    assert second.me(bystander["token"]).status_code == 200


@rule("DEVIATION-TOKEN-LIFE", "STATE-FROM-STORE")
def test_a_change_of_roles(nodes: Nodes, warm: Callable[[str], dict[str, Any]], database_url: str) -> None:
    first, second = nodes
    signed_in = warm("operator@acme.example")
    path = f"/clients/acme/users/{signed_in['user']['id']}/roles"
    for roles in (["Viewer"], ["Operator", "Viewer"], ["Operator"]):
        first.admin("PUT", path, {"roles": roles})

        def changed(expected: list[str] = roles) -> bool:
            data = second.me(signed_in["token"]).json()["data"]
            return sorted(data["roles"]) == sorted(expected)

        felt_in_time(nodes, changed, database_url)


def test_a_signing_key_that_is_retired_immediately(
    nodes: Nodes, warm: Callable[[str], dict[str, Any]], database_url: str
) -> None:
    first, second = nodes
    for meanwhile in (None, lambda: warm(VIEWER)):  # the second node reads the keys in between
        signed_in = warm("author@acme.example")
        retire(first, admins(first), "access", meanwhile)
        felt_in_time(nodes, lambda: refused(second, signed_in["token"]), database_url)  # noqa: B023 - called at once
    warm("author@acme.example")


@pytest.mark.parametrize("way", PARAMETERS, indirect=True, scope="module")
def test_a_node_on_postgresql_answers_from_memory_while_it_hears(nodes: Nodes, warm: Any) -> None:
    """Otherwise, the tests above wouldn't prove anything about announcements."""
    _, second = nodes
    token = warm("author@acme.example")["token"]
    before = second.counter("manifest_cache_total", cache="principals", result="hit")
    for _ in range(10):
        second.me(token)
    assert second.counter("manifest_cache_total", cache="principals", result="hit") >= before + 8
