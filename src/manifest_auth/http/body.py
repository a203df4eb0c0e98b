"""Reads request bodies within a limit, and parses them: strict JSON or a form.

Anything else is a ``VALIDATION_ERROR``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

from manifest_auth.errors import PayloadTooLarge, UnsupportedMediaType, ValidationError
from manifest_auth.http.head import Head
from manifest_auth.text import strict_json

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]


def check_media_type(head: Head) -> None:
    """Accepts only ``application/json`` in UTF-8, not compressed. Raises UnsupportedMediaType."""
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


def parse_form(body: bytes, most: int = 50) -> dict[str, str]:
    """The fields of an ``application/x-www-form-urlencoded`` body, with a maximum number. Raises ValidationError as
    :func:`parse` does."""
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=most)
    except ValueError:
        raise ValidationError("The body is not a valid form") from None
    try:
        fields = strict_json.unique_members(list(pairs))
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
    declared, size = head.content_length or "0", 0
    if not declared.isdecimal():
        raise ValidationError("Content-Length is not a number")
    if len(declared) > 12 or int(declared) > limit:
        raise PayloadTooLarge()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ValidationError("The body ended early")
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise PayloadTooLarge()
        if part:
            yield part
        if not message.get("more_body"):
            return


async def read_whole(head: Head, receive: Receive, limit: int) -> bytes:
    """The whole body. Raises as :func:`parts`."""
    return b"".join([part async for part in parts(head, receive, limit)])
