"""The algorithm of users' tokens is stored in the database, and changes only when a rotation names another one.

A rotation doesn't depend on the shell's other settings either.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.processes.node_client import NODE, Node, bearer
from tests.processes.test_keys_rotate import header_of
from tests.support.commands import done, until
from tests.support.matrix import matrix
from tests.support.rules import rule
from tests.support.secret_keys import SECRET_KEY
from tests.support.server import DEMO_PASSWORD, command, served, start, stop

#: Longer than the default, so that a shell without the setting doesn't know the lifetime of tokens.
REFRESH_TTL = 90 * 86_400
SERVERS = {**NODE, "MANIFEST_TOKEN_ALGORITHM": "ES256", "MANIFEST_REFRESH_TOKEN_TTL": str(REFRESH_TTL)}
OTHERWISE = {"MANIFEST_TOKEN_ALGORITHM": "HS256"}
SAYS = "MANIFEST_TOKEN_ALGORITHM is HS256, but it applies only to new databases, and this one uses ES256"


def keys_of(node: Node, purpose: str, state: str, username: str = "admin") -> list[dict[str, Any]]:
    """Signing keys, as a system admin sees them."""
    signed_in = node.post("/api/admin/auth/sign-in", {"username": username, "password": DEMO_PASSWORD})
    path = f"/api/admin/keys?purpose={purpose}&state={state}"
    answer = node.http.get(path, headers=bearer(signed_in.json()["data"]["token"]))
    found: list[dict[str, Any]] = answer.json()["data"]["items"]
    return found


def algorithm_of(node: Node) -> str:
    return str(header_of(str(node.sign_in()["token"]))["alg"])


@rule("TOKEN-ALGORITHM")
def test_only_a_rotation_that_names_it_changes_the_algorithm(database_url: str, tmp_path: Path) -> None:
    def told(*arguments: str, **settings: str) -> str:
        status, out, errors = command(tmp_path, database_url, *arguments, **settings).ended()
        assert status == 0, errors
        return out + errors

    link = ("user", "link", "viewer@acme.example", "--client", "acme")
    with served(tmp_path, database_url, **SERVERS) as first:
        node = Node(first)
        before = keys_of(node, "access", "signing")
        assert "MANIFEST_TOKEN_ALGORITHM" not in told(*link)
        assert keys_of(node, "access", "signing") == before
        assert SAYS in told(*link, **OTHERWISE)
        with served(tmp_path, database_url, **SERVERS | OTHERWISE) as second:
            assert "token_algorithm_ignored" in second.output.read_text()
            assert SAYS in second.output.read_text()
            assert algorithm_of(Node(second)) == "ES256"
            assert keys_of(node, "access", "signing") == before
            told("keys", "rotate")
            assert keys_of(node, "access", "signing") != before
            [retired] = keys_of(node, "refresh", "verifying")
            lives = [datetime.fromisoformat(retired[at]) for at in ("retiredAt", "expiresAt")]
            assert lives[1] - lives[0] >= timedelta(seconds=REFRESH_TTL)
            issued = node.sign_in()
            assert header_of(str(issued["token"]))["alg"] == "ES256"
            assert "signed with HS256" in told("keys", "rotate", "--algorithm", "HS256")
            for one in (node, Node(second)):
                until(lambda: algorithm_of(one) == "HS256")  # noqa: B023 - called at once
                assert one.me(str(issued["token"])).status_code == 200
            published = [key["kid"] for key in node.http.get("/.well-known/jwks.json").json()["keys"]]
            assert header_of(str(issued["token"]))["kid"] in published
    status, out, _ = command(tmp_path, database_url, "doctor", **SERVERS).ended()
    assert status == 1
    assert " BAD   signing keys: MANIFEST_TOKEN_ALGORITHM is ES256" in out


@rule("TOKEN-ALGORITHM")
@matrix("first", ["HS256", "ES256", ""])
def test_the_first_server_chooses_and_no_command_before_it(tmp_path: Path, first: str) -> None:
    empty_url = f"sqlite:///{tmp_path / 'new.db'}"
    other = {"MANIFEST_TOKEN_ALGORITHM": "ES256" if first == "HS256" else "HS256"}
    store = {"MANIFEST_DATABASE_URL": empty_url, "MANIFEST_SECRET_KEY": SECRET_KEY}
    done(tmp_path, "admin", "create", "root", "--password-stdin", given=DEMO_PASSWORD, **store, **other)
    for algorithm in ({"MANIFEST_TOKEN_ALGORITHM": first} if first else {}, other):
        server = start(tmp_path, empty_url, demo=False, **NODE | algorithm)
        [key] = keys_of(Node(server), "access", "signing", "root")
        assert key["algorithm"] == (first or "ES256")
        stop(server)
