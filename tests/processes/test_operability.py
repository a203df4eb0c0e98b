"""Health, readiness, and metrics of real processes, and logs without secrets."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import done, until
from tests.support.postgres import Postgres
from tests.support.processes import free_port
from tests.support.secret_keys import SECRET_KEY
from tests.support.server import DEMO_PASSWORD, Server, served

WRONG = "wrong-password-81723"
TYPED = "typed-into-email-5512"
BAD_TOKEN = "eyJ.bad.token-44871"
PLANTED = "planted-cookie-9931"
METRICS = "metrics-7f3a91"
JSON = {"Content-Type": "application/json"}


class Answer:
    def __init__(self, status: int, headers: http.client.HTTPMessage, text: str) -> None:
        self.status, self.headers, self.text = status, headers, text

    @property
    def json(self) -> Any:
        return json.loads(self.text)


def ask(port: int, path: str, body: object = None, **headers: str) -> Answer:
    """Send a request on a separate connection, so that each can reach another web process."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        lines = {name.replace("_", "-"): value for name, value in headers.items()}
        content = None if body is None else json.dumps(body)
        connection.request("POST" if body is not None else "GET", path, content, {**(JSON if content else {}), **lines})
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read().decode())
    finally:
        connection.close()


def sign_in(server: Server, password: str = DEMO_PASSWORD, **headers: str) -> Answer:
    body = {"email": "author@acme.example", "password": password}
    return ask(server.port, "/api/client/auth/sign-in", body, **headers)


def value(text: str, name: str, **labels: str) -> float:
    """The sum of a metric's samples with these labels."""
    total = 0.0
    for line in text.splitlines():
        found = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
        if found and found[1] == name:
            have = dict(re.findall(r'(\w+)="([^"]*)"', found[2] or ""))
            if all(have.get(label) == wanted for label, wanted in labels.items()):
                total += float(found[3])
    return total


def living(port: int) -> set[str]:
    """The running web processes, by number."""
    return set(re.findall(r'^process_cpu_seconds_total\{pid="(\d+)"}', ask(port, "/metrics").text, re.MULTILINE))


def test_readiness_follows_the_store_and_health_does_not(tmp_path: Path) -> None:
    own = Postgres()
    try:
        log = {"MANIFEST_LOG_LEVEL": "warning"}
        with served(tmp_path, own.fresh_database(), MANIFEST_SECRET_KEY=SECRET_KEY, **log) as server:
            assert ask(server.port, "/readyz").json == {"success": True, "data": {"status": "ready"}}
            token = sign_in(server).json["data"]["token"]
            own.kill()
            until(lambda: ask(server.port, "/readyz").status == 503)
            lost = ask(server.port, "/readyz")
            assert lost.json["error"]["code"] == "OVERLOADED"
            assert int(lost.headers["Retry-After"]) >= 1
            assert str(own.data) not in lost.text
            assert ask(server.port, "/healthz").json == {"success": True, "data": {"status": "alive"}}
            graphql = ask(
                server.port, "/api/client/graphql", {"query": "{ users { id } }"}, Authorization=f"Bearer {token}"
            )
            assert graphql.json["errors"][0]["extensions"]["code"] == "OVERLOADED"
            own.start_again()
            until(lambda: ask(server.port, "/readyz").status == 200)
            until(lambda: ask(server.port, "/api/client/auth/me", Authorization=f"Bearer {token}").status == 200)
            until(lambda: sign_in(server).status == 200)
            assert told(server) == [("error", "store_lost"), ("warning", "store_back")]
    finally:
        own.stop()


def told(server: Server) -> list[tuple[str, str]]:
    """Level and event of the log lines about the database."""
    lines = [json.loads(line) for line in server.output.read_text().splitlines() if line.startswith("{")]
    return [(line["level"], line["event"]) for line in lines if line["event"].startswith("store_")]


def test_several_web_processes_are_counted_together(tmp_path: Path) -> None:
    """Also covers that a process passes on its counts before it ends gracefully."""
    port = free_port()
    own, route = f"127.0.0.1:{port}", "/api/client/auth/sign-in"

    def answered(path_port: int) -> float:
        text = ask(path_port, "/metrics").text
        return value(text, "manifest_request_seconds_count", method="POST", route=route, status="200")

    with served(tmp_path, MANIFEST_WORKERS="2", MANIFEST_METRICS_LISTEN=own, MANIFEST_RATE_LIMITS="off") as server:
        for _ in range(10):
            assert sign_in(server).status == 200
        for path_port in (server.port, port):
            assert value(ask(path_port, "/metrics").text, "manifest_sign_ins_total", method="password") == 10
            until(lambda: answered(path_port) == 10, 5)  # noqa: B023 - called at once
        first = living(port)
        assert sign_in(server).status == 200
        for pid in first:
            os.kill(int(pid), signal.SIGTERM)
        until(lambda: not first & living(port))
        assert answered(port) == 11


