"""The published example client, two unmodified JavaScript functions, survives ten expiries with one refresh token."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes.node_client import AUTH, Node
from tests.support.server import start, stop

PROGRAMS = ("node",)
CLIENT = Path(__file__).with_name("example_client.mjs")
NODE_JS = shutil.which("node")


@pytest.fixture(scope="module")
def node(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    given: dict[str, Any] = {"MANIFEST_ACCESS_TOKEN_TTL": "2"}
    server = start(tmp_path_factory.mktemp("example"), database_url, **given)
    yield Node(server)
    stop(server)


def run_client(node: Node, signed_in: dict[str, Any], rounds: int, pause_ms: int) -> dict[str, Any]:
    assert NODE_JS is not None, "needs Node 18 or later; ./dev test installs it for root on Debian or Ubuntu"
    arguments = [node.server.base, signed_in["token"], signed_in["refreshToken"], str(rounds), str(pause_ms)]
    done = subprocess.run([NODE_JS, str(CLIENT), *arguments], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


@pytest.mark.parametrize("rounds", [2, pytest.param(10, marks=pytest.mark.endurance)])
def test_expiries_in_a_row_with_the_one_refresh_token(node: Node, rounds: int) -> None:
    signed_in = node.sign_in()
    assert signed_in["expiresIn"] == 2
    said = run_client(node, signed_in, rounds, 2100)
    graphql, refresh = "/api/client/graphql", f"{AUTH}/refresh"
    for answer in said["answers"]:
        assert answer["status"] == 200, answer
        assert {"id", "email"} == set(answer["body"]["data"]["users"][0])
        # Expired, refreshed, tried again: each round is a real expiry.
        assert answer["calls"] == [[graphql, 401], [refresh, 200], [graphql, 200]]
        assert answer["renewed"] is True
    assert len(said["answers"]) == rounds
    assert node.me(said["accessToken"]).status_code == 200


def test_a_signed_out_client_is_not_let_in_again(node: Node) -> None:
    """The refresh token that it keeps is dead too: the page's client shows a 401 to its user."""
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
