"""Reads the head and the body of a request: headers once, bodies within a limit, strict JSON or a form."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from manifest_auth.errors import Overloaded, PayloadTooLarge, UnsupportedMediaType, ValidationError
from manifest_auth.runtime.clock import Random
from manifest_auth.runtime.settings import UNKNOWN, Network, is_listed, plain_address
from manifest_auth.text import strict_json

_SLOTS = {
    b"authorization": "authorization",
    b"content-encoding": "content_encoding",
    b"content-length": "content_length",
    b"content-type": "content_type",
    b"host": "host",
    b"origin": "origin",
    b"accept": "accept",
    b"sec-fetch-site": "fetch_site",
    b"traceparent": "traceparent",
    b"user-agent": "user_agent",
    b"x-client-id": "client_id",
    b"x-forwarded-for": "forwarded_for",
    b"x-request-id": "request_id",
}
#: Headers that make a request ambiguous if they occur twice. Such requests are rejected.
_SINGLE = frozenset({"authorization", "client_id", "content_type", "host", "content_length", "origin", "fetch_site"})
#: RFC 3986, section 3.2.2, with a port.
_HOST = re.compile(
    r"(\[([0-9A-Fa-f:.]+|[vV][0-9A-Fa-f]+\.[\w.~!$&'()*+,;=:-]+)\]|([\w.~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)(:[0-9]*)?\Z",
    re.ASCII,
)
_SANE_ID = re.compile(r"[A-Za-z0-9._\-]{8,64}\Z")
_FIELD = {"authorization": "Authorization", "client_id": "X-Client-ID", "content_type": "Content-Type", "host": "Host"}


class Head:
    """Header values as text (latin-1, RFC 9110); None if absent."""

    __slots__ = (*_SLOTS.values(), "cookies", "lines", "twice")

    authorization: str | None
    content_encoding: str | None
    content_length: str | None
    content_type: str | None
    host: str | None
    origin: str | None
    accept: str | None
    fetch_site: str | None
    user_agent: str | None
    client_id: str | None
    forwarded_for: str | None
    request_id: str | None
    traceparent: str | None

    def __init__(self, lines: Iterable[tuple[bytes, bytes]]) -> None:
        self.authorization = self.content_encoding = self.content_length = self.content_type = self.host = None
        self.origin = self.accept = self.fetch_site = self.user_agent = self.client_id = None
        self.forwarded_for = self.request_id = self.traceparent = None
        self.cookies: str | None = None
        self.twice: str | None = None
        self.lines = lines
        for name, value in lines:
            slot = _SLOTS.get(name)
            if slot is not None:
                before = getattr(self, slot)
                if before is None:
                    setattr(self, slot, value.decode("latin-1"))
                elif slot in _SINGLE:
                    self.twice = _FIELD.get(slot, slot)
                else:
                    setattr(self, slot, f"{before}, {value.decode('latin-1')}")
            elif name == b"cookie":
                text = value.decode("latin-1")
                self.cookies = text if self.cookies is None else f"{self.cookies}; {text}"

    def check(self) -> None:
        """Raises ValidationError if a header that must be unique was sent twice."""
        if self.twice is not None:
            raise ValidationError(details=[(self.twice, "The header was sent more than once")])

    def line(self, wanted: bytes) -> str:
        """Returns the value of a rarely used header, by its lowercase name. Several headers are joined into one list
        (RFC 9110, section 5.3); empty if there is none."""
        return ", ".join(value.decode("latin-1") for name, value in self.lines if name == wanted)

    def cookie(self, wanted: str) -> str | None:
        """Returns a cookie's value; None if absent. Two different values with the same name yield an empty text,
        because an attacker might have set one of them."""
        if self.cookies is None:
            return None
        if ";" not in self.cookies:  # a single cookie, as programs send it
            name, _, value = self.cookies.partition("=")
            return value.strip() if name.strip() == wanted else None
        found: str | None = None
        for pair in self.cookies.split(";"):
            name, _, value = pair.strip().partition("=")
            if name == wanted:
                if found is not None and found != value:
                    return ""
                found = value
        return found


@lru_cache(maxsize=256)
def is_host(text: str) -> bool:
    """Whether the text is a valid ``Host`` value (RFC 9110, section 7.2), which can be empty."""
    return _HOST.match(text) is not None


def request_id(incoming: str | None, random: Random) -> str:
    """Returns the request ID: the caller's if it is well-formed, otherwise a random one."""
    if incoming is not None and _SANE_ID.match(incoming):
        return incoming
    return random.text(12)


