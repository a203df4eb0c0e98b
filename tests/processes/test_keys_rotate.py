"""Rotating keys on the command line while two processes serve signs nobody out, and both accept all tokens."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes.node_client import AUTH, NODE, Node
from tests.support.rules import rule
from tests.support.server import command, start, stop


class Installation:
    """Two processes, and the command line on the same database."""

    def __init__(self, folder: Path, database_url: str, algorithm: str) -> None:
        self._folder, self._url = folder, database_url
        self._servers = [start(folder, database_url, **NODE) for _ in range(2)]
        self.nodes = [Node(server) for server in self._servers]
        self.rotate("--algorithm", algorithm)

    def rotate(self, *options: str) -> None:
        status, _, errors = command(self._folder, self._url, "keys", "rotate", *options, **NODE).ended()
        assert status == 0, errors

    def stop(self) -> None:
        for server in self._servers:
            stop(server)


HS256 = pytest.param("HS256", marks=[pytest.mark.endurance, pytest.mark.one_store])
#: HS256 keys aren't published, and their tokens don't name the key.
ONLY_ES256 = pytest.mark.parametrize("installation", ["ES256"], indirect=True, scope="module")


@pytest.fixture(scope="module", params=["ES256", HS256])
def installation(
    request: pytest.FixtureRequest, database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    made = Installation(tmp_path_factory.mktemp("keys"), database_url, request.param)
    yield made
    made.stop()


def header_of(token: str) -> dict[str, Any]:
    text = token.split(".")[0]
    header: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return header


@rule("KEY-ROTATION")
def test_no_one_is_signed_out_and_new_tokens_count_everywhere(installation: Installation) -> None:
    first, second = installation.nodes
    before = [first.sign_in(), second.sign_in()]
    for _ in range(3):
        installation.rotate()
        for node in (first, second, first):
            assert [node.me(s["token"]).status_code for s in before] == [200, 200]
        here, there = first.sign_in(), second.sign_in()
        assert second.me(here["token"]).status_code == 200
        assert first.me(there["token"]).status_code == 200
        # One process issues a refresh token, the other exchanges it, and the first one exchanges the replacement.
        child = second.refresh(here["refreshToken"])
        assert first.me(child["token"]).status_code == 200
        first.refresh(child["refreshToken"])
        before = [{**s, **node.refresh(s["refreshToken"])} for s, node in zip(before, (second, first), strict=True)]


@ONLY_ES256
def test_a_published_key_is_there_before_anybody_asks_for_it(installation: Installation) -> None:
    """A verifier of ES256 tokens can fetch the keys from either process, even for tokens that the other one issued."""
    first, second = installation.nodes
    token = str(first.sign_in()["token"])
    old = header_of(token)["kid"]
    installation.rotate()
    first.me(token)
    for giver, asked in ((first, second), (second, first)):
        kid = header_of(str(giver.sign_in()["token"]))["kid"]
        published = [key["kid"] for key in asked.http.get("/.well-known/jwks.json").json()["keys"]]
        assert kid in published
        assert old in published


@ONLY_ES256
@rule("KEY-ROTATION")
def test_new_keys_do_sign(installation: Installation) -> None:
    """Without this, the command might have no effect; afterward, new tokens must not use the old key."""
    first, _ = installation.nodes
    token = str(first.sign_in()["token"])
    installation.rotate()
    first.http.get("/.well-known/jwks.json")
    assert first.post(f"{AUTH}/sign-out", token=token).status_code == 200
    assert header_of(str(first.sign_in()["token"]))["kid"] != header_of(token)["kid"]
