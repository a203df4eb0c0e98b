"""Reads request bodies within a limit, and parses them: strict JSON or a form.

Anything else is a ``VALIDATION_ERROR``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

from manifest_auth.errors import Overloaded, PayloadTooLarge, UnsupportedMediaType, ValidationError
from manifest_auth.http.head import Head
from manifest_auth.text import strict_json

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

RECEIVE_TIMEOUT_S = 30.0  # for a whole request, plus its body's size divided by
MOST_ARRIVING = 64 * 1024 * 1024  # bytes, of all bodies that are not complete
LEAST_RATE = 16 * 1024  # bytes a second: enough for a photo over a weak mobile connection


def check_media_type(head: Head) -> None:
    """Accepts only ``application/json`` in UTF-8, not compressed. Raises UnsupportedMediaType."""
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
        raise UnsupportedMediaType("Content-Encoding is not supported")


def parse(body: bytes, what: str = "The body") -> Any:
    """The JSON value of a body, parsed by :mod:`..text.strict_json`. ``what``: its name in refusals. Raises
    ValidationError."""
    try:
        return strict_json.read(body, what)
    except strict_json.Malformed as error:
        raise _refused(error) from None


FORM = "application/x-www-form-urlencoded"


def check_form_type(head: Head) -> None:
    """Accepts only ``application/x-www-form-urlencoded``, not compressed. Raises UnsupportedMediaType."""
    if (head.content_type or "").partition(";")[0].strip().lower() != FORM:
        raise UnsupportedMediaType(f"Content-Type must be {FORM}")
    if head.content_encoding not in (None, "", "identity"):
        raise UnsupportedMediaType("Content-Encoding is not supported")


def parse_form(body: bytes, most: int = 50, *, repeated: str = "") -> dict[str, str]:
    """The fields of an ``application/x-www-form-urlencoded`` body, with a maximum number. ``repeated``: a field that
    may be there several times; its different values stand together, separated by blanks. Raises ValidationError as
    :func:`parse` does."""
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=most)
    except ValueError:
        raise ValidationError("The body is not a valid form") from None
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
        return ValidationError(details=[(error.member or "body", "The member was given more than once")])
    return ValidationError(str(error))


async def parts(head: Head, receive: Receive, limit: int) -> AsyncIterator[bytes]:
    """The parts of the body, at most ``limit`` bytes in total. Raises PayloadTooLarge, and ValidationError when the
    body ends early."""
    _check_length(head, limit)
    more = True
    while more:
        part, more = await _next(receive, limit)
        limit -= len(part)
        if part:
            yield part


async def read_whole(head: Head, receive: Receive, limit: int) -> bytes:
    """The whole body. Raises as :func:`parts`, and Overloaded where those that arrive take too much memory; without the
    price of a generator: most bodies have one part."""
    _check_length(head, limit)
    body, more = await _next(receive, limit)
    return await _arriving.rest(body, receive, limit) if more else body


async def skip(head: Head, receive: Receive, limit: int) -> None:
    """Takes a body that no one wants, and keeps nothing of it. Raises as :func:`parts`."""
    async for _ in parts(head, receive, limit):
        pass


class _Arriving:
    """The bodies of which a part has come, of all callers: together they may take ``MOST_ARRIVING`` bytes."""

    size = 0

    async def rest(self, first: bytes, receive: Receive, limit: int) -> bytes:
        """The whole body, of which this is the first part. Raises as :func:`read_whole`."""
        found, more, before = [first], True, 0
        try:
            while more:
                before += len(found[-1])
                self.size += len(found[-1])
                if self.size > MOST_ARRIVING:
                    raise Overloaded(retry_after=1, reason="request bodies: too many arrive at once")
                part, more = await _next(receive, limit - before)
                found.append(part)
            return b"".join(found)
        finally:
            self.size -= before


_arriving = _Arriving()


def _check_length(head: Head, limit: int) -> None:
    """Raises for a ``Content-Length`` that is no number, or is more than ``limit`` bytes."""
    declared = head.content_length or "0"
    if not declared.isdecimal():
        raise ValidationError("Content-Length is not a number")
    if len(declared) > 12 or int(declared) > limit:
        raise PayloadTooLarge()


async def _next(receive: Receive, most: int) -> tuple[bytes, bool]:
    """The next part, of at most ``most`` bytes, and whether more follow."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ValidationError("The body ended early")
    part = message.get("body", b"")
    if len(part) > most:
        raise PayloadTooLarge()
    return part, message.get("more_body", False)
