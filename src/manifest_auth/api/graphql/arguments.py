"""Arguments that many fields share: page sizes, cursors, search texts.

Null counts as left out, since clients send null for variables that they did not set.
"""

from __future__ import annotations

import re
from typing import Any

from manifest_auth.errors import ValidationError

FIRST = 50
MOST = 100
SEARCH_LIMIT = 200
_MAX_ID = 2**31 - 1


def snake_case(name: str) -> str:
    """The row's name of a wire member: ``assetId`` becomes ``asset_id``."""
    return re.sub("([A-Z])", r"_\1", name).lower()


def members(given: dict[str, Any]) -> dict[str, Any]:
    """An input as keyword arguments of an operation, by the rows' names; null counts as left out."""
    return {snake_case(name): value for name, value in given.items() if value is not None}


def size(first: int | None, usual: int = FIRST) -> int:
    """The page size: ``first`` of a list, or ``usual``. Raises ValidationError unless it is 1 to ``MOST``."""
    wanted = usual if first is None else first
    if not 1 <= wanted <= MOST:
        raise ValidationError(details=[("first", f"Must be 1 to {MOST}")])
    return wanted


def start(after: int | None) -> int:
    """The checked ``after`` of a numbered list. Raises ValidationError."""
    if after is not None and after < 0:
        raise ValidationError(details=[("after", "Must not be negative")])
    return after or 0


def search(given: dict[str, Any]) -> str:
    """The search text of a filter; empty: none. Raises ValidationError."""
    text: str = given.get("search", "")
    if len(text) > SEARCH_LIMIT or "\0" in text:
        raise ValidationError(details=[("search", f"At most {SEARCH_LIMIT} characters, without NUL")])
    return text


def number(value: int, field: str) -> int:
    """A checked id or number. Raises ValidationError."""
    if not 0 < value <= _MAX_ID:
        raise ValidationError(details=[(field, "Must be positive")])
    return value
