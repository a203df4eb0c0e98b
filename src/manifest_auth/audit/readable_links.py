"""Makes rows of the audit trail readable that were altered by hand: invalid members are shown as empty, and named.

Both stores accept times outside the calendar and details that are not JSON; SQLite accepts values of any type.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from manifest_auth.audit.chain_walk import Link
from manifest_auth.text.canonical import EARLIEST, LATEST

_WIRE = {"request_id": "requestId", "previous_hash": "previousHash"}
_EMPTY: dict[str, Any] = {"sequence": 0, "at": 0, "detail": "{}"}


class ReadableLink(NamedTuple):
    """``link``: all members are valid, and ``detail`` is a JSON object. ``unreadable``: wire names of members whose
    stored value is invalid."""

    link: Link
    unreadable: tuple[str, ...]


def readable(link: Link) -> ReadableLink:
    """The event with valid members."""
    bad = [name for name, value in link._asdict().items() if not _can_be(name, value)]
    shown = link._replace(**{name: _EMPTY.get(name, "") for name in bad}) if bad else link
    return ReadableLink(shown, tuple(sorted(_WIRE.get(name, name) for name in bad)))


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
    except ValueError:  # not UTF-8, not JSON
        return False
