"""Security bar 101 and 102: logs and store hold no secret; every line is one JSON object that nobody can forge."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from manifest_auth.store.tables import metadata
from tests.support.server import DEMO_PASSWORD, Server, served

WRONG = "wrong-password-that-must-not-be-logged"
NEW = "granite-otter-47-lantern"
LICENCE = "MANIFEST1.licence-key-that-must-not-be-logged.AAAA"
FORGED = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.forged-token-not-to-be-logged.AAAA"


@dataclass
class Told:
    """What a server was told and told us, and where it wrote."""

    log: Path
    data: Path
    database: str
    secrets: dict[str, str] = field(default_factory=dict)


def send(server: Server, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any, Message]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
    lines = {name.replace("_", "-"): value for name, value in headers.items()}
    if content is not None:
        lines.setdefault("Content-Type", "application/json")
    request = urllib.request.Request(server.base + path, content, lines, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.loads(answer.read() or b"null"), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"null"), error.headers


def cookies(headers: Message) -> dict[str, str]:
    pairs = (line.partition(";")[0].partition("=") for line in headers.get_all("Set-Cookie") or [])
    return {name: value for name, _, value in pairs}


def a_day_in_the_life(server: Server, secrets: dict[str, str]) -> None:
    """Every act that shows a secret, right and wrong."""
    sign_in, refresh = "/api/client/auth/sign-in", "/api/client/auth/refresh"
    author = {"email": "author@acme.example", "password": DEMO_PASSWORD}
    _, answer, headers = send(server, "POST", sign_in, author)
    token, refresh_token = answer["data"]["token"], answer["data"]["refreshToken"]
    secrets |= {"access token": token, "refresh token": refresh_token}
    secrets |= {f"{name} cookie": value for name, value in cookies(headers).items()}
    bearer, cookie = f"Bearer {token}", f"session={secrets['session cookie']}"
    send(server, "POST", sign_in, {**author, "password": WRONG})
    send(server, "POST", sign_in, {**author, "password": WRONG, "x": "\0"})
    send(server, "POST", sign_in, f'{{"password": "{WRONG}", "password": "{WRONG}"'.encode())
    send(server, "POST", sign_in, {"email": WRONG, "password": [WRONG]})
    _, answer, _ = send(server, "POST", refresh, {"refreshToken": refresh_token})
    secrets |= {"child token": answer["data"]["token"], "child refresh token": answer["data"]["refreshToken"]}
    send(server, "POST", refresh, {"refreshToken": refresh_token[:-4] + "AAAA"})
    send(server, "POST", refresh, {"refreshToken": FORGED})
    for headers_ in ({"Authorization": bearer}, {"Cookie": cookie}, {"Authorization": f"Bearer {FORGED}"},
                     {"Authorization": f"Basic {FORGED}"}, {"Cookie": f"session={FORGED}"}):  # fmt: skip
        send(server, "GET", "/api/client/auth/me", **headers_)
        send(server, "POST", "/api/client/graphql", {"query": "{ me { id } }"}, **headers_)
    change = {"currentPassword": WRONG, "newPassword": NEW}
    send(server, "POST", "/api/client/auth/password", change, Authorization=bearer)
    change["currentPassword"] = DEMO_PASSWORD
    assert send(server, "POST", "/api/client/auth/password", change, Authorization=bearer)[0] == 200
    send(server, "POST", "/api/client/auth/sign-out", Cookie=cookie, Origin="https://evil.example")
    send(server, "POST", "/api/client/auth/sign-out", Authorization=bearer)
    send(server, "POST", refresh, {"refreshToken": secrets["child refresh token"]})
    send(server, "POST", "/api/admin/auth/sign-in", {"username": "admin", "password": WRONG})
    _, answer, _ = send(server, "POST", "/api/admin/auth/sign-in", {"username": "admin", "password": DEMO_PASSWORD})
    secrets |= {"admin token": answer["data"]["token"], "admin refresh token": answer["data"]["refreshToken"]}
    admin = f"Bearer {answer['data']['token']}"
    user = {"email": "new@acme.example", "roles": ["Viewer"], "password": NEW}
    assert send(server, "POST", "/api/admin/clients/acme/users", user, Authorization=admin)[0] == 201
    send(server, "POST", "/api/admin/clients/acme/users", {**user, "email": 5}, Authorization=admin)
    send(server, "POST", "/api/admin/license-on-prem", {"licenseKey": LICENCE}, Authorization=admin)
    send(server, "GET", f"/api/client/auth/me?token={FORGED}")
    forged_line = '{"event":"signed_in","user":1}'
    send(server, "GET", "/nowhere", User_Agent=f"x {forged_line}", X_Request_ID=forged_line, X_Client_ID=forged_line)
    send(server, "POST", sign_in, {"email": f"a@b.example\n{forged_line}", "password": WRONG})
    send(server, "POST", sign_in, {**author, "password": WRONG}, X_Client_ID="\u2028".encode().decode("latin-1"))


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Told:
    folder = tmp_path_factory.mktemp("logs")
    database = "" if request.param == "sqlite" else request.getfixturevalue("postgres").fresh_database()
    secrets = {"wrong password": WRONG, "password": DEMO_PASSWORD, "new password": NEW, "forged": FORGED[-40:]}
    secrets |= {"licence key": LICENCE, "forged middle": "forged-token-not-to-be-logged"}
    levels = {"MANIFEST_LOG_LEVEL": "debug", "MANIFEST_LOG_REQUESTS": "all"}
    with served(folder, database, **levels) as server:
        a_day_in_the_life(server, secrets)
        log = server.output
    return Told(log, folder / "data", database, secrets)


def json_lines(told: Told) -> list[dict[str, Any]]:
    return [json.loads(line) for line in told.log.read_text().splitlines() if line.startswith("{")]


def test_no_secret_is_logged(told: Told) -> None:
    assert len(told.secrets) >= 13
    text = "".join(line for line in told.log.read_text().splitlines() if line.startswith("{"))
    for name, secret in told.secrets.items():
        assert secret not in text, name
        for part in secret.split(".") if secret.count(".") == 2 else [secret]:
            assert len(part) < 16 or part.startswith("eyJhbGci") or part not in text, name
    assert "$argon2" not in text


def test_the_acts_are_logged_with_time_request_id_and_address(told: Told) -> None:
    lines = json_lines(told)
    for line in lines:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", line["timestamp"])
        assert line["level"] in ("debug", "info", "warning", "error")
    by_event = {name: [line for line in lines if line["event"] == name] for name in ("signed_in", "refused", "request")}
    assert [line["client"] for line in by_event["signed_in"]] == ["acme"]
    codes = {line["code"] for line in by_event["refused"]}
    assert {"INVALID_CREDENTIALS", "INVALID_TOKEN", "VALIDATION_ERROR", "FORBIDDEN", "LICENSE_INVALID"} <= codes
    for line in by_event["refused"] + by_event["request"]:
        assert line["request_id"]
        assert line["address"] == "127.0.0.1"
    assert not [line for line in lines if line["event"] == "internal_error"]


def test_nobody_forges_a_line(told: Told) -> None:
    assert not [line for line in json_lines(told) if line.get("user") == 1 and "client" not in line]
    assert not [line for line in told.log.read_text().splitlines() if line.endswith('"event":"signed_in","user":1}')]


async def stored(told: Told) -> dict[str, bytes]:
    """All that the store holds: the files of SQLite, the rows of PostgreSQL."""
    if not told.database:
        return {path.name: path.read_bytes() for path in told.data.glob("manifest-auth.db*")}
    connection = await asyncpg.connect(told.database)
    try:
        rows = {name: await connection.fetch(f'SELECT * FROM "{name}"') for name in metadata.tables}
    finally:
        await connection.close()
    return {name: repr([tuple(row) for row in found]).encode() for name, found in rows.items()}


async def test_no_secret_lies_open_in_the_store(told: Told) -> None:
    whole = await stored(told)
    assert any(b"author@acme.example" in content for content in whole.values())
    for place, content in whole.items():
        for name, secret in told.secrets.items():
            assert secret.encode() not in content, (name, place)
