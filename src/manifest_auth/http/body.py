"""The one parser of request bodies: strict JSON (RFC 8259, I-JSON's RFC 7493 limits), then the route's wire model.

Python's own parser is used since it is the one that lets us see a member given twice. Refused as ``VALIDATION_ERROR``:
anything but one JSON text in UTF-8, a member given twice, NUL or a lone surrogate in a text, NaN and infinities,
integers beyond 64 bits, nesting over 32 levels.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn, TypeVar
from urllib.parse import parse_qsl

import msgspec

from manifest_auth.errors import UnsupportedMediaType, ValidationError
from manifest_auth.http.head import Head

B = TypeVar("B")

MAX_DEPTH = 32
_MAX_INTEGER = 2**63 - 1


class _Twice(ValueError):
    pass


class _OutOfRange(ValueError):
    pass


def check_media_type(head: Head) -> None:
    """Only ``application/json`` in UTF-8, not compressed. Raises UnsupportedMediaType."""
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
    """The JSON value of a body, or of what else is named. Raises ValidationError."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise ValidationError(f"{what} is not UTF-8") from None
    try:
        value = _DECODER.decode(text)
    except _Twice as error:
        raise ValidationError(details=[(str(error), "The member was given more than once")]) from None
    except _OutOfRange:
        raise ValidationError("A number is out of range") from None
    except ValueError:
        raise ValidationError(f"{what} is not valid JSON") from None
    except RecursionError:
        raise ValidationError(f"{what} is nested too deeply") from None
    # Most bodies are flat and plain: the walk is only for those that might hide something.
    if "\\u" in text or body.count(b"{") + body.count(b"[") > MAX_DEPTH:
        _walk(value, 1)
    return value


def parse_form(body: bytes) -> dict[str, str]:
    """The fields of an ``application/x-www-form-urlencoded`` body. Raises ValidationError as :func:`parse` does."""
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=50)
    except ValueError:
        raise ValidationError("The body is not a valid form") from None
    try:
        fields = _members(list(pairs))
    except _Twice as error:
        raise ValidationError(details=[(str(error), "The member was given more than once")]) from None
    _walk(fields, 1)
    return fields


def convert(value: Any, model: type[B]) -> B:
    """The wire model of a parsed body, types strict. Raises ValidationError that names the member."""
    if not isinstance(value, dict):
        raise ValidationError("The body must be a JSON object")
    try:
        return msgspec.convert(value, model, strict=True)
    except msgspec.ValidationError as error:
        raise _named(error) from None


def from_texts(values: dict[str, str], model: type[B]) -> B:
    """The wire model of query parameters, read from text. Raises ValidationError that names the parameter."""
    try:
        return msgspec.convert(values, model, strict=False)
    except msgspec.ValidationError as error:
        raise _named(error) from None


def _named(error: msgspec.ValidationError) -> ValidationError:
    message, _, path = str(error).partition(" - at `")
    field = path.rstrip("`").removeprefix("$").removeprefix(".")
    if not field and (missing := _missing(message)):
        field, message = missing, "Required"
    return ValidationError(details=[(field or "body", message.replace("`", ""))])


def _missing(message: str) -> str:
    start = "Object missing required field `"
    return message.removeprefix(start).rstrip("`") if message.startswith(start) else ""


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise _Twice(name if name.isprintable() and len(name) < 64 else "body")
            seen.add(name)
    return found


def _no_constant(text: str) -> NoReturn:
    raise ValueError(text)


def _integer(text: str) -> int:
    if len(text) > 20 or abs(value := int(text)) > _MAX_INTEGER:
        raise _OutOfRange
    return value


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise _OutOfRange
    return value


def _walk(value: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ValidationError("The body is nested too deeply")
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, dict):
        for name, member in value.items():
            _check_text(name)
            _walk(member, depth + 1)
    elif isinstance(value, list):
        for member in value:
            _walk(member, depth + 1)


def _check_text(text: str) -> None:
    if "\0" in text:
        raise ValidationError("A text holds a NUL character")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValidationError("A text holds a lone surrogate") from None


_DECODER = json.JSONDecoder(
    object_pairs_hook=_members, parse_constant=_no_constant, parse_int=_integer, parse_float=_float
)
