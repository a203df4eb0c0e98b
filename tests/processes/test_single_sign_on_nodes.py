"""Single sign-on with two processes on one database.

What one process used up is used up for both, and one completes what the other started.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx2
import pytest

from manifest_auth.runtime.clock import Clock
from tests.processes.node_client import AUTH, NODE, Node, seconds_until
from tests.support.oidc_op import Op, provider
from tests.support.rules import rule
from tests.support.saml_idp import Idp
from tests.support.server import DEMO_PASSWORD
from tests.support.single_sign_on import authn_request

Nodes = tuple[Node, Node]
PUBLIC = str(NODE["MANIFEST_PUBLIC_URL"])
ACS = f"{PUBLIC}{AUTH}/okta-saml"
RETURN_TO = "https://app.acme.example/in"
ROUNDS = 6
_numbers = itertools.count(1)


@dataclass
class Setup:
    """A client with an OpenID and a SAML provider, and the two nodes that serve it."""

    nodes: Nodes
    client: str
    op: Op
    idp: Idp

    def response(self, name_id: str = "ada@acme.example", **members: Any) -> str:
        audience = f"{ACS}/metadata?client={self.client}"
        return self.idp.response(audience, ACS, name_id=name_id, now_ms=Clock().now_ms(), **members)

    def start(self, node: Node, path: str, **query: str) -> tuple[str, dict[str, str]]:
        """The URL that a browser is redirected to at this node's start, and the cookies that it keeps."""
        asked = urlencode({"client": self.client, **query})
        answer = httpx2.get(f"{node.server.base}{AUTH}/{path}?{asked}")
        assert answer.status_code == 302, answer.text
        return answer.headers["location"], dict(answer.cookies)

    def begun(self, node: Node, **query: str) -> tuple[str, dict[str, str]]:
        """Like :meth:`start`, and return from the OpenID provider; returns the path of our callback, with its query."""
        location, cookies = self.start(node, "oidc", **query)
        url = urlsplit(self.op.visit(location))
        return f"{url.path}?{url.query}", cookies


@pytest.fixture(scope="module")
def setup(nodes: Nodes) -> Iterator[Setup]:
    with set_up(nodes) as made:
        yield made


@contextlib.contextmanager
def set_up(nodes: Nodes) -> Iterator[Setup]:
    """A setup on these nodes."""
    first, _ = nodes
    signed_in = first.post("/api/admin/auth/sign-in", {"username": "admin", "password": DEMO_PASSWORD})
    token = signed_in.json()["data"]["token"]

    def post(path: str, body: dict[str, Any]) -> None:
        answer = first.post(f"/api/admin/clients{path}", body, token=token)
        assert answer.status_code == 201, answer.text

    client = f"nodes-{next(_numbers)}"
    now = Clock().now_ms()
    idp = Idp(issuer=f"http://www.okta.com/{client}", not_before_ms=now - 10**9, not_after_ms=now + 10**9)
    post("", {"identifier": client, "name": client})
    with provider(alg="ES256", user={"sub": "eve", "email": "eve@op.example"}) as op:
        known = {"issuer": op.issuer, "clientId": op.client_id, "clientSecret": op.client_secret}
        pinned = {"entityId": idp.issuer, "certificates": [idp.certificate_pem], "redirectUrl": "https://idp.example/"}
        everybody = {"createUsers": True, "defaultRoles": ["Viewer"], "returnAddresses": [RETURN_TO]}
        post(f"/{client}/providers", {"name": "op", "oidc": known, **everybody})
        post(f"/{client}/providers", {"name": "idp", "saml": pinned, **everybody})
        yield Setup(nodes, client, op, idp)


def at_once(nodes: Nodes, send: Callable[[str], httpx2.Response], times: int = 3) -> list[httpx2.Response]:
    """Send the same request to both nodes, several times, all at the same moment."""
    with ThreadPoolExecutor(2 * times) as pool:
        return list(pool.map(send, [node.server.base for node in nodes] * times))


def by_json(response: str) -> Callable[[str], httpx2.Response]:
    return lambda base: httpx2.post(f"{base}{AUTH}/okta-saml", json={"samlResponse": response}, timeout=60)


def by_form(cookies: dict[str, str], **fields: str) -> Callable[[str], httpx2.Response]:
    return lambda base: httpx2.post(f"{base}{AUTH}/okta-saml", data=fields, headers=sent(cookies), timeout=60)


def by_address(path: str, cookies: dict[str, str]) -> Callable[[str], httpx2.Response]:
    return lambda base: httpx2.get(f"{base}{path}", headers=sent(cookies), timeout=60)


def sent(cookies: dict[str, str]) -> dict[str, str]:
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}


def the_one(answers: list[httpx2.Response], status: int) -> httpx2.Response:
    """The only successful response; all others must be the same error."""
    opened = [answer for answer in answers if answer.status_code == status]
    refused = [answer.json()["error"] for answer in answers if answer.status_code == 401]
    assert (len(opened), len(refused)) == (1, len(answers) - 1), [answer.text[:200] for answer in answers]
    assert {(error["code"], error["message"]) for error in refused} == {(refused[0]["code"], refused[0]["message"])}
    assert refused[0]["code"] == "SSO_FAILED"
    return opened[0]


