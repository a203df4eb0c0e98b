"""Logs and database contain no secrets, and every log line is a JSON object that callers can't forge."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import asyncpg
import pytest

from tests.support.oidc_op import provider
from tests.support.rows import TABLES
from tests.support.rules import rule
from tests.support.saml_idp import Idp
from tests.support.server import DEMO_PASSWORD, REAL_CLOCK, Server, served

pytestmark = [pytest.mark.processes, pytest.mark.one_store]

WRONG = "wrong-password-that-must-not-be-logged"
NEW = "granite-otter-47-lantern"
LICENCE = "MANIFEST1.licence-key-that-must-not-be-logged.AAAA"
FORGED = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.forged-token-not-to-be-logged.AAAA"


class _Stay(urllib.request.HTTPRedirectHandler):
    """A handler that returns redirects like any other response."""

    def redirect_request(self, *given: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_Stay)


@dataclass
class Told:
    """The values sent to and returned by a server, and its output files."""

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
        with _OPENER.open(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read() or b"null"), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"null"), error.headers


def cookies(headers: Message) -> dict[str, str]:
    pairs = (line.partition(";")[0].partition("=") for line in headers.get_all("Set-Cookie") or [])
    return {name: value for name, _, value in pairs if value}  # an empty value deletes a cookie


def a_day_in_the_life(server: Server, secrets: dict[str, str]) -> None:
    """Perform every act that involves a secret, with correct and wrong values."""
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
    with_links(server, admin, secrets)
    forged_line = '{"event":"signed_in","user":1}'
    send(server, "GET", "/nowhere", User_Agent=f"x {forged_line}", X_Request_ID=forged_line, X_Client_ID=forged_line)
    send(server, "POST", sign_in, {"email": f"a@b.example\n{forged_line}", "password": WRONG})
    send(server, "POST", sign_in, {**author, "password": WRONG}, X_Client_ID="\u2028".encode().decode("latin-1"))


def with_links(server: Server, admin: str, secrets: dict[str, str]) -> None:
    """Use one-time links, with correct and wrong values."""
    auth, users = "/api/client/auth", "/api/admin/clients/acme/users"
    _, answer, _ = send(
        server, "POST", users, {"email": "linked@acme.example", "roles": ["Viewer"]}, Authorization=admin
    )
    path = f"{users}/{answer['data']['id']}"
    _, answer, _ = send(server, "POST", f"{path}/invitation", Authorization=admin)
    first = secrets["first invitation"] = answer["data"]["token"]
    _, answer, _ = send(server, "POST", f"{path}/password-reset", Authorization=admin)
    second = secrets["reset link"] = answer["data"]["link"].partition("#")[2]
    secrets |= {"first password": "quartz-meadow-58-signal", "second password": "signal-otter-85-meadow"}
    for token in (f"{first}x", first, second, first):
        send(server, "POST", f"{auth}/link", {"token": token})
    for password in (WRONG[:14], secrets["first password"], secrets["first password"]):
        status, *_ = send(server, "POST", f"{auth}/invitations/accept", {"token": first, "password": password})
    assert status == 401
    _, answer, _ = send(server, "POST", f"{path}/password-reset", Authorization=admin)
    third = secrets["another reset link"] = answer["data"]["link"].partition("#")[2]
    for token in (second, third, third):
        body = {"token": token, "newPassword": secrets["second password"]}
        status, answer, headers = send(server, "POST", f"{auth}/password/reset", body)
        if status == 200:
            secrets |= {f"{name} cookie after a reset": value for name, value in cookies(headers).items()}
            secrets["token after a reset"] = answer["data"]["token"]
    assert "token after a reset" in secrets
    send(server, "POST", f"{auth}/password/forgot", {"email": "linked@acme.example"})


def a_day_with_providers(server: Server, secrets: dict[str, str]) -> None:
    """Perform every single sign-on act that involves a secret, with correct and wrong values."""
    auth, base, admin = "/api/client/auth", "/api/admin/clients/acme/providers", f"Bearer {secrets['admin token']}"
    back = "https://app.acme.example/in"
    rules = {"createUsers": True, "defaultRoles": ["Viewer"], "returnAddresses": [back]}
    with provider(REAL_CLOCK) as op:
        op.user |= {"email": "ada@providers.example"}
        op.client_secret = secrets["client secret"] = "client-secret-that-must-not-be-logged"
        oidc = {"issuer": op.issuer, "clientId": op.client_id, "clientSecret": op.client_secret}
        assert send(server, "POST", base, {"name": "op", **rules, "oidc": oidc}, Authorization=admin)[0] == 201
        again = {"oidc": {"clientSecret": oidc["clientSecret"], "scopes": ["not openid"]}}
        assert send(server, "PATCH", f"{base}/op", again, Authorization=admin)[0] == 400
        _, answer, _ = send(server, "POST", f"{base}/op/test", Authorization=admin)
        assert answer["data"]["works"], answer
        for number, response in enumerate(("cookie", "code")):
            start = urlencode({"client": "acme", "provider": "op", "returnTo": back, "response": response})
            status, _, headers = send(server, "GET", f"{auth}/oidc?{start}")
            assert status == 302
            address = op.visit(headers["Location"])
            query = parse_qs(urlsplit(address).query)
            secrets |= {f"{name} {number}": query[name][0] for name in ("state", "code")}
            secrets |= {f"{name} {number}": value for name, value in cookies(headers).items()}
            target = f"{auth}/oidc/callback/acme/op?{urlsplit(address).query}"
            assert send(server, "GET", target)[0] == 401  # a browser without the cookie
            cookie = "; ".join(f"{name}={value}" for name, value in cookies(headers).items())
            status, _, ended = send(server, "GET", target, Cookie=cookie)
            assert status == 302
            assert send(server, "GET", target, Cookie=cookie)[0] == 401  # already used
            secrets |= {f"{name} cookie {number}": value for name, value in cookies(ended).items() if value}
        code = secrets["one-time code"] = parse_qs(urlsplit(ended["Location"]).query)["code"][0]
        assert send(server, "POST", f"{auth}/exchange", {"code": f"{code}x"})[0] == 401
        assert send(server, "POST", f"{auth}/exchange", {"code": code})[0] == 200
        assert send(server, "POST", f"{auth}/exchange", {"code": code})[0] == 401
        assert op.access_tokens
        secrets |= {f"provider's access token {n}": token for n, token in enumerate(op.access_tokens)}
    _saml_day(server, base, admin, rules, secrets)
    _, answer, _ = send(server, "POST", "/api/admin/clients/acme/users/3/invitation", Authorization=admin)
    secrets["invitation"] = answer["data"]["token"]
    send(server, "GET", f"{auth}/oidc?client=acme&provider=op&invitation={secrets['invitation']}x")


def _saml_day(server: Server, base: str, admin: str, rules: dict[str, Any], secrets: dict[str, str]) -> None:
    now_ms = REAL_CLOCK.now_ms()
    idp = Idp(not_before_ms=now_ms - 10**9, not_after_ms=now_ms + 10**9)
    saml = {"entityId": idp.issuer, "certificates": [idp.certificate_pem], "redirectUrl": "https://idp.example/sso"}
    _, answer, _ = send(server, "POST", base, {"name": "idp", **rules, "saml": saml}, Authorization=admin)
    ours = answer["data"]["serviceProvider"]
    path = urlsplit(ours["acsUrl"]).path
    whole = idp.response(ours["entityId"], ours["acsUrl"], name_id="kay@providers.example", now_ms=now_ms)
    secrets |= {"SAML response": whole[:400], "middle of it": whole[len(whole) // 2 :][:200]}
    assert send(server, "POST", path, {"samlResponse": whole[:-40]})[0] in (400, 401)
    assert send(server, "POST", path, {"samlResponse": whole})[0] == 200
    assert send(server, "POST", path, {"samlResponse": whole})[0] == 401
    form = urlencode({"SAMLResponse": whole}).encode()
    send(server, "POST", path, form, Content_Type="application/x-www-form-urlencoded")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Told:
    folder = tmp_path_factory.mktemp("logs")
    database = "" if request.param == "sqlite" else request.getfixturevalue("postgres").fresh_database()
    secrets = {"wrong password": WRONG, "password": DEMO_PASSWORD, "new password": NEW, "forged": FORGED[-40:]}
    secrets |= {"licence key": LICENCE, "forged middle": "forged-token-not-to-be-logged"}
    levels = {"MANIFEST_LOG_LEVEL": "debug", "MANIFEST_LOG_REQUESTS": "all"}
    with served(folder, database, **levels) as server:
        a_day_in_the_life(server, secrets)
        a_day_with_providers(server, secrets)
        log = server.output
    return Told(log, folder / "data", database, secrets)


def json_lines(told: Told) -> list[dict[str, Any]]:
    return [json.loads(line) for line in told.log.read_text().splitlines() if line.startswith("{")]


@rule("LOG-NO-SECRET")
def test_no_secret_is_logged(told: Told) -> None:
    assert len(told.secrets) >= 28
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
    methods = [(line["client"], line["method"]) for line in by_event["signed_in"]]
    assert methods == [("acme", method) for method in ("password", "link", "link", "oidc", "code", "saml")]
    codes = {line["code"] for line in by_event["refused"]}
    assert {"INVALID_CREDENTIALS", "INVALID_TOKEN", "VALIDATION_ERROR", "FORBIDDEN", "LICENSE_INVALID"} <= codes
    wrong = [line for line in by_event["refused"] if line["code"] == "INVALID_CREDENTIALS"]
    assert all(line["reason"] for line in wrong if line["route"].endswith("/sign-in"))
    for line in by_event["refused"] + by_event["request"]:
        assert line["request_id"]
        assert line["address"] == "127.0.0.1"
    assert not [line for line in lines if line["event"] == "internal_error"]


@rule("INJECTION", "LOG-NO-SECRET")
def test_no_one_forges_a_line(told: Told) -> None:
    assert not [line for line in json_lines(told) if line.get("user") == 1 and "client" not in line]
    assert not [line for line in told.log.read_text().splitlines() if line.endswith('"event":"signed_in","user":1}')]


async def stored(told: Told) -> dict[str, bytes]:
    """Everything in the database: SQLite's files, or PostgreSQL's rows."""
    if not told.database:
        return {path.name: path.read_bytes() for path in told.data.glob("manifest-auth.db*")}
    connection = await asyncpg.connect(told.database)
    try:
        rows = {name: await connection.fetch(f'SELECT * FROM "{name}"') for name in TABLES}
    finally:
        await connection.close()
    return {name: repr([tuple(row) for row in found]).encode() for name, found in rows.items()}


@rule("LOG-NO-SECRET")
async def test_no_secret_lies_open_in_the_store(told: Told) -> None:
    whole = await stored(told)
    assert any(b"author@acme.example" in content for content in whole.values())
    for place, content in whole.items():
        for name, secret in told.secrets.items():
            assert secret.encode() not in content, (name, place)
