"""An authenticator app's code works once: on one of two nodes, and not again after ``kill -9``.

An independent generator (OATH Toolkit) creates the codes.
"""

from __future__ import annotations

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.processes.node_client import AUTH, NODE, Node
from tests.support.postgres import Databases
from tests.support.server import DEMO_PASSWORD, start, stop

pytestmark = pytest.mark.needs("oathtool")

STEP_S = 30


class Phone(NamedTuple):
    """``taken`` is the time of the newest code that was used, in seconds."""

    email: str
    secret: str
    recovery_codes: tuple[str, ...]
    taken: int

    def code(self, at: int) -> str:
        command = ["oathtool", "--totp", "--base32", f"--now=@{at}", self.secret]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.strip()

    def fresh(self) -> str:
        """A code of the next step, which a server also accepts."""
        return self.code(self.taken + STEP_S)


def enrolled(node: Node, email: str) -> Phone:
    """A user with an authenticator app."""
    token = node.sign_in(email)["token"]
    begun = node.post(f"{AUTH}/second-factors/totp", token=token).json()["data"]
    now = int(time.time())
    phone = Phone(email, begun["secret"], (), now)
    answer = node.post(f"{AUTH}/second-factors/totp/confirm", {"otp": phone.code(now)}, token)
    assert answer.status_code == 200, answer.text
    return phone._replace(recovery_codes=tuple(answer.json()["data"]["recoveryCodes"]))


def challenge(node: Node, email: str) -> str:
    answer = node.post(f"{AUTH}/sign-in", {"email": email, "password": DEMO_PASSWORD})
    assert answer.json()["error"]["code"] == "MFA_REQUIRED", answer.text
    return str(answer.json()["error"]["challenge"])


def outcome(node: Node, text: str, **answer: Any) -> str:
    """``in``, or the error code."""
    reply = node.post(f"{AUTH}/sign-in/continue", {"challenge": text, **answer})
    return "in" if reply.status_code == 200 else str(reply.json()["error"]["code"])


@pytest.mark.parametrize("member", ["otp", "recoveryCode"])
def test_of_two_nodes_one_takes_it(nodes: tuple[Node, Node], member: str) -> None:
    phone = enrolled(nodes[0], {"otp": "author@acme.example", "recoveryCode": "viewer@acme.example"}[member])
    asked = [(node, challenge(node, phone.email)) for node in nodes * 4]
    code = phone.fresh() if member == "otp" else phone.recovery_codes[0]
    with ThreadPoolExecutor(len(asked)) as pool:
        # One HTTP client per thread, since each node's client has a single cookie jar.
        clients = [Node(node.server) for node, _ in asked]
        answers = list(
            pool.map(lambda one: outcome(one[0], one[1][1], **{member: code}), zip(clients, asked, strict=True))
        )
    assert sorted(answers) == ["MFA_REQUIRED"] * (len(asked) - 1) + ["in"]
    assert outcome(nodes[1], challenge(nodes[1], phone.email), **{member: code}) == "MFA_REQUIRED"


@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_what_was_taken_stays_taken_after_a_kill(store: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    database = ""
    if store == "postgresql":
        postgres: Databases = request.getfixturevalue("postgres")
        database = postgres.fresh_database()
    first = start(tmp_path, database, **NODE)
    try:
        node = Node(first)
        phone = enrolled(node, "author@acme.example")
        code, recovery = phone.fresh(), phone.recovery_codes[0]
        assert outcome(node, challenge(node, phone.email), otp=code) == "in"
        assert outcome(node, challenge(node, phone.email), recoveryCode=recovery) == "in"
        open_one = challenge(node, phone.email)
        first.kill()
    finally:
        stop(first)
    second = start(tmp_path, database, **NODE)
    try:
        node = Node(second)
        assert outcome(node, open_one, otp=code) == "MFA_REQUIRED"
        assert outcome(node, open_one, recoveryCode=recovery) == "MFA_REQUIRED"
        assert outcome(node, open_one, recoveryCode=phone.recovery_codes[1]) == "in"
    finally:
        stop(second)
