"""Request and response headers: request IDs, security headers, no-store, WWW-Authenticate, and repeated headers."""

from __future__ import annotations

import re

import pytest

from tests.support.application import PASSWORD, App, running
from tests.support.envelope import check_headers, check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.rules import rule

pytestmark = pytest.mark.one_store

ME = "/api/client/auth/me"
SIGN_IN = "/api/client/auth/sign-in"
CREDENTIALS = {"email": "author@acme.example", "password": PASSWORD}


@matrix("shown", ["a1b2c3d4", "3f2b8c1e-7d90-4f7e-9d8e-2b1f0a9c8d7e", "trace_01.span-02", "x" * 64])
async def test_a_sane_request_id_is_kept(app: App, shown: str) -> None:
    kept = await app.get("/healthz", headers={"X-Request-ID": shown})
    assert kept.headers["x-request-id"] == shown
    refused = await app.get("/nowhere", headers={"X-Request-ID": shown})
    assert refused.json["error"]["requestId"] == refused.headers["x-request-id"] == shown


@rule("INJECTION")
@matrix(
    "shown",
    [
        b"", b"   ", b"x" * 65, b"x" * 5000, b"two words here", b"tab\there-and-there", b"quote\"quote\"",
        b"<script>alert</script>", b"${jndi:ldap://x}", b"line\r\nX-Evil: 1", b"line\nX-Evil:1", b"nul\0nul-nul",
        "ünïcödé-ïd".encode(), b"\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8", b"%0d%0aX-Evil:%201", b"a1b2c3d4, e5f6a7b8",
    ],
)  # fmt: skip
async def test_any_other_request_id_is_replaced(app: App, shown: bytes) -> None:
    answer = await app.client.get("/healthz", headers=[(b"X-Request-ID", shown)])
    assert re.fullmatch(r"[A-Za-z0-9_-]{16}", answer.headers["x-request-id"])
    assert "x-evil" not in answer.headers


async def test_two_request_ids_are_replaced_by_a_third(app: App) -> None:
    reply = await app.get("/healthz", headers=[("X-Request-ID", "a1b2c3d4"), ("X-Request-ID", "e5f6a7b8")])
    assert "a1b2c3d4" not in reply.headers["x-request-id"]
    assert "e5f6a7b8" not in reply.headers["x-request-id"]


async def test_made_request_ids_differ(app: App) -> None:
    assert len({(await app.get("/healthz")).headers["x-request-id"] for _ in range(20)}) == 20


@rule("NO-TOKEN-IN-ADDRESS", "HEADERS")
@matrix("path", ["/healthz", "/readyz", "/metrics", "/.well-known/jwks.json", "/openapi.json", ME, "/x"])
async def test_every_answer_carries_the_security_headers(app: App, path: str) -> None:
    reply = await app.get(path)
    check_headers(reply)
    assert "strict-transport-security" not in reply.headers  # the public address uses plain HTTP
    assert "access-control-allow-origin" not in reply.headers


async def test_the_docs_page_has_a_policy_of_its_own_and_lets_nothing_from_outside_in(app: App) -> None:
    reply = await app.get("/docs/api")
    assert reply.status == 200
    policy = reply.headers.get_list("content-security-policy")
    assert len(policy) == 1
    assert "default-src 'none'" in policy[0]
    assert "frame-ancestors 'none'" in policy[0]
    assert "http:" not in policy[0]
    assert "*" not in policy[0]
    assert reply.headers["x-content-type-options"] == "nosniff"


@rule("HEADERS")
async def test_hsts_comes_with_a_public_address_on_tls(database_url: str) -> None:
    async with running(database_url, MANIFEST_PUBLIC_URL="https://manifest.example") as app:
        for path in ("/healthz", "/nowhere", ME):
            reply = await app.get(path)
            assert re.match(r"max-age=\d{8}", reply.headers["strict-transport-security"])


@rule("NO-STORE")
async def test_what_carries_tokens_or_personal_data_is_not_stored(app: App) -> None:
    signed_in = await app.sign_in()
    token, refresh_token = signed_in.data["token"], signed_in.data["refreshToken"]
    admin_in = await app.post("/api/admin/auth/sign-in", {"username": "root", "password": PASSWORD})
    admin = admin_in.data["token"]
    replies = [
        signed_in,
        admin_in,
        await app.refresh(refresh_token),
        await app.me(token),
        await app.me(cookie=signed_in.cookie("session")),
        await app.get("/api/client/auth/sessions", token=token),
        await app.graphql("{ users { id email } }", token),
        await app.graphql("{ nonsense }", token),
        await app.graphql("{ me { id } }"),
        await app.get("/api/admin/clients", token=admin),
        await app.get("/api/admin/clients/acme/users", token=admin),
        await app.get("/api/admin/auth/me", token=admin),
        await app.me("forged"),
    ]
    for reply in replies:
        assert reply.headers.get_list("cache-control") == ["no-store"]
        assert reply.headers["content-type"].endswith("charset=utf-8")


