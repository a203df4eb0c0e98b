"""Two nodes behind each proxy example, and the effect on callers when a node is killed or unavailable."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.deploy import caddy, haproxy, nginx, stub_nodes
from tests.deploy.nginx import NAME, Proxy
from tests.kills.rounds import filled, until_ready, victims
from tests.kills.victim import Victim
from tests.processes.node_client import AUTH, AUTHOR, bearer
from tests.support.commands import until
from tests.support.processes import free_port
from tests.support.rounds import repeated
from tests.support.server import DEMO_PASSWORD

pytestmark = [pytest.mark.endurance, pytest.mark.timeout(300)]  # the first test can wait for a download
KINDS = pytest.mark.parametrize("kind", [nginx, caddy, haproxy], ids=["nginx", "caddy", "haproxy"])
KILLS, CALLERS = repeated(10, 2), 8
PAUSE_S = 0.02
#: After a node ends: requests that start later than this weren't in progress on it. Caddy loses requests until it
#: notices. If other work delays everything, this takes longer by the slowest read.
NOTICED_S = {nginx: 0.25, caddy: 0.75, haproxy: 0.25}
#: After a node starts: the proxy sends requests to it again.
SETTLED_S = {nginx: 0.0, caddy: 1.0, haproxy: 1.0}


def away(answer: httpx2.Response) -> bool:
    """Whether this is the proxy's own response, which must use the envelope."""
    if answer.status_code not in (502, 503, 504):
        return False
    assert answer.headers["retry-after"] == "2"
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    told = answer.json()
    assert (told["success"], told["error"]["code"]) == (False, "OVERLOADED")
    assert {*told["error"]} == {"message", "code", "requestId"}
    assert told["error"]["requestId"]
    return True


def caller(proxy: Proxy) -> httpx2.Client:
    return httpx2.Client(verify=False, base_url=f"https://127.0.0.1:{proxy.port}", headers={"Host": NAME}, timeout=60)


@KINDS
def test_a_request_that_might_have_reached_a_node_is_not_sent_to_another(kind: Any, tmp_path: Path) -> None:
    with stub_nodes.node(cuts=True) as bad, stub_nodes.node(cuts=True) as worse:
        ports = (bad.server_address[1], worse.server_address[1])
        with kind.running(tmp_path, *ports) as proxy, caller(proxy) as http:
            for number in range(6):
                answer = http.post("/x", json={"number": number}, headers={"X-Counted": "yes"})
                assert away(answer), answer.text
            assert away(http.patch("/x", json={}, headers={"X-Counted": "yes"}))
        seen = Counter(bad.seen + worse.seen)
        assert seen["POST"] <= 6
        assert seen["PATCH"] <= 1
        assert seen.total() >= 2, "nothing reached a node"


@KINDS
def test_a_stopped_node_loses_no_request(kind: Any, tmp_path: Path) -> None:
    lost = 0
    with (
        stub_nodes.node(cuts=False) as good,
        kind.running(tmp_path, free_port(), good.server_address[1]) as proxy,
        caller(proxy) as http,
    ):
        for number in range(20):
            assert http.get("/x").status_code == 200
            lost += away(http.post("/x", json={"number": number}, headers={"X-Counted": "yes"}))
        assert len(good.seen) == 20 - lost
    assert lost == 0 or kind is caddy, "its example tells of those"


@KINDS
def test_without_a_node_the_proxy_returns_an_error_in_the_envelope(kind: Any, tmp_path: Path) -> None:
    with kind.running(tmp_path, free_port(), free_port()) as proxy, caller(proxy) as http:
        for _ in range(3):
            assert away(http.get(f"{AUTH}/me"))


@pytest.mark.parametrize("kind", [nginx, haproxy], ids=["nginx", "haproxy"])
def test_requests_are_still_sent_if_all_nodes_are_slow(kind: Any, tmp_path: Path) -> None:
    """They respond to each check after HAProxy has given up, twice before the first request. Caddy then rejects."""
    with (
        stub_nodes.node(cuts=False, late_s=1.5) as slow,
        stub_nodes.node(cuts=False, late_s=1.5) as slower,
        kind.running(tmp_path, slow.server_address[1], slower.server_address[1]) as proxy,
        caller(proxy) as http,
    ):
        time.sleep(3)
        for _ in range(2):
            assert http.post("/x", json={}, headers={"X-Counted": "yes"}).status_code == 200
        assert len(slow.seen + slower.seen) == 2