@pytest.mark.endurance
def test_a_web_process_that_dies_takes_what_it_measured_along_and_leaves_what_it_counted(tmp_path: Path) -> None:
    """Also covers that earlier runs don't count, and that nothing is left when the server ends."""
    port, scratch, limit = free_port(), tmp_path / "tmp", "manifest_hash_limit"
    scratch.mkdir()
    settings = {"MANIFEST_WORKERS": "2", "MANIFEST_METRICS_LISTEN": f"127.0.0.1:{port}", "TMPDIR": str(scratch),
                "PROMETHEUS_MULTIPROC_DIR": str(scratch)}  # fmt: skip
    stale = scratch / "counter_1.db"
    stale.write_bytes(b"of an earlier run, and not to be read")

    with served(tmp_path, **settings) as server:
        until(lambda: len(living(port)) == 2)
        for _ in range(4):
            assert sign_in(server).status == 200
        before, first = ask(port, "/metrics").text, living(port)
        victim = int(min(first))
        os.kill(victim, signal.SIGKILL)
        until(lambda: len(living(port)) == 2 and living(port) != first)
        until(lambda: value(ask(port, "/metrics").text, limit) == value(before, limit))
        assert sign_in(server).status == 200
        after = ask(port, "/metrics").text
        assert value(after, "manifest_sign_ins_total", method="password", result="ok") == 5
        assert value(after, "manifest_build_info") == 1
        assert f'pid="{victim}"' not in after
    assert [path.name for path in scratch.iterdir() if "manifest-auth-metrics" in path.name] == []


def test_a_listener_of_its_own_serves_one_process(tmp_path: Path) -> None:
    port = free_port()
    settings = {"MANIFEST_METRICS_LISTEN": f"127.0.0.1:{port}", "MANIFEST_PUBLIC_URL": "https://auth.example.com"}
    done(tmp_path, "client", "create", "acme", MANIFEST_SECRET_KEY=SECRET_KEY)
    with served(tmp_path, demo=False, **settings) as server:  # type: ignore[arg-type]
        assert ask(server.port, "/metrics").status == 404
        sign_in(server, X_Client_ID="acme")
        text = ask(port, "/metrics").text
    assert value(text, "manifest_request_seconds_count", route="/api/client/auth/sign-in", status="401") == 1


@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_logs_are_json_lines_with_request_ids_and_without_secrets(
    tmp_path: Path, request: pytest.FixtureRequest, store: str
) -> None:
    database = request.getfixturevalue("postgres").fresh_database() if store == "postgresql" else ""
    settings = {
        "MANIFEST_LOG_LEVEL": "debug",
        "MANIFEST_LOG_REQUESTS": "all",
        "MANIFEST_METRICS_TOKEN": METRICS,
    }
    with served(tmp_path, database, **settings) as server:
        secrets, ids = story(server)
        secrets |= {METRICS, SECRET_KEY}
    text = server.output.read_text()
    logged = text[text.index("# Docs and all routes") :].partition("\n")[2]
    entries = [json.loads(line) for line in logged.splitlines() if line]
    assert entries
    for entry in entries:
        assert entry["event"]
        assert entry["level"] in ("debug", "info", "warning", "error")
        assert entry["timestamp"].endswith("Z")
        if entry["event"] in ("request", "refused"):
            assert entry["request_id"]
            assert entry["route"].startswith("/") or entry["route"] == "(none)"
    assert ids <= {entry.get("request_id") for entry in entries}
    for secret in secrets:
        assert len(secret) > 8
        assert secret not in logged, secret[:6]


def story(server: Server) -> tuple[set[str], set[str]]:
    """Sign in, query, fail, refresh, and sign out; returns every secret that was used, and every request ID."""
    answers: list[Answer] = []
    secrets = {
        DEMO_PASSWORD,
        WRONG,
        TYPED,
        BAD_TOKEN,
        PLANTED,
    }

    def call(path: str, body: object = None, **headers: str) -> Answer:
        answers.append(ask(server.port, path, body, **headers))
        return answers[-1]

    auth = "/api/client/auth"
    signed_in = call(f"{auth}/sign-in", {"email": "author@acme.example", "password": DEMO_PASSWORD})
    data = signed_in.json["data"]
    for line in signed_in.headers.get_all("Set-Cookie") or []:
        if value := line.partition(";")[0].partition("=")[2]:  # a deleted cookie is empty
            secrets.add(value)
    secrets |= {data["token"], data["token"].rpartition(".")[2], data["refreshToken"]}
    cookie = next(c for c in signed_in.headers.get_all("Set-Cookie") or [] if c.startswith("session="))
    bearer = f"Bearer {data['token']}"
    call(f"{auth}/me", Authorization=bearer)
    call(f"{auth}/me", Cookie=cookie.partition(";")[0])
    call(f"{auth}/me", Cookie=f"session={PLANTED}")
    call(f"{auth}/me", Authorization=f"Bearer {BAD_TOKEN}")
    call("/api/client/graphql", {"query": "{ users { id email } }"}, Authorization=bearer)
    call("/api/client/graphql", {"query": f'{{ users(search: "{WRONG}") {{ x }} }}'}, Authorization=bearer)
    call(f"{auth}/sign-in", {"email": "author@acme.example", "password": WRONG})
    call(f"{auth}/sign-in", {"email": TYPED, "password": WRONG})
    call(f"{auth}/sign-in", {"email": [TYPED], "password": DEMO_PASSWORD})
    call(f"{auth}/sign-in?password={WRONG}", {})
    call(f"/unknown/{data['token'][:40]}")
    for shown in (data["refreshToken"], data["refreshToken"] + "x"):
        renewed = call(f"{auth}/refresh", {"refreshToken": shown})
        if renewed.status == 200:
            secrets |= {renewed.json["data"]["token"], renewed.json["data"]["refreshToken"]}
    admin = call("/api/admin/auth/sign-in", {"username": "admin", "password": DEMO_PASSWORD}).json["data"]
    secrets |= {admin["token"], admin["refreshToken"]}
    call(
        "/api/admin/license-on-prem",
        {"licenseKey": f"MANIFEST1.{TYPED}.x"},
        Authorization=f"Bearer {admin['token']}",
    )
    call("/metrics", Authorization=f"Bearer {METRICS}")
    call(f"{auth}/sign-out", {}, Authorization=bearer)
    return secrets, {answer.headers["X-Request-ID"] for answer in answers}
