"""What a real server writes down: every step of a session, and never one of its secrets."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import DEMO_PASSWORD, Server, served

WRONG = "not-the-password-of-anybody-7"
GARBAGE = "eyJhbGciOiJub25lIn0.e30.garbage-signature"


def send(server: Server, method: str, path: str, body: Any = None, **headers: str) -> tuple[Any, Message[str, str]]:
    content = None if body is None else json.dumps(body).encode()
    lines = {"Content-Type": "application/json", **{name.replace("_", "-"): text for name, text in headers.items()}}
    request = urllib.request.Request(server.base + path, content, lines, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read()), answer.headers
    except urllib.error.HTTPError as refused:
        return json.loads(refused.read()), refused.headers


@pytest.mark.parametrize("level", ["info", "debug"])
def test_no_secret_stands_in_the_log_of_a_real_server(tmp_path: Path, level: str) -> None:
    auth = "/api/client/auth"
    with served(tmp_path, MANIFEST_LOG_LEVEL=level, MANIFEST_LOG_REQUESTS="all") as server:
        printed = server.output.read_text()
        who = {"email": "author@acme.example", "password": DEMO_PASSWORD}
        answer, headers = send(server, "POST", f"{auth}/sign-in", who)
        token, refresh = answer["data"]["token"], answer["data"]["refreshToken"]
        cookies = [line.partition(";")[0].partition("=")[2] for line in headers.get_all("set-cookie") or []]
        send(server, "POST", f"{auth}/sign-in", {**who, "password": WRONG})
        send(server, "GET", f"{auth}/me", Cookie=f"session={cookies[0]}; device={cookies[1]}")
        child = send(server, "POST", f"{auth}/refresh", {"refreshToken": refresh})[0]["data"]
        grandchild = send(server, "POST", f"{auth}/refresh", {"refreshToken": child["refreshToken"]})[0]["data"]
        send(server, "POST", f"{auth}/refresh", {"refreshToken": refresh[:-4] + "AAAA"})
        send(server, "GET", f"{auth}/me", Authorization=f"Bearer {GARBAGE}")
        change = {"currentPassword": WRONG, "newPassword": "another-fine-horse-93"}
        send(server, "POST", f"{auth}/password", change, Authorization=f"Bearer {token}")
        send(server, "POST", "/api/admin/auth/sign-in", {"username": "admin", "password": DEMO_PASSWORD})
        send(server, "POST", f"{auth}/sign-out", Authorization=f"Bearer {token}")
    log = server.output.read_text()[len(printed) :]
    events = [json.loads(line)["event"] for line in log.splitlines() if line.startswith("{")]
    assert {"signed_in", "refused", "request"} <= set(events)
    secrets = [DEMO_PASSWORD, WRONG, "another-fine-horse-93", GARBAGE, token, refresh, *cookies]
    secrets += [child["token"], child["refreshToken"], grandchild["token"], grandchild["refreshToken"]]
    assert [secret for secret in secrets if secret in log or secret[-20:] in log] == []


def test_no_value_that_a_caller_sends_forges_a_line_of_the_log(tmp_path: Path) -> None:
    with served(tmp_path, MANIFEST_LOG_REQUESTS="all") as server:
        forged = '{"event":"signed_in","user":1}'
        send(server, "POST", "/api/client/auth/sign-in", {"email": f"a@b.example\n{forged}\r\n", "password": WRONG})
        send(server, "GET", "/api/client/auth/me", Authorization=f"Bearer x {forged}", User_Agent=f"agent {forged}")
    lines = server.output.read_text().splitlines()
    assert not [line for line in lines if line.startswith('{"event":"signed_in"')]
