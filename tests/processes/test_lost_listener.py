"""If a node's heartbeats fail, it reads the database instead, and recovers on its own."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from functools import partial

import psutil  # type: ignore[import-untyped]  # no stubs
import pytest

from tests.processes.node_client import AUTH, Node, seconds_until
from tests.processes.ways import PARAMETERS, WAYS, WITH_OWN_BEATS, Way
from tests.support.postgres import Postgres

BEAT = "application_name = 'manifest-auth-beat'"


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[Postgres]:
    """A server that the tests of this module can disrupt."""
    server = Postgres()
    yield server
    server.stop()


@pytest.fixture(scope="module", params=PARAMETERS)
def way(request: pytest.FixtureRequest, own_postgres: Postgres) -> Iterator[Way]:
    with WAYS[request.param](own_postgres.fresh_database()) as found:
        yield found


def from_memory(node: Node, token: str) -> bool:
    """Whether the node responds without reading the database."""
    counts = [node.counter("manifest_cache_total", cache="principals", result="hit")]
    for _ in range(2):
        assert node.me(token).status_code == 200
        counts.append(node.counter("manifest_cache_total", cache="principals", result="hit"))
    return counts[-1] > counts[-2]


def remembered(nodes: tuple[Node, Node]) -> str:
    """A token with a session that the second node has cached. Waits for nodes that were cut off."""
    first, second = nodes
    for node in nodes:
        seconds_until(partial(is_ready, node))
    token = str(first.sign_in()["token"])
    seconds_until(lambda: from_memory(second, token))
    return token


def is_ready(node: Node) -> bool:
    return node.http.get("/readyz").status_code == 200


def sign_out_is_felt(nodes: tuple[Node, Node], *tokens: str) -> None:
    """Check that no session can be used on the other node within a second after the sign-outs succeeded.

    If statements are interrupted, or a busy machine has no time for them, the response is 503. The sign-out might have
    succeeded, and is requested again.
    """
    first, second = nodes

    def is_answered(token: str) -> bool:
        status = first.post(f"{AUTH}/sign-out", token=token).status_code
        assert status in {200, 503}
        return status == 200

    for token in tokens:
        seconds_until(partial(is_answered, token))

    def found() -> set[int]:
        return {second.me(token).status_code for token in tokens}

    assert seconds_until(lambda: 200 not in found()) < 1.0

    def are_refused() -> bool:
        now = found()
        assert now <= {401, 503}  # a busy machine might not have time to read the database
        return now == {401}

    seconds_until(are_refused)


def beats_of(postgres: Postgres) -> list[int]:
    """The PostgreSQL processes of the heartbeats."""
    found = postgres.psql(f"COPY (SELECT pid FROM pg_stat_activity WHERE {BEAT}) TO STDOUT")
    return [int(line) for line in found.split() if line.isdigit()]


def stopped_while_idle(pid: int) -> None:
    """Stop an idle PostgreSQL process, as if the network were silent. During a commit, it would hold server-wide locks,
    and every other commit would hang."""
    backend = psutil.Process(pid)

    def is_stopped() -> bool:
        os.kill(pid, signal.SIGSTOP)
        seconds_until(lambda: backend.status() == psutil.STATUS_STOPPED)
        if backend.cmdline()[0].endswith("idle"):
            return True
        os.kill(pid, signal.SIGCONT)
        return False

    seconds_until(is_stopped)


@contextlib.contextmanager
def beats_cut_again_and_again(postgres: Postgres) -> Iterator[None]:
    done = threading.Event()

    def cut() -> None:
        while not done.is_set():
            postgres.psql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {BEAT}")

    cutter = threading.Thread(target=cut)
    cutter.start()
    try:
        yield
    finally:
        done.set()
        cutter.join()


def test_a_sign_out_while_the_beats_are_cut(nodes: tuple[Node, Node], own_postgres: Postgres) -> None:
    token = remembered(nodes)
    with beats_cut_again_and_again(own_postgres):
        sign_out_is_felt(nodes, token)
    remembered(nodes)  # and afterward, from the cache again


def test_a_sign_out_that_was_announced_while_no_beat_came(nodes: tuple[Node, Node], own_postgres: Postgres) -> None:
    """Announcements in the meantime are read later, so anything cached before is no longer used."""
    tokens = [remembered(nodes) for _ in range(3)]
    with beats_cut_again_and_again(own_postgres):
        sign_out_is_felt(nodes, *tokens)
    remembered(nodes)  # from the cache again
    assert [nodes[1].me(token).status_code for token in tokens] == [401, 401, 401]


@pytest.mark.parametrize("way", WITH_OWN_BEATS, indirect=True, scope="module")
def test_a_sign_out_while_the_beats_hang(nodes: tuple[Node, Node], own_postgres: Postgres) -> None:
    """The connection is open but silent, as if a firewall dropped packets, so only the missing response shows it."""
    token = remembered(nodes)
    seconds_until(lambda: len(beats_of(own_postgres)) == 2)
    backends = beats_of(own_postgres)
    try:
        for pid in backends:
            stopped_while_idle(pid)
        sign_out_is_felt(nodes, token)
        fresh = nodes[0].sign_in()
        assert nodes[1].me(fresh["token"]).status_code == 200
    finally:
        for pid in backends:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
    remembered(nodes)


def test_postgresql_goes_away_and_comes_back(nodes: tuple[Node, Node], own_postgres: Postgres) -> None:
    token = remembered(nodes)
    own_postgres.kill()
    try:
        for node in nodes:
            assert seconds_until(lambda n=node: n.http.get("/readyz").status_code == 503) < 5  # type: ignore[misc]
            assert node.http.get("/healthz").status_code == 200
            answer = node.post(f"{AUTH}/sign-in", {"email": "author@acme.example", "password": "x" * 15})
            assert answer.status_code == 503
            assert answer.json()["error"]["code"] == "OVERLOADED"
            assert "retry-after" in answer.headers
        # The cache is valid for as long as the last heartbeat shows that nothing was missed.
        seconds_until(lambda: nodes[1].me(token).status_code == 503, 2)
    finally:
        own_postgres.start_again()
    for node in nodes:
        seconds_until(partial(is_ready, node))
        assert node.me(token).status_code == 200
    sign_out_is_felt(nodes, token)
    remembered(nodes)
