"""A server that receives a stop signal keeps serving for a while, and closes the connection with each response."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.processes.node_client import AUTH, NODE, Node, bearer, seconds_until
from tests.support.postgres import Databases
from tests.support.server import Server, start, stop

DRAIN_S = 3


@pytest.fixture(params=["1", pytest.param("2", marks=pytest.mark.endurance)], ids=["one process", "two processes"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    given = {**NODE, "MANIFEST_SHUTDOWN_DRAIN": str(DRAIN_S)}
    if request.param != "1":
        given["MANIFEST_WORKERS"] = request.param
    started = start(tmp_path, f"sqlite:///{tmp_path / 'm.db'}", **given)
    yield started
    stop(started)


def test_while_it_drains_it_is_not_ready_and_serves_everything(server: Server) -> None:
    node = Node(server)
    token = node.sign_in()["token"]
    assert "connection" not in node.me(token).headers
    told = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    seconds_until(lambda: node.http.get("/readyz").status_code == 503)
    refusal = node.http.get("/readyz")
    assert (refusal.status_code, refusal.json()["error"]["code"]) == (503, "OVERLOADED")
    assert "draining" in refusal.text
    for _ in range(3):
        for answer in (node.me(token), node.http.get("/healthz"), node.http.get("/no-such-page")):
            assert answer.status_code == (404 if answer.url.path == "/no-such-page" else 200)
            assert answer.headers["connection"] == "close"
        new = node.sign_in()["token"]
        assert httpx2.get(f"{server.base}{AUTH}/me", headers=bearer(new)).status_code == 200
    assert server.process.wait(DRAIN_S + 20) == 0
    assert time.monotonic() - told >= DRAIN_S


def test_other_nodes_see_it_and_its_row_goes_with_it(postgres: Databases, tmp_path: Path) -> None:
    url = postgres.fresh_database()
    server = start(tmp_path, url, **NODE, MANIFEST_SHUTDOWN_DRAIN=str(DRAIN_S))

    def states() -> str:
        return postgres.psql("SELECT state FROM nodes", url)

    seconds_until(lambda: states() == "serving\n")
    server.process.send_signal(signal.SIGTERM)
    seconds_until(lambda: states() == "draining\n")
    assert server.process.wait(DRAIN_S + 20) == 0
    assert states() == ""


@pytest.mark.parametrize(
    "server", ["1", pytest.param("2", marks=pytest.mark.endurance)], ids=["one process", "two processes"], indirect=True
)
def test_a_second_signal_of_the_terminal_ends_it_immediately(server: Server) -> None:
    server.process.send_signal(signal.SIGTERM)
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(20) in (0, -signal.SIGINT, 130)
