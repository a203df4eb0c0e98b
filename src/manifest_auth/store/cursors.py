"""Cursors of lists, opaque to callers: one format for all lists of REST and GraphQL.

A cursor contains the sort value and the id of the last row of its page, so it works even if that row was changed or
deleted. It names its list and order, and is refused for any other.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from manifest_auth.errors import ValidationError
from manifest_auth.text import base64url

_VERSION = 1
_LONGEST = 4096
_MOST = 2**63


class After(NamedTuple):
    """The start of a page: after the row with this sort value and id."""

    value: Any
    id: Any


def write(of: str, order: str, *place: Any) -> str:
    """A cursor. ``of``: the list; ``order``: the name of its order; ``place``: the values of the last row."""
    return base64url.encode(orjson.dumps([_VERSION, of, order, *place]))


def read(text: str, of: str, order: str, *kinds: type) -> list[Any]:
    """The values of a cursor. ``kinds``: ``int`` or ``str`` for each of them. Raises ValidationError for a cursor of
    another list or order."""
    try:
        found = orjson.loads(base64url.decode(text)) if len(text) <= _LONGEST else None
    except ValueError:
        found = None
    place = found[3:] if isinstance(found, list) and found[:3] == [_VERSION, of, order] else []
    if len(place) != len(kinds) or not all(map(_is, place, kinds)):
        raise ValidationError(details=[("after", "Not a cursor of this list and order")])
    return place


def _is(value: object, kind: type) -> bool:
    """Whether the stores accept the value: no NUL in a text, no number beyond 64 bits."""
    if type(value) is not kind:
        return False
    return "\0" not in value if isinstance(value, str) else -_MOST <= value < _MOST  # type: ignore[operator]  # an int here
