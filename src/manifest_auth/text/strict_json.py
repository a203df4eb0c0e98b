"""Strict parser for JSON from outside, so that two parsers cannot interpret a text differently.

It follows RFC 8259 with the limits of I-JSON (RFC 7493).

It uses Python's parser, since only that reports duplicate members. Rejected: anything but one JSON text in UTF-8,
duplicate members, NUL or a lone surrogate in a text, NaN and infinities, integers beyond 64 bits, nesting over 32
levels. A number with a point or an exponent is an integer if it is whole (JSON Schema 2020-12, section 6.1.1), up to
2^53: larger ones might have lost digits (RFC 7493, section 2.2).
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

MAX_DEPTH = 32
_MAX_INTEGER = 2**63 - 1
_MAX_EXACT = 2**53


class Malformed(ValueError):
    """The text is rejected; the message says why."""


class DuplicateMember(Malformed):
    """A member occurs twice. ``member`` is its name; empty if it is not printable."""

    def __init__(self, member: str) -> None:
        super().__init__(f"The member {member} appears twice")
        self.member = member


def read(raw: bytes, what: str = "The text", *, may_hold_nul: bool = False, as_written: bool = False) -> Any:
    """Returns the parsed value. ``what``: the name of the text in a refusal; ``may_hold_nul``: NUL is allowed, for
    texts that are cleaned before they are stored; ``as_written``: a number with a point or an exponent is no integer,
    for data that this server wrote itself. Raises Malformed."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed(f"{what} isn't UTF-8") from None
    try:
        value = (_AS_WRITTEN if as_written else _DECODER).decode(text)
    except Malformed:
        raise
    except ValueError:
        raise Malformed(f"{what} isn't valid JSON") from None
    except RecursionError:
        raise Malformed(f"{what} is nested too deeply") from None
    # Most texts are flat and plain; only others need a check of every member.
    if "\\u" in text or raw.count(b"{") + raw.count(b"[") > MAX_DEPTH:
        check(value, what, may_hold_nul=may_hold_nul)
    return value


def unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Returns the members as a dictionary. Raises :class:`DuplicateMember`."""
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise DuplicateMember(name if name.isprintable() and len(name) < 64 else "")
            seen.add(name)
    return found


def check(value: Any, what: str, depth: int = 1, *, may_hold_nul: bool = False) -> None:
    """Raises Malformed for texts that the databases reject, and for values that are nested too deeply."""
    if depth > MAX_DEPTH:
        raise Malformed(f"{what} is nested too deeply")
    if isinstance(value, str):
        _check_text(value, may_hold_nul)
    elif isinstance(value, dict):
        for name, member in value.items():
            _check_text(name, may_hold_nul)
            check(member, what, depth + 1, may_hold_nul=may_hold_nul)
    elif isinstance(value, list):
        for member in value:
            check(member, what, depth + 1, may_hold_nul=may_hold_nul)


def _check_text(text: str, may_hold_nul: bool) -> None:
    if not may_hold_nul and "\0" in text:
        raise Malformed("Text can't contain a NUL character")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise Malformed("Text can't contain a lone surrogate") from None


def _no_constant(text: str) -> NoReturn:
    raise ValueError(text)


def _integer(text: str) -> int:
    if len(text) > 20 or abs(value := int(text)) > _MAX_INTEGER:
        raise Malformed("A number is out of range")
    return value


def _float(text: str) -> float | int:
    value = float(text)
    if not math.isfinite(value):
        raise Malformed("A number is out of range")
    return int(value) if value.is_integer() and abs(value) <= _MAX_EXACT else value


_DECODER = json.JSONDecoder(
    object_pairs_hook=unique_members, parse_constant=_no_constant, parse_int=_integer, parse_float=_float
)
_AS_WRITTEN = json.JSONDecoder(object_pairs_hook=unique_members, parse_constant=_no_constant, parse_int=_integer)