@rule("SAML-CONDITIONS")
def test_an_assertion_that_is_shown_to_both_at_the_same_time_opens_one_session(setup: Setup) -> None:
    for _ in range(ROUNDS):
        response = setup.response()
        data = the_one(at_once(setup.nodes, by_json(response)), 200).json()["data"]
        for node in setup.nodes:
            assert node.me(data["token"]).json()["data"]["user"]["id"] == data["user"]["id"]
            assert by_json(response)(node.server.base).status_code == 401


def test_an_answer_to_one_nodes_request_is_taken_once_by_either(setup: Setup) -> None:
    for node in setup.nodes * (ROUNDS // 2):
        location, cookies = setup.start(node, "okta-saml", returnTo=RETURN_TO)
        state = urlsplit(location).query.partition("RelayState=")[2].partition("&")[0]
        response = setup.response(in_response_to=authn_request(location).get("ID"))
        answers = at_once(setup.nodes, by_form(cookies, SAMLResponse=response, RelayState=state))
        assert the_one(answers, 303).headers["location"] == RETURN_TO


def test_a_sign_in_begun_at_one_node_ends_at_the_other(setup: Setup) -> None:
    for here, there in (setup.nodes, setup.nodes[::-1]):
        path, cookies = setup.begun(here, returnTo=RETURN_TO)
        outsider = by_address(path, {})(there.server.base)
        assert outsider.json()["error"]["code"] == "SSO_FAILED"
        ended = by_address(path, cookies)(there.server.base)
        assert (ended.status_code, ended.headers["location"]) == (302, RETURN_TO), ended.text
        assert by_address(path, cookies)(here.server.base).status_code == 401
        me = httpx2.get(f"{here.server.base}{AUTH}/me", headers=sent(dict(ended.cookies)))
        assert me.json()["data"]["client"]["identifier"] == setup.client


@rule("OIDC-FLOW")
def test_a_callback_that_comes_to_both_at_the_same_time_opens_one_session(setup: Setup) -> None:
    redeemed = setup.op.count("token")
    for node in setup.nodes * (ROUNDS // 2):
        path, cookies = setup.begun(node)
        the_one(at_once(setup.nodes, by_address(path, cookies)), 302)
    assert setup.op.count("token") == redeemed + 2 * (ROUNDS // 2)  # nobody else sent the code to the provider


def code_of(setup: Setup, node: Node) -> str:
    path, cookies = setup.begun(node, response="code", returnTo=RETURN_TO)
    ended = by_address(path, cookies)(node.server.base)
    return str(ended.headers["location"].partition("?code=")[2])


def test_a_code_of_one_node_is_exchanged_at_the_other_once(setup: Setup) -> None:
    for here, there in (setup.nodes, setup.nodes[::-1]):
        data = there.post(f"{AUTH}/exchange", {"code": code_of(setup, here)}).json()["data"]
        assert here.me(data["token"]).status_code == 200
        code = code_of(setup, here)
        answers = at_once(setup.nodes, lambda base, c=code: exchanged(base, c))  # type: ignore[misc]
        token = the_one(answers, 200).json()["data"]["token"]
        for node in setup.nodes:  # the second caller can be the code's owner, so nobody keeps the session
            assert seconds_until(lambda n=node, t=token: n.me(t).status_code == 401) < 1.0  # type: ignore[misc]


def exchanged(base: str, code: str) -> httpx2.Response:
    return httpx2.post(f"{base}{AUTH}/exchange", json={"code": code}, timeout=60)


def test_someone_new_who_comes_to_both_at_the_same_time_is_one_user(setup: Setup) -> None:
    for number in range(ROUNDS):
        name = f"new-{number}@acme.example"
        responses = [setup.response(name) for _ in setup.nodes]
        with ThreadPoolExecutor(2) as pool:
            pairs = zip(setup.nodes, responses, strict=True)
            answers = list(pool.map(lambda pair: by_json(pair[1])(pair[0].server.base), pairs))
        assert [answer.status_code for answer in answers] == [200, 200], [answer.text for answer in answers]
        assert len({answer.json()["data"]["user"]["id"] for answer in answers}) == 1


def test_a_provider_that_one_node_turns_off_is_off_at_the_other(setup: Setup) -> None:
    first, second = setup.nodes
    data = by_json(setup.response())(second.server.base).json()["data"]
    assert second.me(data["token"]).status_code == 200
    first.admin("POST", f"/clients/{setup.client}/providers/idp/switch-off")
    try:
        assert by_json(setup.response())(second.server.base).status_code == 401
        assert seconds_until(lambda: second.me(data["token"]).status_code == 401) < 1.0
        begun = httpx2.get(f"{second.server.base}{AUTH}/okta-saml?client={setup.client}&provider=idp")
        assert begun.json()["error"]["message"] == "This sign-in method is turned off"
    finally:
        first.admin("POST", f"/clients/{setup.client}/providers/idp/switch-on")
    assert by_json(setup.response())(second.server.base).status_code == 200
