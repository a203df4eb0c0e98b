"""Changing the secret key while users sign in, refresh, or are at their provider loses no requests or sessions."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.processes.node_client import AUTH, NODE, Node, bearer
from tests.support.commands import until
from tests.support.oidc_op import Op, provider
from tests.support.postgres import Databases
from tests.support.secret_keys import SECRET_KEY
from tests.support.server import DEMO_PASSWORD, command, start, stop

NEW_KEY = SECRET_KEY[::-1]
RETURN_TO = "https://app.acme.example/in"


class Proxy:
    """The nodes behind a load balancer, which lets a node finish before it's stopped."""

    def __init__(self, bases: list[str]) -> None:
        self._busy = dict.fromkeys(bases, 0)
        self._out: set[str] = set()
        self._turn = itertools.count()
        self._changed = threading.Condition()

    def send(self, http: httpx2.Client, method: str, path: str, **options: Any) -> httpx2.Response:
        with self._changed:
            there = [base for base in self._busy if base not in self._out]
            base = there[next(self._turn) % len(there)]
            self._busy[base] += 1
        try:
            return http.request(method, base + path, **options)
        finally:
            with self._changed:
                self._busy[base] -= 1
                self._changed.notify_all()

    @contextlib.contextmanager
    def without(self, base: str) -> Iterator[None]:
        """Send nothing to this node; the block starts when the node has responded to everything."""
        with self._changed:
            self._out.add(base)
            assert self._changed.wait_for(lambda: not self._busy[base], 30)
        yield
        self._out.discard(base)


@dataclass
class Load:
    """Active users until the test stops them; keeps every response that isn't successful."""

    proxy: Proxy
    op: Op
    failed: list[str] = field(default_factory=list)
    rounds: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)

    def work(self, email: str) -> None:
        with httpx2.Client(timeout=60) as http:
            body = {"email": email, "password": DEMO_PASSWORD}
            kept = self._ask(http, "POST", f"{AUTH}/sign-in", json=body)
            first = kept["token"]
            while not self.stopped.is_set():
                kept = self._ask(http, "POST", f"{AUTH}/refresh", json={"refreshToken": kept["refreshToken"]})
                self._ask(http, "GET", f"{AUTH}/me", headers=bearer(kept["token"]))
                self._ask(http, "GET", f"{AUTH}/me", headers=bearer(first))
                self.come_back(self.go_away(http))
                self.rounds += 1
                self.stopped.wait(0.25)  # a realistic load, not the machine's maximum

    def go_away(self, http: httpx2.Client) -> Callable[[], httpx2.Response]:
        """Start a sign-in at the provider; the returned call completes it."""
        path = f"{AUTH}/oidc?client=acme&provider=op"
        begun = self.proxy.send(http, "GET", path)
        if begun.status_code != 302:
            self.failed.append(f"{path}: {begun.status_code} {begun.text}")
        cookies = "; ".join(f"{name}={value}" for name, value in begun.cookies.items())
        http.cookies.clear()
        url = urlsplit(self.op.visit(begun.headers["location"]))

        def back() -> httpx2.Response:
            with httpx2.Client(timeout=60, verify=False) as browser:
                return self.proxy.send(browser, "GET", f"{url.path}?{url.query}", headers={"Cookie": cookies})

        return back

    def come_back(self, back: Callable[[], httpx2.Response]) -> None:
        answer = back()
        if answer.status_code not in (200, 302, 303):
            self.failed.append(f"callback: {answer.status_code} {answer.text}")

    def _ask(self, http: httpx2.Client, method: str, path: str, **options: Any) -> Any:
        http.cookies.clear()
        answer = self.proxy.send(http, method, path, **options)
        if answer.status_code != 200:
            self.failed.append(f"{path}: {answer.status_code} {answer.text}")
        return answer.json().get("data") or {}


@pytest.fixture(scope="module")
def op() -> Iterator[Op]:
    with provider(alg="ES256", user={"sub": "eve", "email": "eve@op.example"}) as found:
        yield found


def _add_provider(node: Node, op: Op) -> None:
    signed_in = node.post("/api/admin/auth/sign-in", {"username": "admin", "password": DEMO_PASSWORD})
    known = {"issuer": op.issuer, "clientId": op.client_id, "clientSecret": op.client_secret}
    body = {
        "name": "op",
        "oidc": known,
        "createUsers": True,
        "defaultRoles": ["Viewer"],
        "returnAddresses": [RETURN_TO],
    }
    answer = node.post("/api/admin/clients/acme/providers", body, token=signed_in.json()["data"]["token"])
    assert answer.status_code == 201, answer.text


