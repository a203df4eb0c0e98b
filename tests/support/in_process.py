"""Calls an application in this process over ASGI, with the requests that an HTTP client would send.

An HTTP client would build its requests, responses, and cookies each time, which takes as long as the application
itself.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import unquote

import httpx2

Asgi = Callable[[dict[str, Any], Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]
_BODIED = ("POST", "PUT", "PATCH", "QUERY")
#: A path and query that a client sends unchanged, since no segment consists of dots.
_PLAIN = re.compile(
    r"((?:/(?:[\w~-]|%[0-9A-F]{2})(?:[\w.~-]|%[0-9A-F]{2})*)+/?|/)(?:\?((?:[\w.~=&-]|%[0-9A-F]{2})*))?", re.ASCII
)


class Answered(NamedTuple):
    """``text`` is the decoded body, in the character set that the response names."""

    status: int
    headers: httpx2.Headers
    body: bytes
    text: str


class _Where(NamedTuple):
    scheme: str
    host: str
    port: int | None
    netloc: bytes


@cache
def _where(base: str) -> _Where:
    url = httpx2.URL(base)
    return _Where(url.scheme, url.host, url.port, url.netloc)


@cache
def _usual() -> tuple[tuple[bytes, bytes], ...]:
    """The headers that an HTTP client sends with each request."""
    return tuple((name.lower(), value) for name, value in httpx2.AsyncClient().headers.raw)


def scope_of(
    base: str, peer: tuple[str, int], method: str, path: str, lines: Sequence[tuple[Any, Any]], content: bytes | None
) -> dict[str, Any]:
    """Build the request as a server would pass it on. ``base`` is the application's address; ``path`` is a path with
    its query, or a whole address; ``lines`` are extra headers; ``content`` is the body."""
    if plain := _PLAIN.fullmatch(path):
        where, raw_path, query = _where(base), plain[1].encode(), (plain[2] or "").encode()
        decoded = unquote(plain[1])
    else:
        url = httpx2.URL(path)
        if url.is_relative_url:
            root = httpx2.URL(base if base.endswith("/") else f"{base}/")
            url = root.copy_with(raw_path=root.raw_path + url.raw_path.lstrip(b"/"))
        where = _Where(url.scheme, url.host, url.port, url.netloc)
        raw_path, query, decoded = url.raw_path.split(b"?")[0], url.query, url.path
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "headers": _headers(where.netloc, method, lines, content),
        "scheme": where.scheme,
        "path": decoded,
        "raw_path": raw_path,
        "query_string": query,
        "server": (where.host, where.port),
        "client": peer,
        "root_path": "",
    }


def _headers(
    host: bytes, method: str, lines: Sequence[tuple[Any, Any]], content: bytes | None
) -> list[tuple[bytes, bytes]]:
    own = [
        (_encoded(name).lower(), value if isinstance(value, bytes) else value.encode("ascii")) for name, value in lines
    ]
    named = {name for name, _ in own}
    headers = [] if b"host" in named else [(b"host", host)]
    has_length = bool({b"content-length", b"transfer-encoding"} & named)
    if not content and not has_length and method in _BODIED:
        headers.append((b"content-length", b"0"))
    headers += [(name, value) for name, value in _usual() if name not in named]
    headers += own
    if content and not has_length:
        headers.append((b"content-length", str(len(content)).encode()))
    return headers


def _encoded(name: str | bytes) -> bytes:
    return name if isinstance(name, bytes) else name.encode("ascii")


async def call(
    application: Asgi, scope: dict[str, Any], content: bytes | None = None,
    meanwhile: Callable[[], Awaitable[Any]] | None = None,
) -> Answered:  # fmt: skip
    """Return the application's complete response. Exceptions of the application propagate. ``meanwhile`` runs after the
    application has read the head, and before it receives the body."""
    asked, whole = False, asyncio.Event()
    status, lines, parts = 0, [], []

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if asked:
            await whole.wait()
            return {"type": "http.disconnect"}
        asked = True
        if meanwhile is not None:
            await meanwhile()
        return {"type": "http.request", "body": content or b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        nonlocal status, lines
        if message["type"] == "http.response.start":
            assert not status
            status, lines = message["status"], message.get("headers", [])
        else:
            assert not whole.is_set()
            parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                whole.set()

    await application(scope, receive, send)
    assert status
    assert whole.is_set()
    headers = httpx2.Headers(lines)
    body = b"" if scope["method"] == "HEAD" else b"".join(parts)
    if "content-encoding" in headers or not _is_utf_8(headers.get("content-type", "")):
        read = httpx2.Response(status, headers=headers, content=body)
        return Answered(status, headers, read.content, read.text)
    return Answered(status, headers, body, body.decode("utf-8", "replace"))


def _is_utf_8(media_type: str) -> bool:
    return "charset" not in media_type or media_type.endswith("charset=utf-8")
