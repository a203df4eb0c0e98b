"""One JSON envelope for every path and every status, without internal details."""

from __future__ import annotations

import pytest

from tests.support.application import App
from tests.support.envelope import check_headers, check_refusal, check_success
from tests.support.faults import new_client_has_a_bug, store_has_a_bug, store_is_gone
from tests.support.matrix import matrix
from tests.support.routes import ROUTES, filled
from tests.support.rules import rule

pytestmark = pytest.mark.one_store

SIGN_IN = "/api/client/auth/sign-in"


async def test_success_is_success_true_and_data(app: App) -> None:
    reply = await app.sign_in()
    assert set(reply.json) == {"success", "data"}
    check_success(reply)
    assert set(check_success(await app.get("/healthz"))) == {"status"}


@rule("LAST-RESORT")
@matrix("path", ["/nowhere", "/api", "/api/client", "/api/client/auth/", "/api/admin/nowhere"])
@matrix("method", ["GET", "POST", "DELETE", "OPTIONS"])
async def test_a_path_that_does_not_exist_is_not_found(app: App, path: str, method: str) -> None:
    check_refusal(await app.send(method, path), 404, "NOT_FOUND", message="Not found")


@rule("PATHS")
@matrix("path", sorted({route.path for route in ROUTES}))
async def test_a_method_that_a_path_does_not_have_is_405_with_allow(app: App, path: str) -> None:
    declared = {route.method for route in ROUTES if route.path == path}
    declared |= {"HEAD"} if "GET" in declared else set()
    for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"} - declared:
        reply = await app.send(method, filled(path))
        assert reply.headers["allow"] == ", ".join(sorted(declared))
        if method == "HEAD":
            assert (reply.status, reply.text) == (405, "")
        elif path.startswith("/oauth2/"):  # RFC 6749, section 5.2
            assert (reply.status, reply.json["error"]) == (405, "invalid_request")
        elif path.startswith("/scim/"):  # RFC 7644, section 3.12
            assert (reply.status, reply.json["status"]) == (405, "405")
        elif path != "/api/client/graphql":
            check_refusal(reply, 405, "METHOD_NOT_ALLOWED")


async def test_head_answers_like_get_without_a_body(app: App) -> None:
    token = (await app.sign_in()).data["token"]
    for path in ("/healthz", "/readyz", "/api/client/auth/me", "/openapi.json"):
        plain = {"Accept-Encoding": "identity"}
        whole = await app.get(path, token=token, headers=plain)
        head = await app.send("HEAD", path, token=token, headers=plain)
        assert (head.status, head.text) == (200, "")
        assert head.headers["content-length"] == whole.headers["content-length"]
        assert head.headers["content-type"] == whole.headers["content-type"]


@rule("GET-CHANGES-NOTHING")
@matrix("name", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "_method"])
async def test_headers_that_override_the_method_are_ignored(app: App, name: str) -> None:
    token = (await app.sign_in()).data["token"]
    session = (await app.me(token)).data["session"]["id"]
    reply = await app.get(f"/api/client/auth/sessions/{session}", token=token, headers={name: "DELETE"})
    check_refusal(reply, 405, "METHOD_NOT_ALLOWED")
    reply = await app.get(f"{SIGN_IN}?_method=POST", headers={name: "POST"})
    check_refusal(reply, 405, "METHOD_NOT_ALLOWED")
    check_success(await app.me(token))


@rule("LAST-RESORT")
async def test_a_bug_is_internal_error_and_tells_nothing(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    token = (await app.sign_in()).data["token"]
    admin = await app.admin_token()
    bug = ZeroDivisionError("SELECT secret FROM users -- File manifest_auth/store/sqlite.py")
    store_has_a_bug(monkeypatch, app, bug, "write", "write_quickly", "read")
    replies = [
        await app.sign_in(),
        await app.get("/api/client/auth/sessions", token=token),
        await app.post("/api/client/auth/sign-out", token=token),
        await app.get("/api/admin/clients", token=admin),
        await app.post("/api/admin/clients", {"identifier": "some", "name": "Some"}, token=admin),
    ]
    for reply in replies:
        error = check_refusal(reply, 500, "INTERNAL_ERROR", message="Internal error")
        assert "details" not in error


@rule("GRAPHQL-ERRORS")
async def test_a_bug_under_graphql_is_masked_too(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    token = (await app.sign_in()).data["token"]
    store_has_a_bug(monkeypatch, app, ZeroDivisionError("SELECT secret FROM users"), "read")
    reply = await app.graphql("{ users { id } }", token)
    check_headers(reply)
    error = reply.json["errors"][0]
    assert (error["message"], error["extensions"]["code"]) == ("Internal error", "INTERNAL_ERROR")
    assert error["extensions"]["requestId"] == reply.headers["x-request-id"]
    assert "SELECT" not in reply.text
    assert "ZeroDivision" not in reply.text


async def test_a_bug_in_a_unit_of_work_leaves_nothing_behind(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    admin = await app.admin_token()
    with monkeypatch.context() as patch:
        new_client_has_a_bug(patch)
        body = {"identifier": "half-made", "name": "Half Made"}
        check_refusal(await app.post("/api/admin/clients", body, token=admin), 500, "INTERNAL_ERROR")
    check_refusal(await app.get("/api/admin/clients/half-made", token=admin), 404, "NOT_FOUND")


async def test_a_store_that_is_gone_is_503_and_not_a_bug(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    store_is_gone(monkeypatch, app, "connection refused: postgresql://manifest@db.internal/manifest")
    reply = await app.sign_in()
    check_refusal(reply, 503, "OVERLOADED")
    assert reply.headers["retry-after"].isdigit()
    assert "db.internal" not in reply.text
