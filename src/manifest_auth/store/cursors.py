"""Cursors of lists: where the next page begins, opaque to callers. One form for all lists, REST's and GraphQL's.

A cursor holds the sort value and the id of the last row of its page, so it goes on from there though the row was
changed meanwhile or is gone. It names its list and order, and fits no other.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from manifest_auth.text import base64url

_VERSION = 1
_LONGEST = 4096
_MOST = 2**63


class After(NamedTuple):
    """Where a page begins: behind the row with this sort value and id."""

    value: Any
    id: Any


def write(of: str, order: str, after: After) -> str:
    """``of``: the list; ``order``: the name of its order."""
    return base64url.encode(orjson.dumps([_VERSION, of, order, after.value, after.id]))


def read(text: str, of: str, order: str, *, value: type, key: type) -> After:
    """``value`` and ``key``: of which kind they are, ``int`` or ``str``. Raises ValueError for what is no cursor of
    this list and order."""
    if len(text) > _LONGEST:
        raise ValueError("too long")
    found = orjson.loads(base64url.decode(text))
    if not isinstance(found, list) or len(found) != 5 or found[:3] != [_VERSION, of, order]:
        raise ValueError("not of this list and order")
    if not _is(found[3], value) or not _is(found[4], key):
        raise ValueError("not of this kind")
    return After(found[3], found[4])


def _is(value: object, kind: type) -> bool:
    """Whether a store takes it: no NUL in a text, no number beyond 64 bits."""
    if type(value) is not kind:
        return False
    return "\0" not in value if isinstance(value, str) else -_MOST <= value < _MOST  # type: ignore[operator]