def client_address(peer: str, head: Head, proxies: tuple[Network, ...]) -> str:
    """Returns the caller's normalized address: the peer's, unless the peer is a trusted proxy. Then it is the last
    address in ``X-Forwarded-For`` that isn't a trusted proxy.

    An unreadable address becomes ``unknown by`` and the address of the proxy that sent it. Such callers are in no
    network, and share one rate limit. The result is never a proxy's own address, which might be an allowed one.
    """
    found = plain_address(peer)
    if found is None:
        return UNKNOWN
    if head.forwarded_for is None or not is_listed(found, proxies):
        return found
    for part in reversed(head.forwarded_for.split(",")):
        before = plain_address(part)
        if before is None:
            return f"{UNKNOWN} by {found}"
        found = before
        if not is_listed(found, proxies):
            break
    return found


_JSON, _HTML = "application/json", "text/html"


def weights(header: str) -> dict[str, float]:
    """The choices in an ``Accept`` or ``Accept-Language`` header, in lowercase and without parameters, each with its
    highest weight. An invalid weight counts as 0."""
    found: dict[str, float] = {}
    for item in header.lower().split(","):
        choice, *parameters = (part.strip() for part in item.split(";"))
        if choice:
            found[choice] = max(found.get(choice, 0.0), _weight(parameters))
    return found


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return min(max(float(value), 0.0), 1.0) if value.strip() != "nan" else 0.0
            except ValueError:
                return 0.0
    return 1.0


def prefers_html(header: str | None) -> bool:
    """Whether ``text/html`` ranks above JSON, as in browsers' requests. ``header`` is ``Accept``."""
    if not header:
        return False
    found = weights(header)
    return _of(found, _HTML) > _of(found, _JSON)


def _of(found: dict[str, float], kind: str) -> float:
    """Returns the weight of the most specific matching range."""
    group = kind.partition("/")[0]
    return next((found[name] for name in (kind, f"{group}/*", "*/*") if name in found), 0.0)


Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

RECEIVE_TIMEOUT_S = 30.0  # for a whole request, plus the time for its body at the speed below
MOST_ARRIVING = 64 * 1024 * 1024  # bytes, for all incomplete bodies together
LEAST_RATE = 16 * 1024  # bytes per second; enough for a photo over a slow mobile connection


def check_media_type(head: Head) -> None:
    """Accepts only uncompressed ``application/json`` in UTF-8. Raises UnsupportedMediaType."""
    if head.content_type == "application/json" and head.content_encoding is None:  # nearly all requests
        return
    kind, _, parameters = (head.content_type or "").partition(";")
    if kind.strip().lower() != "application/json":
        raise UnsupportedMediaType()
    for parameter in parameters.split(";"):
        name, _, value = parameter.strip().partition("=")
        if name.strip().lower() == "charset" and value.strip().strip('"').lower() not in ("utf-8", "utf8"):
            raise UnsupportedMediaType()
    if head.content_encoding not in (None, "", "identity"):
        raise UnsupportedMediaType("Content-Encoding isn't supported")


def parse(body: bytes, what: str = "The body") -> Any:
    """Returns the JSON value of a body, parsed by :mod:`..text.strict_json`. ``what`` is its name in errors. Raises
    ValidationError."""
    try:
        return strict_json.read(body, what)
    except strict_json.Malformed as error:
        raise _refused(error) from None


