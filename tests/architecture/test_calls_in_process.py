"""An in-process call sends the application the same request as an HTTP client, and reads its response."""

from __future__ import annotations

import gzip
from typing import Any

import httpx2

from tests.http.pages.hostile_texts import EVIL, STRINGS
from tests.support import in_process
from tests.support.matrix import matrix

PEER = ("192.0.2.1", 40000)
_BASES = ("http://127.0.0.1:8080", "https://auth.example.com", "http://127.0.0.1:8080/")
_REQUESTS: list[tuple[str, str, list[tuple[Any, Any]], bytes | None]] = [
    ("GET", "/", [], None),
    ("POST", "/api/x", [], None),
    ("POST", "/api/x", [("Content-Type", "application/json")], b"{}"),
    ("DELETE", "/api/x", [], b""),
    ("PATCH", "/api/x", [("Transfer-Encoding", "chunked")], b"abc"),
    ("PUT", "/api/x", [("Content-Length", "7")], b"abc"),
    ("GET", "/x", [("Host", "other.example"), ("Accept", "text/html"), ("accept-language", "de")], None),
    ("GET", "/x", [("X-Two", "1"), ("X-Two", "2"), (b"X-Raw", b"\xff"), ("User-Agent", "mine")], None),
]
_PRINTABLE = [each for each in (*STRINGS[::7], *EVIL) if each.isprintable()]
_PATHS = (
    "/a/b%20c%2Fd/?x=1&y=%C3%A9", "/a?x=a+b", "/a/./b", "/a/../b", "/.hidden/..", "//evil.example/x", "/a b", "/é",
    "/a%2fb?x=%2f", "https://other.example/x?y=1", "/a;b,c?d[e]='f'", "/a#b", "/a%", "/a?x=%zz", "/?", "/a?x?y",
    "/%2e%2e/x", *(f"/sign-in?x={text}" for text in _PRINTABLE), *(each for each in _PRINTABLE if each[0] == "/"),
)  # fmt: skip


class _Noting:
    """An application that records its requests, and responds as told."""

    def __init__(self, headers: list[tuple[bytes, bytes]], *parts: bytes) -> None:
        self.headers, self.parts = headers, parts
        self.scope: dict[str, Any] = {}
        self.body = b""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope, more = dict(scope), True
        while more:
            told = await receive()
            self.body += told["body"]
            more = told["more_body"]
        await send({"type": "http.response.start", "status": 201, "headers": self.headers})
        for number, part in enumerate(self.parts, 1):
            await send({"type": "http.response.body", "body": part, "more_body": number < len(self.parts)})


async def _both(base: str, method: str, path: str, lines: Any, content: bytes | None) -> tuple[_Noting, _Noting]:
    """The requests that the application gets from both."""
    ours, theirs = _Noting([], b""), _Noting([], b"")
    transport = httpx2.ASGITransport(theirs, client=PEER)
    async with httpx2.AsyncClient(transport=transport, base_url=base) as client:
        await client.request(method, path, headers=lines, content=content)
    await in_process.call(ours, in_process.scope_of(base, PEER, method, path, lines, content), content)
    return ours, theirs


@matrix("base", _BASES)
async def test_the_request_is_the_same_as_a_clients(base: str) -> None:
    for method, path, lines, content in _REQUESTS:
        ours, theirs = await _both(base, method, path, lines, content)
        assert (ours.scope, ours.body) == (theirs.scope, theirs.body), (method, path, lines)
    for path in _PATHS:
        ours, theirs = await _both(base, "GET", path, [], None)
        assert ours.scope == theirs.scope, path


@matrix("method", ["GET", "HEAD"])
@matrix(("headers", "parts"), [
    ([], [b""]),
    ([(b"content-type", b"text/html; charset=utf-8")], ["é".encode(), b"\xff"]),
    ([(b"content-type", b"text/plain; charset=iso-8859-1")], ["é".encode("latin-1")]),
    ([(b"content-encoding", b"gzip"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")], [gzip.compress(b"text")]),
])  # fmt: skip
async def test_the_response_is_read_like_a_client_does(
    method: str, headers: list[tuple[bytes, bytes]], parts: list[bytes]
) -> None:
    application = _Noting(headers, *parts)
    scope = in_process.scope_of(_BASES[0], PEER, method, "/", [], None)
    ours = await in_process.call(application, scope)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(application), base_url=_BASES[0]) as client:
        theirs = await client.request(method, "/")
    assert (ours.status, ours.body, ours.text) == (theirs.status_code, theirs.content, theirs.text)
    assert ours.headers.raw == theirs.headers.raw
