"""Apps with two processes on one database: one node completes what the other started, and both notice an end."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest

from tests.interop.apps.app_at_server import RegisteredApp, register, sign_in, sign_out_here
from tests.interop.browser import Browser, Step
from tests.processes.node_client import NODE, Node, bearer, seconds_until
from tests.support.matrix import matrix

Nodes = tuple[Node, Node]
PUBLIC = str(NODE["MANIFEST_PUBLIC_URL"])
CALLBACK = "http://127.0.0.1:9/callback"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
OFFLINE = "openid email offline_access"


class Signed(NamedTuple):
    """A user's browser, which connects to one node at a time, and an app."""

    browser: Browser
    app: RegisteredApp
    way: dict[str, str]

    def code(self, node: Node, scope: str = OFFLINE) -> str:
        """A code from this node, with a session that either node opened."""
        self.way[PUBLIC] = node.server.base
        asked = {"client_id": self.app.id, "redirect_uri": CALLBACK, "response_type": "code", "scope": scope}
        query = {**asked, "code_challenge": CHALLENGE, "code_challenge_method": "S256"}
        back = sign_in(self.browser, f"{PUBLIC}/o/acme/authorize?{urlencode(query)}", CALLBACK)
        assert isinstance(back, Step), back.text
        [code] = parse_qs(urlsplit(back.url).query)["code"]
        return code

    def post(self, node: Node, endpoint: str, **fields: str) -> httpx2.Response:
        return httpx2.post(
            f"{node.server.base}/o/acme/{endpoint}", data=fields, auth=(self.app.id, self.app.secret), timeout=60
        )

    def redeem(self, node: Node, code: str) -> httpx2.Response:
        return self.post(
            node, "token", grant_type="authorization_code", code=code, redirect_uri=CALLBACK, code_verifier=VERIFIER
        )

    def tokens(self, here: Node, there: Node, scope: str = OFFLINE) -> dict[str, str]:
        """The tokens for one node's code, redeemed at the other."""
        answer = self.redeem(there, self.code(here, scope))
        assert answer.status_code == 200, answer.text
        found: dict[str, str] = answer.json()
        return found

    def refresh(self, node: Node, token: str) -> httpx2.Response:
        return self.post(node, "token", grant_type="refresh_token", refresh_token=token)

    def sign_out(self, node: Node) -> None:
        self.way[PUBLIC] = node.server.base
        sign_out_here(self.browser, PUBLIC)


def userinfo(node: Node, token: str) -> int:
    return httpx2.get(f"{node.server.base}/o/acme/userinfo", headers=bearer(token), timeout=60).status_code


@pytest.fixture
def signed(nodes: Nodes) -> Iterator[Signed]:
    app = register(nodes[0].server, "web", CALLBACK, scopes=OFFLINE.split())
    way: dict[str, str] = {PUBLIC: nodes[0].server.base}
    with Browser(way) as browser:
        yield Signed(browser, app, way)


def test_what_one_node_began_the_other_ends(nodes: Nodes, signed: Signed) -> None:
    for here, there in (nodes, nodes[::-1]):
        got = signed.tokens(here, there)
        for node in nodes:
            assert userinfo(node, got["access_token"]) == 200
            assert signed.post(node, "introspect", token=got["access_token"]).json()["active"] is True
        renewed = signed.refresh(here, got["refresh_token"]).json()
        again = signed.refresh(there, renewed["refresh_token"]).json()
        assert [userinfo(node, again["access_token"]) for node in nodes] == [200, 200]


def at_once(nodes: Nodes, send: Callable[[Node], httpx2.Response]) -> list[httpx2.Response]:
    """Send the same request to both nodes, several times, all at the same moment."""
    with ThreadPoolExecutor(6) as pool:
        return list(pool.map(send, [*nodes] * 3))


def test_a_code_that_comes_to_both_at_the_same_time_is_used_once_and_ends_its_session(
    nodes: Nodes, signed: Signed
) -> None:
    code = signed.code(nodes[0])
    answers = at_once(nodes, lambda node: signed.redeem(node, code))
    [one] = [answer for answer in answers if answer.status_code == 200]
    assert {answer.json()["error"] for answer in answers if answer is not one} == {"invalid_grant"}
    for node in nodes:
        assert seconds_until(lambda n=node: userinfo(n, one.json()["access_token"]) == 401) < 1.0  # type: ignore[misc]
        assert signed.refresh(node, one.json()["refresh_token"]).json()["error"] == "invalid_grant"


def test_a_refresh_token_that_comes_to_both_at_the_same_time_goes_on_as_one(nodes: Nodes, signed: Signed) -> None:
    first = signed.tokens(*nodes)["refresh_token"]
    given = [answer.json()["refresh_token"] for answer in at_once(nodes, lambda node: signed.refresh(node, first))]
    taken = signed.refresh(nodes[1], given[0]).json()["refresh_token"]
    last = signed.refresh(nodes[0], taken).json()["refresh_token"]
    for copy in (first, last):  # someone has a copy of the first one, so its session ends
        assert signed.refresh(nodes[1], copy).json()["error"] == "invalid_grant"
    assert signed.refresh(nodes[0], last).json()["error"] == "invalid_grant"


def _signs_out(signed: Signed, node: Node, got: dict[str, str]) -> None:
    signed.sign_out(node)


def _revokes(signed: Signed, node: Node, got: dict[str, str]) -> None:
    assert signed.post(node, "revoke", token=got["access_token"]).status_code == 200


def _removes_the_app(signed: Signed, node: Node, got: dict[str, str]) -> None:
    node.admin("DELETE", f"/clients/acme/apps/{signed.app.id}")


@matrix("ends", [_signs_out, _revokes, _removes_the_app])
def test_an_end_at_one_node_is_seen_within_a_second_at_the_other(
    nodes: Nodes, signed: Signed, ends: Callable[[Signed, Node, Any], None]
) -> None:
    here, there = nodes
    got = signed.tokens(here, there, "openid")
    assert [userinfo(node, got["access_token"]) for node in (there, here, there)] == [200, 200, 200]
    ends(signed, here, got)
    assert seconds_until(lambda: userinfo(there, got["access_token"]) == 401) < 1.0
