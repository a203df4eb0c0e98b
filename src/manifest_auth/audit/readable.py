"""What a row of the trail may hold that no event holds, by somebody's hand: shown as empty, marked, never in the way.

Both stores hold times that no calendar has and details that are no JSON; SQLite holds values of any kind besides.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from manifest_auth.audit.chain import Link
from manifest_auth.text.canonical import EARLIEST, LATEST

_WIRE = {"request_id": "requestId", "previous_hash": "previousHash"}
_EMPTY: dict[str, Any] = {"sequence": 0, "at": 0, "detail": "{}"}


class Legible(NamedTuple):
    """``link``: all of it can be written anywhere, and ``detail`` is the JSON of an object. ``unreadable``: names of
    the members, as on the wire, that hold something else in the store."""

    link: Link
    unreadable: tuple[str, ...]


def legible(link: Link) -> Legible:
    """The event as it can be shown."""
    bad = [name for name, value in link._asdict().items() if not _can_be(name, value)]
    shown = link._replace(**{name: _EMPTY.get(name, "") for name in bad}) if bad else link
    return Legible(shown, tuple(sorted(_WIRE.get(name, name) for name in bad)))


def _can_be(name: str, value: object) -> bool:
    if name == "sequence":
        return isinstance(value, int)
    if name == "at":
        return isinstance(value, int) and EARLIEST <= value <= LATEST
    if not isinstance(value, str):
        return False
    try:
        value.encode()
        return name != "detail" or isinstance(orjson.loads(value), dict)
    except ValueError:  # no UTF-8, no JSON
        return False
