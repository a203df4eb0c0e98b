"""The JSON envelope of every REST response, and the headers that all responses have."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from manifest_auth.context import RECENT_MS
from manifest_auth.errors import (
    InvalidToken,
    MethodNotAllowed,
    MfaRequired,
    ReauthenticationRequired,
    Refusal,
    TokenExpired,
)
from manifest_auth.http.request import Head, weights

Header = tuple[bytes, bytes]

JSON: Header = (b"content-type", b"application/json; charset=utf-8")
HTML: Header = (b"content-type", b"text/html; charset=utf-8")
NO_STORE: Header = (b"cache-control", b"no-store")
SECURITY: tuple[Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
)
_USUAL = (JSON, NO_STORE)
D = TypeVar("D")
HSTS: Header = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")
_NOTHING = b'{"success":true,"data":{}}'


def _plain(value: object) -> str:
    """Converts a marked text to a plain ``str`` for programs, because msgspec accepts no subclass of ``str``. Raises
    TypeError for anything else."""
    if isinstance(value, str):
        return str(value)
    raise TypeError(f"{type(value).__name__} isn't a JSON type")


_encode = msgspec.json.Encoder(enc_hook=_plain).encode


def lines(headers: Iterable[Header]) -> bytes:
    """Headers in wire format (RFC 9112, section 5)."""
    return b"".join([b"%s: %s\r\n" % header for header in headers])


class Answer(Generic[D]):
    """Status, headers, and body of a response. ``D`` is the type of the data in its envelope. The pipeline adds the
    length, request ID, and security headers."""

    __slots__ = ("body", "headers", "parts", "policy", "security", "size", "status")

    def __init__(
        self,
        status: int,
        body: bytes,
        headers: Sequence[Header] = (JSON, NO_STORE),
        policy: str | None = None,
        security: tuple[Header, ...] | None = None,
    ) -> None:
        self.parts: AsyncIterator[bytes] | None = None
        self.size: int | None = len(body)
        self.status = status
        self.body = body
        self.headers = headers
        self.policy = policy  # a content security policy that replaces the default
        self.security = security  # security headers that replace all defaults, for pages


def ok(
    data: D, *, status: int = 200, headers: Sequence[Header] = (), top_level: msgspec.Struct | None = None
) -> Answer[D]:
    """Returns a success response: ``{"success": true, "data": …}``.

    ``top_level`` contains members next to ``data`` (refresh has two).
    """
    end = b"}" if top_level is None else b"," + _encode(top_level)[1:]
    body = b'{"success":true,"data":' + _encode(data) + end
    return Answer(status, body, (JSON, NO_STORE, *headers) if headers else _USUAL)


def redirect(location: str, *, status: int = 302, headers: Sequence[Header] = ()) -> Answer[None]:
    """Redirects the browser. ``location`` must be ASCII, and the caller must check it."""
    return Answer(status, _NOTHING, (*_USUAL, (b"location", location.encode("ascii")), *headers))


def page(body: bytes, policy: str, *, headers: Sequence[Header] = ()) -> Answer[None]:
    """Returns an HTML page. ``policy`` is its content security policy."""
    return Answer(200, body, (HTML, NO_STORE, *headers), policy)


def stream(parts: AsyncIterator[bytes], size: int | None, headers: Sequence[Header], policy: str) -> Answer[None]:
    """Returns a body of ``size`` bytes that is sent in parts, so that a large one needs no memory. If ``size`` is None,
    it isn't known in advance, and the body is sent in chunks."""
    answer: Answer[None] = Answer(200, b"", headers, policy)
    answer.parts, answer.size = parts, size
    return answer


def refuse(refusal: Refusal, request_id: str) -> Answer[None]:
    """Returns an error response: ``{"success": false, "error": …}``, with the headers of its status."""
    error: dict[str, Any] = {"message": refusal.message, "code": refusal.code, "requestId": request_id}
    if refusal.details:
        error["details"] = [{"field": field, "message": message} for field, message in refusal.details]
    if isinstance(refusal, MfaRequired):
        error["challenge"] = refusal.challenge
        error["expiresIn"] = refusal.expires_in
        if refusal.methods:
            error["methods"] = refusal.methods
    return Answer(
        refusal.status, _encode({"success": False, "error": error}), (JSON, NO_STORE, *refusal_headers(refusal))
    )


def refusal_headers(refusal: Refusal) -> tuple[Header, ...]:
    """``WWW-Authenticate`` (RFC 6750, section 3), ``Allow``, and ``Retry-After`` (RFC 9110), for the errors that need
    them."""
    headers: list[Header] = []
    if refusal.status == 401:
        has_token = isinstance(refusal, InvalidToken | TokenExpired)
        headers.append((b"www-authenticate", b'Bearer error="invalid_token"' if has_token else b"Bearer"))
    if isinstance(refusal, ReauthenticationRequired):  # RFC 9470, section 3
        challenge = f'Bearer error="insufficient_user_authentication", max_age="{RECENT_MS // 1000}"'
        headers.append((b"www-authenticate", challenge.encode()))
    if isinstance(refusal, MethodNotAllowed):
        headers.append((b"allow", refusal.allow.encode()))
    if refusal.status == 413:
        headers.append((b"connection", b"close"))  # the rest of the body isn't read
    if refusal.retry_after is not None:
        headers.append((b"retry-after", str(max(1, refusal.retry_after)).encode()))
    return tuple(headers)


VARY_ENCODING: Header = (b"vary", b"Accept-Encoding")


class Document(NamedTuple):
    """A document that is the same for all callers. It is kept in plain and compressed form."""

    body: bytes
    compressed: bytes

    @classmethod
    def of(cls, body: bytes) -> Document:
        import gzip  # imported with the first document, because most processes never serve one

        return cls(body, gzip.compress(body, 9, mtime=0))

    def answer(self, head: Head, headers: Sequence[Header], policy: str | None = None) -> Answer[None]:
        """Returns the document, compressed if the caller accepts that. ``policy`` has the same meaning as in
        :class:`.answers.Answer`."""
        if weights(head.line(b"accept-encoding")).get("gzip", 0.0) > 0:
            return Answer(200, self.compressed, (*headers, VARY_ENCODING, (b"content-encoding", b"gzip")), policy)
        return Answer(200, self.body, (*headers, VARY_ENCODING), policy)
