"""Request bodies: strict JSON or a form, then the route's wire model. What does not fit is a ``VALIDATION_ERROR``."""

from __future__ import annotations

from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec

from manifest_auth.errors import UnsupportedMediaType, ValidationError
from manifest_auth.http.head import Head
from manifest_auth.text import strict_json

B = TypeVar("B")


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
    """The JSON value of a body, or of what else is named, read by :mod:`..text.strict_json`. Raises ValidationError."""
    try:
        return strict_json.read(body, what)
    except strict_json.Malformed as error:
        raise _refused(error) from None


def parse_form(body: bytes) -> dict[str, str]:
    """The fields of an ``application/x-www-form-urlencoded`` body. Raises ValidationError as :func:`parse` does."""
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=50)
    except ValueError:
        raise ValidationError("The body is not a valid form") from None
    try:
        fields = strict_json.once(list(pairs))
        strict_json.check(fields, "The body")
    except strict_json.Malformed as error:
        raise _refused(error) from None
    return fields


def _refused(error: strict_json.Malformed) -> ValidationError:
    if isinstance(error, strict_json.GivenTwice):
        return ValidationError(details=[(error.member or "body", "The member was given more than once")])
    return ValidationError(str(error))


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
