"""Lists of the admin plane: a page of a :class:`Listing`, which begins behind the row that ``after`` names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Generic, NamedTuple, TypeVar

import msgspec
from msgspec import Meta

from manifest_auth.errors import ValidationError
from manifest_auth.store import After, Listing, SystemUnit, TenantUnit
from manifest_auth.text import like

R = TypeVar("R")


class TextPage(msgspec.Struct, frozen=True, forbid_unknown_fields=False):
    """As :class:`manifest_auth.web.Page`, for rows whose ids are texts."""

    first: Annotated[int, Meta(ge=1, le=100, description="Items in a page.")] = 50
    after: Annotated[str, Meta(max_length=100, description="`nextCursor` of the page before.")] = ""


class Asked(NamedTuple):
    """What is asked for of a list. ``after``: the id of the last row of the page before, or nothing; ``sort``: a name
    of the listing's sorts, with ``_DESC`` for the other way round."""

    first: int
    after: int | str
    sort: str


class Filters:
    """Names of conditions of a :class:`Listing`, and the values of their parameters."""

    def __init__(self, *names: str | None, **values: Any) -> None:
        self.names = frozenset(name for name in names if name)
        self.values = values

    def search(self, q: str) -> Filters:
        """Narrowed to what ``q`` is found in."""
        return Filters(*self.names, "search", **self.values, like=like(q)) if q else self


class Rows(NamedTuple, Generic[R]):
    items: list[R]
    next_cursor: Any


def read(
    unit: TenantUnit | SystemUnit,
    listing: Listing[R],
    asked: Asked,
    filters: Filters,
    *,
    find: Callable[[Any], R | None],
    value_of: Callable[[R, str], Any],
) -> Rows[R]:
    """A page. ``find``: a row by its id; ``value_of``: what a row is sorted by. Raises ValidationError for a row that
    does not exist (any more)."""
    sort = asked.sort.removesuffix("_DESC")
    after: After | None = None
    if asked.after:
        if sort == "ID":
            after = After(asked.after, asked.after)
        else:
            last = find(asked.after)
            if last is None:
                raise ValidationError(details=[("after", "Not a cursor of this list")])
            after = After(value_of(last, sort), asked.after)
    rows = listing.page(
        unit,
        first=asked.first + 1,
        sort=sort,
        descending=asked.sort.endswith("_DESC"),
        after=after,
        filters=filters.names,
        **filters.values,
    )
    more = len(rows) > asked.first
    items = rows[: asked.first]
    last_id: Any = items[-1] if more else None
    return Rows(items, last_id.id if more else None)
