"""Plain words for what is wrong with a member of a body or a parameter, in place of the decoder's."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum
from typing import Any, Final, Literal, get_args, get_origin

REQUIRED: Final = "Required"
NO_SUCH_MEMBER: Final = "There is no such member"
_KINDS = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_TYPE = re.compile(r"Expected `([^`]+)`, got `([^`]+)`\Z")
_LENGTH = re.compile(r"Expected `(str|array|object)` of length (>=|<=) (\d+)\Z")
_BOUND = re.compile(r"Expected `(?:int|float)` (>=|<=) (-?[\d.]+)\Z")
_PATTERN = re.compile(r"Expected `str` matching regex '?(.*?)'?\Z", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `")
_ENUM = "Invalid enum value"


def sentence(message: str, types: Iterable[Any], *, strict: bool) -> str:
    """The sentence for a message of msgspec. ``types``: those that the value may have; ``strict``: the value is JSON,
    whose types the caller chose, and not text."""
    if found := _TYPE.match(message):
        wanted = " or ".join(_KINDS.get(one, one) for one in found[1].split(" | "))
        return f"Must be {wanted}, not {_KINDS.get(found[2], found[2])}" if strict else f"Must be {wanted}"
    if found := _LENGTH.match(message):
        kind, bound, number = found.groups()
        what = "character" if kind == "str" else "item"
        return f"Must have {_AT[bound]} {number} {what}{'' if number == '1' else 's'}"
    if found := _BOUND.match(message):
        return f"Must be {found[2]} or {'more' if found[1] == '>=' else 'less'}"
    if found := _PATTERN.match(message):
        return f"Must match {found[1]}"
    if _MISSING.match(message):
        return REQUIRED
    if message.startswith(_ENUM) and (values := [str(one) for of in types for one in _choices(of) if one != ""]):
        return one_of(values)
    return message.replace("`", "")


_AT = {">=": "at least", "<=": "at most"}


def one_of(values: Iterable[str]) -> str:
    """The sentence for a value that is none of these."""
    return f"Must be one of: {', '.join(values)}"


def _choices(of: Any) -> tuple[Any, ...]:
    if isinstance(of, type) and issubclass(of, Enum):
        return tuple(one.value for one in of)
    return get_args(of) if get_origin(of) is Literal else ()


def meant(name: str, members: Iterable[str]) -> str:
    """The sentence for an unknown member that is nearly a known one; empty where none is near."""
    from difflib import get_close_matches

    near = get_close_matches(name, members, 1, 0.75)
    return f"{NO_SUCH_MEMBER}; {near[0]} may be meant" if near else ""
