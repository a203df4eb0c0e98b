"""Converts parsed JSON and query parameters to wire models; a refusal names the member."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from manifest_auth.errors import ValidationError

B = TypeVar("B")


def convert(value: Any, model: type[B]) -> B:
    """The wire model of a parsed body, with strict types. Raises ValidationError that names the member."""
    if not isinstance(value, dict):
        raise ValidationError("The body must be a JSON object")
    try:
        return msgspec.convert(value, model, strict=True)
    except msgspec.ValidationError as error:
        raise _named(error) from None


def from_texts(values: dict[str, str], model: type[B]) -> B:
    """The wire model of query parameters, converted from text. Raises ValidationError that names the parameter."""
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