def _while_people_work(proxy: Proxy, op: Op, act: Callable[[], None]) -> Load:
    """Rotate the key under load. A user who left for the provider before it returns after it, and others sign in after
    it."""
    load = Load(proxy, op)
    people = [f"{name}@acme.example" for name in ("author", "viewer", "operator")]
    with httpx2.Client(timeout=60) as http, ThreadPoolExecutor(len(people)) as pool:
        away = [load.go_away(http) for _ in range(3)]
        working = [pool.submit(load.work, email) for email in people]
        try:
            until(lambda: load.rounds >= 3 or bool(load.failed) or any(w.done() for w in working))
            act()
            before = load.rounds
            until(lambda: load.rounds >= before + 3 or bool(load.failed) or any(w.done() for w in working))
        finally:
            load.stopped.set()
        for each in working:
            each.result(60)
        for back in away:
            load.come_back(back)
    assert load.failed == []
    return load


def test_a_new_key_in_the_folder_needs_no_new_start(tmp_path: Path, op: Op) -> None:
    """With SQLite and two web processes, the command line creates the key, and running servers pick it up."""
    given = {**NODE, "MANIFEST_SECRET_KEY": ""}
    server = start(tmp_path, MANIFEST_WORKERS="2", **given)
    try:
        node = Node(server)
        _add_provider(node, op)
        file = tmp_path / "data" / "secret.key"
        first = file.read_text()

        def rotate() -> None:
            for _ in range(2):
                out = _run(tmp_path, "", "keys", "reencrypt", "--new-key", **given)
                assert "of them again with the newest key" in out
            # Data encrypted with the older key by requests that were in progress.
            _run(tmp_path, "", "keys", "reencrypt", **given)
            file.write_text(file.read_text().splitlines()[0] + "\n")  # the older ones are gone

        _while_people_work(Proxy([server.base]), op, rotate)
        assert first not in file.read_text()
        assert "encrypted 0 of them again" in _run(tmp_path, "", "keys", "reencrypt", **given)
        assert "internal_error" not in server.output.read_text()
    finally:
        stop(server)
    again = start(tmp_path, **given)  # the new key alone decrypts everything in the database
    stop(again)


@pytest.mark.endurance
def test_two_nodes_get_a_new_key_one_after_the_other(tmp_path: Path, postgres: Databases, op: Op) -> None:
    """With PostgreSQL, the order on the page is: old, new; new, old; re-encrypt; new."""
    url = postgres.fresh_database()
    given = {**NODE, "MANIFEST_SECRET_KEY": SECRET_KEY}
    servers = [start(tmp_path, url, **given) for _ in range(2)]
    try:
        _add_provider(Node(servers[0]), op)

        proxy = Proxy([server.base for server in servers])

        def all_with(keys: str) -> None:
            for number, server in enumerate(servers):
                with proxy.without(server.base):
                    stop(server)
                    with_keys = {**given, "MANIFEST_SECRET_KEY": keys}
                    servers[number] = start(tmp_path, url, port=server.port, **with_keys)

        def rotate() -> None:
            all_with(f"{SECRET_KEY},{NEW_KEY}")
            all_with(f"{NEW_KEY},{SECRET_KEY}")
            out = _run(
                tmp_path, url, "keys", "reencrypt", **{**given, "MANIFEST_SECRET_KEY": f"{NEW_KEY},{SECRET_KEY}"}
            )
            assert "The older key is needed only for backups made until now" in out
            all_with(NEW_KEY)

        _while_people_work(proxy, op, rotate)
        refused = command(tmp_path, url, "keys", "rotate", **given)
        status, _, errors = refused.ended()
        assert status == 2
        assert "not the key that this database was created with" in errors
        for server in servers:
            assert "internal_error" not in server.output.read_text()
    finally:
        for server in servers:
            stop(server)


@pytest.mark.one_store
@pytest.mark.endurance
def test_new_signing_keys_under_load(database_url: str, tmp_path: Path, op: Op) -> None:
    """Repeats ``keys rotate``: no request fails, and no existing token stops working."""
    servers = [start(tmp_path, database_url, **NODE) for _ in range(2)]
    try:
        _add_provider(Node(servers[0]), op)

        def rotate() -> None:
            for _ in range(3):
                _run(tmp_path, database_url, "keys", "rotate", **NODE)

        _while_people_work(Proxy([server.base for server in servers]), op, rotate)
    finally:
        for server in servers:
            stop(server)


def _run(folder: Path, url: str, *arguments: str, **given: str) -> str:
    status, out, errors = command(folder, url, *arguments, **given).ended()
    assert status == 0, errors + out
    return out
