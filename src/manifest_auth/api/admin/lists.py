"""Lists of the admin plane: a page of a :class:`Listing`, which begins where its cursor says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

from manifest_auth.errors import ValidationError
from manifest_auth.store import After, Listing, SystemUnit, TenantUnit
from manifest_auth.text.canonical import like

R = TypeVar("R")


class Asked(NamedTuple):
    """What is asked for of a list. ``after``: the cursor of the page before, or nothing; ``sort``: a name of the
    listing's sorts, with ``_DESC`` for the other way round."""

    first: int
    after: str
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
    next_cursor: str | None


def read(
    unit: TenantUnit | SystemUnit,
    listing: Listing[R],
    asked: Asked,
    filters: Filters,
    *,
    value_of: Callable[[R, str], Any],
) -> Rows[R]:
    """A page. ``value_of``: what a row is sorted by, where that is not its id. Raises ValidationError for a cursor of
    another list or order."""
    try:
        after = listing.after(asked.after, asked.sort)
    except ValueError:
        raise ValidationError(details=[("after", "Not a cursor of this list and order")]) from None
    sort = asked.sort.removesuffix("_DESC")
    rows = listing.page(
        unit,
        first=asked.first + 1,
        sort=sort,
        descending=asked.sort.endswith("_DESC"),
        after=after,
        filters=filters.names,
        **filters.values,
    )
    if len(rows) <= asked.first:
        return Rows(rows, None)
    last: Any = rows[asked.first - 1]
    value = last.id if sort == "ID" else value_of(last, sort)
    return Rows(rows[: asked.first], listing.cursor(asked.sort, After(value, last.id)))
