"""Arguments that many fields share: pages, cursors, texts. What is null counts as left out: clients send nulls for
variables that they did not set."""

from __future__ import annotations

import re
from typing import Any

from manifest_auth.errors import ValidationError

FIRST = 50
MOST = 100
SEARCH_LIMIT = 200
_MAX_ID = 2**31 - 1


def snake_case(name: str) -> str:
    """The name of a member of a row for the wire's name: ``assetId`` is ``asset_id``."""
    return re.sub("([A-Z])", r"_\1", name).lower()


def size(first: int | None, usual: int = FIRST) -> int:
    """``first``. Raises ValidationError."""
    wanted = usual if first is None else first
    if not 1 <= wanted <= MOST:
        raise ValidationError(details=[("first", f"Must be 1 to {MOST}")])
    return wanted


def start(after: int | None) -> int:
    """``after`` of a list that is numbered. Raises ValidationError."""
    if after is not None and after < 0:
        raise ValidationError(details=[("after", "Must not be negative")])
    return after or 0


def search(given: dict[str, Any]) -> str:
    """The text that a filter looks for, empty: none. Raises ValidationError."""
    text: str = given.get("search", "")
    if len(text) > SEARCH_LIMIT or "\0" in text:
        raise ValidationError(details=[("search", f"At most {SEARCH_LIMIT} characters, without NUL")])
    return text


def number(value: int, field: str) -> int:
    """An id or number of an argument. What cannot exist is refused by whoever looks for it."""
    if not 0 < value <= _MAX_ID:
        raise ValidationError(details=[(field, "Must be positive")])
    return value