async def test_www_authenticate_says_invalid_token_only_when_a_token_was_shown(app: App) -> None:
    nothing_shown = await app.get(ME)
    check_refusal(nothing_shown, 401, "UNAUTHENTICATED")
    assert nothing_shown.headers.get_list("www-authenticate") == ["Bearer"]
    assert (await app.sign_in(password="not the password")).headers.get_list("www-authenticate") == ["Bearer"]
    admin_door = await app.get("/api/admin/clients")
    assert admin_door.headers.get_list("www-authenticate") == ["Bearer"]

    wrong = 'Bearer error="invalid_token"'
    shown = [
        await app.me("forged"),
        await app.get(ME, cookie="forged"),
        await app.get(ME, headers={"Authorization": "Basic dXNlcjpwYXNz"}),
        await app.get(ME, headers={"Authorization": "Bearer"}),
        await app.get("/api/admin/clients", token="forged"),
        await app.graphql("{ me { id } }", "forged"),
    ]
    for reply in shown:
        assert (reply.status, reply.headers.get_list("www-authenticate")) == (401, [wrong])


async def test_www_authenticate_for_an_expired_token(app: App) -> None:
    token = (await app.sign_in()).data["token"]
    app.clock.advance(24 * 3600 + 1)
    reply = await app.me(token)
    check_refusal(reply, 401, "TOKEN_EXPIRED", message="Token has expired")
    assert reply.headers.get_list("www-authenticate") == ['Bearer error="invalid_token"']


async def test_the_scheme_is_case_insensitive(app: App) -> None:
    token = (await app.sign_in()).data["token"]
    for scheme in ("bearer", "BEARER", "bEaReR"):
        check_success(await app.get(ME, headers={"Authorization": f"{scheme} {token}"}))


@rule("FRAMING")
@matrix("same", [True, False])
@matrix("path", [ME, "/api/client/auth/sessions", "/healthz", SIGN_IN])
async def test_a_second_authorization_header_is_rejected(app: App, path: str, same: bool) -> None:
    token = (await app.sign_in()).data["token"]
    lines = [("Authorization", f"Bearer {token}"), ("authorization", f"Bearer {token}" if same else "Basic eDp5")]
    method, body = ("POST", CREDENTIALS) if path == SIGN_IN else ("GET", None)
    error = check_refusal(await app.send(method, path, body, headers=lines), 400, "VALIDATION_ERROR")
    assert [d["field"] for d in error["details"]] == ["Authorization"]


@rule("CLIENT-HEADER-NARROWS")
@matrix("second", ["acme", "globex", ""])
@matrix("path", [ME, SIGN_IN])
async def test_a_second_x_client_id_is_rejected(app: App, path: str, second: str) -> None:
    token = (await app.sign_in()).data["token"]
    lines = [("X-Client-ID", "acme"), ("x-client-id", second)]
    if path == ME:
        reply = await app.get(path, token=token, headers=lines)
    else:
        reply = await app.post(path, CREDENTIALS, headers=lines)
    error = check_refusal(reply, 400, "VALIDATION_ERROR")
    assert [d["field"] for d in error["details"]] == ["X-Client-ID"]


@rule("FRAMING")
@matrix("second", ["application/json", "text/plain"])
async def test_a_second_content_type_is_rejected(app: App, second: str) -> None:
    lines = [("Content-Type", "application/json"), ("Content-Type", second)]
    error = check_refusal(await app.post(SIGN_IN, CREDENTIALS, headers=lines), 400, "VALIDATION_ERROR")
    assert [d["field"] for d in error["details"]] == ["Content-Type"]


async def test_no_origin_is_reflected(app: App) -> None:
    token = (await app.sign_in()).data["token"]
    for origin in ("https://evil.example", "null", "http://127.0.0.1:8080"):
        reply = await app.me(token, headers={"Origin": origin})
        assert not [name for name in reply.headers if name.startswith("access-control-")]
        preflight = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        assert (await app.send("OPTIONS", SIGN_IN, headers=preflight)).status == 405
