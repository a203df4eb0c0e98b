"""What a row of the trail may hold that nobody ever recorded, by somebody's hand: shown, marked, and never in the way.

SQLite holds values of any kind in any column, texts that are no UTF-8 too; both stores hold times that no calendar has.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from manifest_auth.audit.chain import Link
from manifest_auth.text.canonical import EARLIEST, LATEST

_TEXTS = ("event", "actor", "subject", "address", "request_id", "previous_hash", "hash")
_WIRE = {"request_id": "requestId", "previous_hash": "previousHash"}


class Legible(NamedTuple):
    """``link``: all of it can be written anywhere, and ``detail`` is the JSON of an object. ``unreadable``: names of
    the members, as on the wire, that hold something else in the store."""

    link: Link
    unreadable: tuple[str, ...]


def legible(link: Link) -> Legible:
    """The event as it can be shown."""
    shown: dict[str, Any] = {}
    for name in _TEXTS:
        text, is_one = text_of(getattr(link, name))
        if not is_one:
            shown[name] = text
    if not isinstance(link.sequence, int):
        shown["sequence"] = 0
    at = min(max(link.at, EARLIEST), LATEST) if isinstance(link.at, int) else 0
    if at != link.at or not isinstance(link.at, int):
        shown["at"] = at
    detail, is_one = _detail(link.detail)
    if not is_one:
        shown["detail"] = detail
    return Legible(link._replace(**shown), tuple(sorted(_WIRE.get(name, name) for name in shown)))


def text_of(value: object) -> tuple[str, bool]:
    """As a text that can be written anywhere, and whether it was one."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace"), False
    if not isinstance(value, str):
        return str(value), False
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace"), False
    return value, True


def _detail(value: object) -> tuple[str, bool]:
    text, is_text = text_of(value)
    try:
        if is_text and isinstance(orjson.loads(text), dict):
            return text, True
    except ValueError:
        pass
    return orjson.dumps({"text": text}).decode(), False