FORM = "application/x-www-form-urlencoded"


def check_form_type(head: Head) -> None:
    """Accepts only uncompressed ``application/x-www-form-urlencoded``. Raises UnsupportedMediaType."""
    if (head.content_type or "").partition(";")[0].strip().lower() != FORM:
        raise UnsupportedMediaType(f"Content-Type must be {FORM}")
    if head.content_encoding not in (None, "", "identity"):
        raise UnsupportedMediaType("Content-Encoding isn't supported")


def parse_form(body: bytes, most: int = 50, *, repeated: str = "") -> dict[str, str]:
    """Returns the fields of an ``application/x-www-form-urlencoded`` body, up to a maximum number. ``repeated`` is a
    field that can occur several times; its different values are joined with spaces. Raises ValidationError like
    :func:`parse`."""
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=most)
    except ValueError:
        raise ValidationError("The body isn't a valid form") from None
    several = " ".join(dict.fromkeys(value for name, value in pairs if name == repeated))
    pairs = [(name, value) for name, value in pairs if name != repeated]
    try:
        fields = strict_json.unique_members([*pairs, *([(repeated, several)] if several else [])])
        strict_json.check(fields, "The body")
    except strict_json.Malformed as error:
        raise _refused(error) from None
    return fields


def _refused(error: strict_json.Malformed) -> ValidationError:
    if isinstance(error, strict_json.DuplicateMember):
        return ValidationError(details=[(error.member or "body", "The member was sent more than once")])
    return ValidationError(str(error))


async def parts(head: Head, receive: Receive, limit: int) -> AsyncIterator[bytes]:
    """Yields the parts of the body, at most ``limit`` bytes in total. Raises PayloadTooLarge, or ValidationError if the
    body ends early."""
    _check_length(head, limit)
    more = True
    while more:
        part, more = await _next(receive, limit)
        limit -= len(part)
        if part:
            yield part


async def read_whole(head: Head, receive: Receive, limit: int) -> bytes:
    """Returns the whole body. Avoids the cost of a generator, because most bodies have one part. Raises the same errors
    as :func:`parts`, and Overloaded if incomplete bodies take too much memory."""
    _check_length(head, limit)
    body, more = await _next(receive, limit)
    return await _arriving.rest(body, receive, limit) if more else body


async def skip(head: Head, receive: Receive, limit: int) -> None:
    """Reads and discards an unwanted body. Raises the same errors as :func:`parts`."""
    async for _ in parts(head, receive, limit):
        pass


class _Arriving:
    """The partly received bodies of all callers. Together, they can take ``MOST_ARRIVING`` bytes."""

    size = 0

    async def rest(self, first: bytes, receive: Receive, limit: int) -> bytes:
        """Returns the whole body, which starts with this part. Raises the same errors as :func:`read_whole`."""
        found, more, before = [first], True, 0
        try:
            while more:
                before += len(found[-1])
                self.size += len(found[-1])
                if self.size > MOST_ARRIVING:
                    raise Overloaded(retry_after=1, reason="too many request bodies are arriving at the same time")
                part, more = await _next(receive, limit - before)
                found.append(part)
            return b"".join(found)
        finally:
            self.size -= before


_arriving = _Arriving()


def _check_length(head: Head, limit: int) -> None:
    """Raises an error if ``Content-Length`` isn't a number or exceeds ``limit`` bytes."""
    declared = head.content_length or "0"
    if not declared.isdecimal():
        raise ValidationError("Content-Length isn't a number")
    if len(declared) > 12 or int(declared) > limit:
        raise PayloadTooLarge()


async def _next(receive: Receive, most: int) -> tuple[bytes, bool]:
    """Returns the next part, of at most ``most`` bytes, and whether more follow."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ValidationError("The body ended early")
    part = message.get("body", b"")
    if len(part) > most:
        raise PayloadTooLarge()
    return part, message.get("more_body", False)
