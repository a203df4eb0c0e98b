"""The published example client, two unmodified JavaScript functions, survives ten expirations with one refresh token.

If a client's policy requires a second factor, the error contains a message that the app can show.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes.node_client import AUTH, Node
from tests.processes.test_codes_once import challenge, enrolled
from tests.support.server import DEMO_PASSWORD, start, stop

pytestmark = [pytest.mark.needs("node", "oathtool"), pytest.mark.one_store]

GRAPHQL, REFRESH = "/api/client/graphql", f"{AUTH}/refresh"
QUERY = {
    "method": "POST", "headers": {"Content-Type": "application/json"},
    "body": json.dumps({"query": "query { users { id email } }"}),
}  # fmt: skip
_numbers = itertools.count(1)
CLIENT = Path(__file__).with_name("example_client.mjs")
NODE_JS = shutil.which("node")
#: The number of token expirations.
FEW_AND_MANY = pytest.mark.parametrize("rounds", [2, pytest.param(10, marks=pytest.mark.endurance)])


@pytest.fixture(scope="module")
def node(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    given: dict[str, Any] = {"MANIFEST_ACCESS_TOKEN_TTL": "2", "MANIFEST_RATE_LIMITS": "off"}
    server = start(tmp_path_factory.mktemp("example"), database_url, **given)
    yield Node(server)
    stop(server)


def run_client(
    node: Node, signed_in: dict[str, Any], rounds: int, pause_ms: int, path: str = GRAPHQL, request: Any = QUERY
) -> dict[str, Any]:
    assert NODE_JS is not None, "needs Node 18 or later; ./dev test installs it for root on Debian or Ubuntu"
    # As on the page, where a missing member of a response is "undefined".
    tokens = [signed_in.get("token", "undefined"), signed_in.get("refreshToken", "undefined")]
    arguments = [node.server.base, *tokens, str(rounds), str(pause_ms), path, json.dumps(request)]
    done = subprocess.run([NODE_JS, str(CLIENT), *arguments], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def person(node: Node, role: str = "Viewer", **settings: Any) -> str:
    """The address of a new user of a new client with these settings."""
    name = f"example-{next(_numbers)}"
    node.admin("POST", "/clients", {"identifier": name, "name": name})
    node.admin("PATCH", f"/clients/{name}", {"settings": settings})
    email = f"ada@{name}.example"
    node.admin("POST", f"/clients/{name}/users", {"email": email, "roles": [role], "password": DEMO_PASSWORD})
    return email


def lives(node: Node, signed_in: dict[str, Any], rounds: int) -> None:
    """Run through consecutive expirations with the one refresh token."""
    assert signed_in["expiresIn"] == 2
    said = run_client(node, signed_in, rounds, 2100)
    for answer in said["answers"]:
        assert answer["status"] == 200, answer
        assert {"id", "email"} == set(answer["body"]["data"]["users"][0])
        # Expired, refreshed, retried: each round is a real expiration.
        assert answer["calls"] == [[GRAPHQL, 401], [REFRESH, 200], [GRAPHQL, 200]]
        assert answer["renewed"] is True
    assert len(said["answers"]) == rounds
    assert node.me(said["accessToken"]).status_code == 200


@FEW_AND_MANY
def test_expiries_in_a_row_with_the_one_refresh_token(node: Node, rounds: int) -> None:
    lives(node, node.sign_in(), rounds)


@FEW_AND_MANY
def test_where_the_policy_asks_others_for_a_factor_it_lives_as_long(node: Node, rounds: int) -> None:
    """The policy applies to Admins and User Admins, but not to this user; management requires re-authentication."""
    policy = {"policy": "roles", "roles": ["Admin", "User Admin"], "graceDays": 0}
    email = person(node, "Author", secondFactor=policy, stepUp="management")
    lives(node, node.sign_in(email), rounds)


def test_where_the_policy_asks_for_a_factor_the_refusal_says_so(node: Node) -> None:
    """A page without support for it gets no token, and is rejected everywhere."""
    email = person(node, secondFactor={"policy": "required", "graceDays": 0})
    answer = node.post(f"{AUTH}/sign-in", {"email": email, "password": DEMO_PASSWORD})
    body = answer.json()
    assert (answer.status_code, body["success"], body["error"]["code"]) == (401, False, "MFA_REQUIRED")
    assert body["error"]["message"] == "A second factor is required"
    assert "set-cookie" not in answer.headers
    [said] = run_client(node, body, 1, 0)["answers"]
    assert [status for _, status in said["calls"]] == [401, 401, 401]
    assert said["status"] == 401
    assert "data" not in said["body"]
    assert said["body"]["errors"][0]["extensions"]["code"] == "INVALID_TOKEN"


def test_an_act_that_wants_a_recent_proof_is_rejected_once_and_refreshes_nothing(node: Node) -> None:
    """It isn't a 401, which this client treats as an expired token. A trusted browser isn't re-authentication."""
    email = person(node)
    phone = enrolled(node, email)
    answer = {"challenge": challenge(node, email), "otp": phone.fresh(), "trust": True}
    trusted = node.post(f"{AUTH}/sign-in/continue", answer)
    cookie = {"Cookie": f"trust={trusted.cookies['trust']}"}
    node.http.cookies.clear()
    body = {"email": email, "password": DEMO_PASSWORD}
    signed_in = node.http.post(f"{AUTH}/sign-in", json=body, headers=cookie).json()["data"]
    path = f"{AUTH}/second-factors/totp"
    [said] = run_client(node, signed_in, 1, 0, path, {"method": "DELETE"})["answers"]
    expired = [[path, 401], [REFRESH, 200]]  # on a busy machine
    assert said["calls"] in ([[path, 403]], [*expired, [path, 403]])
    assert said["body"]["error"]["code"] == "REAUTHENTICATION_REQUIRED"
    assert {"field": "otp", "message": "A code from your authenticator app"} in said["body"]["error"]["details"]


def test_a_signed_out_client_is_not_let_in_again(node: Node) -> None:
    """The refresh token that it keeps is invalid too, so the page's client shows a 401 to its user."""
    signed_in = node.sign_in()
    assert node.post(f"{AUTH}/sign-out", token=signed_in["token"]).status_code == 200
    said = run_client(node, signed_in, 1, 0)
    assert said["answers"][0]["status"] == 401


def test_the_functions_are_exactly_those_of_the_example_page() -> None:
    example = CLIENT.read_text("utf-8").split("// --- example ---\n")[1]
    assert (
        hashlib.sha256(example.encode()).hexdigest()
        == "7a2ab159e49394edf5b61ab78dd46dcb82248e3a7dbfe63f3082f9cb42654741"
    )
