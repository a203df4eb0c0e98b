"""Unusual paths and query strings: access control and routing see the same path."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, unquote

import orjson
import pytest

from tests.support.application import App
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.rules import rule

pytestmark = pytest.mark.one_store

LIST = "/api/admin/clients"

ODD_PATHS = [
    "//api/admin/clients", "/api//admin/clients", "/api/admin//clients", "/api/admin/clients/", "/api/admin/clients//",
    "/api/admin/./clients/x/..", "/api/client/..%2fadmin/clients", "/api/client/%2e%2e/admin/clients",
    "/api%2fadmin%2fclients", "/api/admin%2Fclients", "/api/admin/clients%2facme", "/api/admin/clients/acme%2Fusers",
    "/api/admin/clients%00", "/api/admin/clients/acme%00", "/api/admin/clients%0a", "/api/admin/clients%20",
    "/api/admin/clients;x=1", "/api/admin/clients.json", "/API/admin/clients", "/api/Admin/clients",
    "/api/admin/clients/%ff%fe", "/api/admin/clients/%ed%a0%80", "/api/admin/clients/%C0%80", "/api/admin/clients/%",
    "/api/admin/clients/%zz", "/api/admin/clients/%F0%9F%98%80", "/api/admin/clients/acm%C3%A9",
    "/api/admin/clients/ACME",
    "/api/admin/clients/acme%20", "/api/admin/clients/%20acme", "/api/admin/clients/acme/users/",
    "/api/admin/clients//users",
    "/api/admin/clients/'%20OR%201=1--", "/api/admin/clients/{client}", "/api/admin/clients/" + "a" * 8000,
    "/api\\admin\\clients", "/api/admin/clients/..", "/api/admin/clients/acme/users/../../globex",
]  # fmt: skip


async def raw(app: App, method: str, path: str, query: bytes, token: str) -> tuple[int, bytes]:
    """Status and body for a target that no client library normalizes, decoded once, as the HTTP server does."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": method, "path": unquote(path), "raw_path": path.encode(), "query_string": query,
        "http_version": "1.1", "client": ("192.0.2.1", 1),
        "headers": [(b"host", b"127.0.0.1:8080"), (b"authorization", f"Bearer {token}".encode())],
    }  # fmt: skip
    await app.application(scope, receive, send)
    return sent[0]["status"], sent[1]["body"]


@rule("PATHS")
@matrix("path", ODD_PATHS)
async def test_an_odd_path_is_not_found(app: App, path: str) -> None:
    admin = await app.admin_token()
    status, body = await raw(app, "GET", path, b"", admin)
    assert (status, orjson.loads(body)["error"]["code"]) == (404, "NOT_FOUND")


@matrix(
    "path",
    ["/api/client%2fauth/me", "/api/client/auth%2Fme", "/%61pi/client/auth/me", "/api/client/auth/me%00",
     "/api/client/auth/%6de", "/api/client/auth/me/", "//api/client/auth/me", "/api/client/auth/sessions/%00"],
)  # fmt: skip
async def test_a_users_path_has_one_spelling_too(app: App, path: str) -> None:
    token = (await app.sign_in()).data["token"]
    assert (await raw(app, "GET", path, b"", token))[0] == 404


ODD_IDS = [
    "0",
    "01",
    "-1",
    "+1",
    "1.0",
    "1e0",
    "0x1",
    "1_0",
    "²",
    "١",
    "9" * 19,
    "9" * 200,
    "9223372036854775808",
    "x",
    "null",
]


@matrix("odd", ODD_IDS)
async def test_an_id_that_is_none_is_not_found(app: App, odd: str) -> None:
    admin = await app.admin_token()
    known = app.ids["author@acme.example"]
    check_success(await app.get(f"{LIST}/acme/users/{known}", token=admin))
    for path in (f"{LIST}/{odd}", f"{LIST}/{odd}/users", f"{LIST}/acme/users/{odd}", f"{LIST}/acme/users/0{known}"):
        check_refusal(await app.get(path, token=admin), 404, "NOT_FOUND")
    check_refusal(await app.send("DELETE", f"{LIST}/acme/users/{odd}/sessions", token=admin), 404, "NOT_FOUND")


ODD_QUERIES = [
    "first=0", "first=-1", "first=101", "first=1.5", "first=abc", "first=", "first=0x10", "first=true",
    "first=99999999999999999999", "first=1&first=1", "first=1&first=2", "after=-1", "after=x", "after=1.5",
    "after=92233720368547758080", "x=1", "x", "Q=a", "sorts=ID", "after=1&after=1",
    "q=a&q=b", "q=%00", "q=a%00b", "q=%ff", "q=%c0%80", "q=%ed%a0%80",
    "%00=1&q=%00", "q=" + "x" * 201, "x=%ff", "&".join(f"p{n}=1" for n in range(60)), "first=%EF%BC%91", "after=null",
]  # fmt: skip


@matrix("path", [LIST, f"{LIST}/acme/users"])
@matrix("query", ODD_QUERIES)
async def test_an_odd_query_string_is_rejected(app: App, path: str, query: str) -> None:
    status, body = await raw(app, "GET", path, query.encode(), await app.admin_token())
    assert (status, orjson.loads(body)["error"]["code"]) == (400, "VALIDATION_ERROR")


async def test_query_bytes_outside_ascii_are_rejected(app: App) -> None:
    assert (await raw(app, "GET", LIST, "q=ü".encode(), await app.admin_token()))[0] == 400


@matrix(
    "query", ["", "?", "?q=", "?after=", "?&&", "?q=%25", "?q=_", "?q=%5C", "?q='--", "?q=%F0%9F%98%80",
              "?q=%2B+%26",
              "?first=1", "?first=100", "?after=0", "?after=9223372036854775807", f"?after={'9' * 19}",
              "?first=1&after=1&q=a&sort=ID"],
)  # fmt: skip
@matrix("path", [LIST, f"{LIST}/acme/users"])
async def test_any_other_query_string_is_answered(app: App, path: str, query: str) -> None:
    data = check_success(await app.get(path + query, token=await app.admin_token()))
    assert set(data) == {"items", "nextCursor"}


@rule("INJECTION")
@matrix("q", ["%", "_", "\\", "%%", "a%e", "a_me", "\\%"])
async def test_what_means_anything_to_the_database_is_searched_for_as_it_is(app: App, q: str) -> None:
    data = check_success(await app.get(f"{LIST}?q={quote(q)}", token=await app.admin_token()))
    assert data["items"] == []
