"""What a provider answered, or that it did not, and the strict reading of its JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, NamedTuple, NoReturn

MAX_DEPTH = 32


class Unreachable(Exception):
    """The provider could not be asked, or did not answer as a server does.

    The text is for the log: names of hosts and reasons, never a code, a token or a query.
    """


class NotPublic(Unreachable):
    """The name of ``host`` is unknown, or it leads to no address that may be called."""

    def __init__(self, text: str, host: str = "") -> None:
        super().__init__(text)
        self.host = host


class Reply(NamedTuple):
    """An answer. ``headers``: names in lower case, equal ones joined by commas."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> dict[str, Any] | list[Any]:
        """The body, read by :func:`parse`. Raises ValueError."""
        return parse(self.body.removeprefix(b"\xef\xbb\xbf"))  # RFC 8259, section 8.1, lets us overlook a mark


def parse(raw: bytes) -> dict[str, Any] | list[Any]:
    """An object or a list. Raises ValueError for anything that two readers could read differently.

    Refused: a member given twice, NaN and infinities, lone surrogates, bytes that are not UTF-8, more than 32 levels.
    """
    try:
        found = _PARSER.decode(raw.decode("utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(found, dict | list):
        raise ValueError("neither an object nor a list")
    _measure(found)
    if b"\\u" in raw:
        json.dumps(found, ensure_ascii=False).encode("utf-8")  # UnicodeEncodeError is a ValueError
    return found


def _measure(found: Any) -> None:
    level = [found]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise ValueError("nested too deeply")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member given twice")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number out of range")
    return number


def _no_constant(text: str) -> NoReturn:
    raise ValueError(text)


#: Python's own parser, since it is the one that lets us see a member given twice.
_PARSER = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_constant, parse_float=_finite)
