"""Arguments that many fields share: pages, cursors, texts. What is null counts as left out: clients send nulls for
variables that they did not set."""

from __future__ import annotations

import base64
import binascii
from typing import Any, NamedTuple

import orjson

from manifest_auth.errors import ValidationError
from manifest_auth.store import After
from manifest_auth.text import check_line, check_prose

FIRST = 50
MOST = 100
SEARCH_LIMIT = 200
_MAX_ID = 2**31 - 1


class Page(NamedTuple):
    """What is asked for of a list. ``of``: its name; ``sort``: that of the order, without ``_DESC``."""

    of: str
    first: int
    sort: str
    descending: bool
    after: After | None


def page(of: str, first: int | None, after: str | None, sort: str | None) -> Page:
    """Raises ValidationError: a page that is too large, a cursor that is none or belongs to another list or order."""
    order = sort or "ID"
    return Page(of, size(first), order.removesuffix("_DESC"), order.endswith("_DESC"), _cursor(after, of, order))


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


def cursor(page: Page, value: Any, key: int) -> str:
    """Where the next page begins: opaque to callers."""
    order = f"{page.sort}_DESC" if page.descending else page.sort
    return base64.urlsafe_b64encode(orjson.dumps([page.of, order, value, key])).decode().rstrip("=")


def _cursor(text: str | None, of: str, order: str) -> After | None:
    if text is None or text == "":
        return None
    wrong = ValidationError(details=[("after", "Not a cursor of this list and order")])
    if len(text) > 4096:
        raise wrong
    if text.isascii() and text.isdecimal() and len(text) < 19 and order in ("ID", "ID_DESC"):
        return After(int(text), int(text))  # the plain list tells no cursor: there the last item's id serves
    try:
        found = orjson.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error):
        raise wrong from None
    if not isinstance(found, list) or len(found) != 4 or found[:2] != [of, order]:
        raise wrong
    _, _, value, key = found
    if type(value) not in (str, int) or type(key) is not int or not 0 <= key < 2**63:
        raise wrong
    is_text = isinstance(value, str)
    if is_text != (order.removesuffix("_DESC") in TEXT_SORTS):
        raise wrong
    if "\0" in value if is_text else not -(2**63) <= value < 2**63:
        raise wrong
    return After(value, key)


#: Orders whose sort value is a text; all others sort by a number.
TEXT_SORTS = frozenset({"EMAIL", "LAST_NAME", "NAME"})


def search(text: str) -> str:
    """A text to look for. Raises ValidationError."""
    if len(text) > SEARCH_LIMIT or "\0" in text:
        raise ValidationError(details=[("search", f"At most {SEARCH_LIMIT} characters, without NUL")])
    return text


def name(text: str | None, field: str, most: int, *, empty: bool = False) -> str:
    """See :func:`manifest_auth.text.check_line`."""
    return check_line(text or "", field, most, empty=empty)


def prose(text: str | None, field: str, most: int) -> str:
    """See :func:`manifest_auth.text.check_prose`."""
    return check_prose(text or "", field, most)


def number(value: int, field: str) -> int:
    """An id or number of an argument. What cannot exist is refused by whoever looks for it."""
    if not 0 < value <= _MAX_ID:
        raise ValidationError(details=[(field, "Must be positive")])
    return value