@KINDS
def test_idle_connections_to_a_node_end_within_two_seconds(kind: Any, tmp_path: Path) -> None:
    with (
        stub_nodes.node(cuts=False) as good,
        kind.running(tmp_path, good.server_address[1]) as proxy,
        caller(proxy) as http,
    ):
        with ThreadPoolExecutor(8) as several:
            answers = several.map(lambda _: http.get("/x", headers={"X-Counted": "yes"}), range(64))
            assert {answer.status_code for answer in answers} == {200}
        # One of them makes Caddy check whether the node is ready.
        until(lambda: len(good.used) <= (kind is caddy), seconds=3)


@dataclass
class Load:
    """Callers that sign in, read, refresh, and sign out through a proxy, one request at a time each."""

    proxy: Proxy
    goes_on: bool = True
    answered: int = 0
    slowest_s: float = 0.0  # of reads
    lost: list[tuple[float, str]] = field(default_factory=list)  # start time, and the request

    async def caller(self) -> None:
        base = f"https://127.0.0.1:{self.proxy.port}"
        async with httpx2.AsyncClient(verify=False, base_url=base, headers={"Host": NAME}, timeout=60) as http:
            while self.goes_on:
                with contextlib.suppress(_Lost):
                    await self._visit(http)
                await asyncio.sleep(PAUSE_S)

    async def _visit(self, http: httpx2.AsyncClient) -> None:
        body = {"email": AUTHOR, "password": DEMO_PASSWORD}
        held = await self._ask(http, "POST", "sign-in", json=body)
        for _ in range(3):
            await self._ask(http, "GET", "me", headers=bearer(held["token"]))
        held = await self._ask(http, "POST", "refresh", json={"refreshToken": held["refreshToken"]})
        await self._ask(http, "POST", "sign-out", headers=bearer(held["token"]))

    async def _ask(self, http: httpx2.AsyncClient, method: str, path: str, **given: Any) -> Any:
        http.cookies.clear()
        began = time.monotonic()
        try:
            answer = await http.request(method, f"{AUTH}/{path}", **given)
        except httpx2.HTTPError as error:
            self.lost.append((began, f"{method} {path}: {error!r}"))
            raise _Lost from error
        if away(answer):
            self.lost.append((began, f"{method} {path}: {answer.status_code}"))
            raise _Lost
        assert answer.status_code == 200, answer.text
        self.answered += 1
        if method == "GET":
            self.slowest_s = max(self.slowest_s, time.monotonic() - began)
        await asyncio.sleep(PAUSE_S)
        return answer.json()["data"]


class _Lost(Exception):
    """A request lost with a killed node."""


@contextlib.asynccontextmanager
async def two_nodes(folder: Path) -> AsyncIterator[list[Victim]]:
    url = f"sqlite:///{folder / 'm.db'}"
    await filled(url)
    given = {"MANIFEST_PUBLIC_URL": f"https://{NAME}", "MANIFEST_TRUSTED_PROXIES": "127.0.0.1"}
    nodes = victims(folder, url, 2, **given)
    try:
        for node in nodes:
            node.start()
        for node in nodes:
            await until_ready(node)
        yield nodes
    finally:
        for node in nodes:
            node.stop()


@pytest.mark.processes
@pytest.mark.parametrize(
    "kind",
    [nginx, pytest.param(caddy, marks=pytest.mark.release), pytest.param(haproxy, marks=pytest.mark.release)],
    ids=["nginx", "caddy", "haproxy"],
)
async def test_a_repeatedly_killed_node_loses_only_requests_in_flight(kind: Any, tmp_path: Path) -> None:
    async with two_nodes(tmp_path) as nodes:
        with kind.running(tmp_path, *(node.port for node in nodes)) as proxy:
            load = Load(proxy)
            tasks = [asyncio.create_task(load.caller()) for _ in range(CALLERS)]
            worst = 0
            for _ in range(KILLS):
                began, answered, load.slowest_s = len(load.lost), load.answered, 0.0
                node = random.choice(nodes)
                await asyncio.sleep(random.uniform(0.1, 0.4))
                await asyncio.to_thread(node.kill)
                killed = time.monotonic()
                await asyncio.sleep(0.5)
                node.start()
                await until_ready(node, "/readyz")
                await asyncio.sleep(SETTLED_S[kind])
                lost = load.lost[began:]
                assert [what for at, what in lost if at > killed + NOTICED_S[kind] + load.slowest_s] == []
                assert len(lost) <= CALLERS or kind is caddy, lost
                assert load.answered > answered
                worst = max(worst, len(lost))
            load.goes_on = False
            await asyncio.gather(*tasks)
    print(f"{kind.__name__}: {load.answered} answered, {len(load.lost)} lost, of one kill at most {worst}")
