"""Request bodies over the limit are rejected before they are parsed, and only JSON in UTF-8 is accepted."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.http.requests.slow_bodies import SlowBody, on_its_way
from tests.support.application import PASSWORD, App, Reply
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.routes import ROUTES
from tests.support.rules import rule
from tests.support.smaller_limits import narrow_arriving

pytestmark = pytest.mark.one_store

KIB = 1024
SIGN_IN = "/api/client/auth/sign-in"
SAML = "/api/client/auth/okta-saml"
BODY = {"email": "author@acme.example", "password": PASSWORD}


def padded(body: dict[str, Any], size: int) -> bytes:
    """A JSON object of exactly ``size`` bytes."""
    return json.dumps(body).encode().ljust(size)


def new_client(identifier: str) -> dict[str, str]:
    return {"identifier": identifier, "name": "A client"}


async def streamed(app: App, path: str, pieces: list[bytes], token: str | None = None) -> tuple[Reply, int]:
    """Send a body without a declared length; returns the response and the number of pieces that were requested."""
    taken = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal taken
        for piece in pieces:
            taken += 1
            yield piece

    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    answer = await app.client.post(path, content=body(), headers=headers)
    return Reply(answer.status_code, answer.headers, answer.json(), answer.text), taken


@rule("JSON-STRICT")
async def test_auth_routes_read_64_kib_and_not_a_byte_more(app: App) -> None:
    check_success(await app.send("POST", SIGN_IN, content=padded(BODY, 64 * KIB)))
    reply = await app.send("POST", SIGN_IN, content=padded(BODY, 64 * KIB + 1))
    check_refusal(reply, 413, "PAYLOAD_TOO_LARGE")


async def test_other_routes_read_1_mib_and_not_a_byte_more(app: App) -> None:
    admin = await app.admin_token()
    at_limit = padded(new_client("at-the-limit"), 1024 * KIB)
    check_success(await app.send("POST", "/api/admin/clients", content=at_limit, token=admin), 201)
    over = padded(new_client("over-the-limit"), 1024 * KIB + 1)
    check_refusal(await app.send("POST", "/api/admin/clients", content=over, token=admin), 413, "PAYLOAD_TOO_LARGE")
    check_refusal(await app.get("/api/admin/clients/over-the-limit", token=admin), 404, "NOT_FOUND")


async def test_graphql_reads_1_mib_and_not_a_byte_more(app: App) -> None:
    token = (await app.sign_in()).data["token"]
    path, query = "/api/client/graphql", {"query": "{ me { id } }"}
    assert (await app.send("POST", path, content=padded(query, 1024 * KIB), token=token)).status == 200
    over = await app.send("POST", path, content=padded(query, 1024 * KIB + 1), token=token)
    assert (over.status, over.json["errors"][0]["extensions"]["code"]) == (413, "PAYLOAD_TOO_LARGE")


async def test_every_auth_route_but_that_of_saml_has_the_small_limit() -> None:
    for route in ROUTES:
        if (route.method, route.path) == ("POST", SAML):
            assert route.limit == 512 * KIB
        elif "/auth/" in route.path and route.method != "GET":
            assert route.limit == 64 * KIB, route.path
        assert route.limit <= 1024 * KIB or route.streams  # in parts, up to its own limit


@rule("SAML-SIZE")
async def test_saml_reads_512_kib_and_not_a_byte_more(app: App) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    at_limit, over = padded({}, 512 * KIB), padded({}, 512 * KIB + 1)
    check_refusal(await app.send("POST", SAML, content=at_limit), 400, "VALIDATION_ERROR")
    check_refusal(await app.send("POST", SAML, content=over), 413, "PAYLOAD_TOO_LARGE")
    start = b"x=1&SAMLResponse="
    as_form = start + b"A" * (512 * KIB - len(start))
    check_refusal(await app.send("POST", SAML, content=as_form, headers=form), 401, "SSO_FAILED")
    check_refusal(await app.send("POST", SAML, content=as_form + b"A", headers=form), 413, "PAYLOAD_TOO_LARGE")


async def test_what_is_too_large_is_rejected_before_it_is_parsed(app: App) -> None:
    for content in (b"[" * (64 * KIB + 1), b"\xff" * (70 * KIB), b"\0" * (2048 * KIB)):
        check_refusal(await app.send("POST", SIGN_IN, content=content), 413, "PAYLOAD_TOO_LARGE")


async def test_a_declared_length_over_the_limit_is_rejected_without_reading(app: App) -> None:
    for length in ("65537", "99999999999", "9" * 30):
        reply = await app.post(SIGN_IN, BODY, headers={"Content-Length": length})
        check_refusal(reply, 413, "PAYLOAD_TOO_LARGE")
        assert reply.headers["connection"] == "close"


async def test_a_chunked_body_is_cut_at_the_limit(app: App) -> None:
    pieces = [b"x" * 16 * KIB] * 1000
    reply, taken = await streamed(app, SIGN_IN, pieces)
    check_refusal(reply, 413, "PAYLOAD_TOO_LARGE")
    assert taken == 5  # the fifth piece exceeds 64 KiB
    reply, taken = await streamed(app, "/api/admin/clients", pieces, await app.admin_token())
    check_refusal(reply, 413, "PAYLOAD_TOO_LARGE")
    assert taken == 65


async def test_a_chunked_body_of_exactly_the_limit_is_read(app: App) -> None:
    whole = padded(BODY, 64 * KIB)
    pieces = [whole[at : at + 1000] for at in range(0, len(whole), 1000)]
    check_success((await streamed(app, SIGN_IN, pieces))[0])
    check_refusal((await streamed(app, SIGN_IN, [*pieces, b" "]))[0], 413, "PAYLOAD_TOO_LARGE")


async def test_a_body_on_a_route_that_has_none_is_ignored_up_to_the_limit(app: App) -> None:
    token = (await app.sign_in()).data["token"]
    over = b"x" * (64 * KIB + 1)
    check_refusal(
        await app.send("POST", "/api/client/auth/sign-out", content=over, token=token), 413, "PAYLOAD_TOO_LARGE"
    )
    check_success(await app.me(token))
    check_success(await app.send("POST", "/api/client/auth/sign-out", content=b"not json", token=token))


MEDIA_TYPES = [
    "text/plain", "text/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
    "application/jsonp", "application/json-patch+json", "application/problem+json", "json", "application/", "*/*", "",
    "application/json; charset=utf-16", "application/json; charset=iso-8859-1", "application/json;charset=latin1",
    'application/json; charset="utf-7"', "application/json; charset=", "text/plain; application/json",
    "application/json, text/plain", "application/json application/json",
]  # fmt: skip


@rule("JSON-ONLY")
@matrix("media_type", MEDIA_TYPES)
async def test_any_other_media_type_or_charset_is_rejected(app: App, media_type: str) -> None:
    reply = await app.post(SIGN_IN, BODY, headers={"Content-Type": media_type})
    check_refusal(reply, 415, "UNSUPPORTED_MEDIA_TYPE")


@rule("JSON-ONLY")
@matrix("path", ["/api/client/auth/refresh", "/api/admin/auth/sign-in", "/api/admin/auth/refresh"])
async def test_no_route_reads_a_form(app: App, path: str) -> None:
    for media_type in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"):
        reply = await app.send("POST", path, content=b"{}", headers={"Content-Type": media_type})
        check_refusal(reply, 415, "UNSUPPORTED_MEDIA_TYPE")


async def test_a_body_without_a_media_type_is_rejected(app: App) -> None:
    answer = await app.client.post(SIGN_IN, content=json.dumps(BODY).encode())
    assert "content-type" not in answer.request.headers
    reply = Reply(answer.status_code, answer.headers, answer.json(), answer.text)
    check_refusal(reply, 415, "UNSUPPORTED_MEDIA_TYPE")


@matrix(
    "media_type",
    ["application/json", "Application/JSON", "application/json; charset=utf-8", 'application/json;charset="UTF-8"',
     "application/json ; Charset=UTF-8", "application/json; profile=x; charset=utf-8"],
)  # fmt: skip
async def test_json_in_utf_8_is_read_however_it_is_spelt(app: App, media_type: str) -> None:
    check_success(await app.post(SIGN_IN, BODY, headers={"Content-Type": media_type}))


@matrix("coding", ["gzip", "deflate", "br", "zstd", "GZIP", "identity, gzip", "compress", "x"])
async def test_a_compressed_body_is_rejected(app: App, coding: str) -> None:
    reply = await app.post(SIGN_IN, BODY, headers={"Content-Encoding": coding})
    check_refusal(reply, 415, "UNSUPPORTED_MEDIA_TYPE")


async def test_a_body_that_ends_early_is_rejected(app: App) -> None:
    messages: list[Any] = [
        {"type": "http.request", "body": b'{"email":', "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": SIGN_IN, "raw_path": SIGN_IN.encode(), "query_string": b"",
        "http_version": "1.1", "headers": [(b"host", b"x"), (b"content-type", b"application/json")], "client": None,
    }  # fmt: skip
    await app.application(scope, receive, send)
    assert sent[0]["status"] == 400


@rule("UNREAD-ANSWERS")
async def test_bodies_that_do_not_end_take_no_more_memory_than_one_share(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit applies to all callers together; bodies that arrive in one part aren't affected."""
    narrow_arriving(monkeypatch, 100 * KIB)
    lines, part = [("Content-Type", "application/json")], padded(BODY, 60 * KIB)
    async with on_its_way(app, SIGN_IN, lines, part, b" ") as first:
        second = SlowBody(app, SIGN_IN, lines, part, b" ")
        assert await second.begun() == 503
        check_success(await app.send("POST", SIGN_IN, content=padded(BODY, 64 * KIB)))
        assert await first.goes_on() == 200
    for _ in range(3):
        async with on_its_way(app, SIGN_IN, lines, part, b" ") as broken:
            assert await broken.breaks_off() == 400


@rule("UNREAD-ANSWERS")
async def test_nothing_is_kept_of_a_body_that_no_one_wants(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    narrow_arriving(monkeypatch, 100 * KIB)
    part = bytes(100 * KIB + 1)
    unwanted = SlowBody(app, "/healthz", [("Content-Length", str(2 * len(part)))], part, part, method="GET")
    assert await unwanted.begun() == 0
    assert await unwanted.goes_on() == 200
