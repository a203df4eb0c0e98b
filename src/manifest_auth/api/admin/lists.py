"""Lists for administrators: a page of a :class:`Listing` as a wire model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from manifest_auth.http import Items
from manifest_auth.store import Filters, Listing, SystemUnit, TenantUnit

R = TypeVar("R")
M = TypeVar("M", bound=Items[Any])


class ListQuery(Protocol):
    """Query parameters of a list. ``after``: the previous page's cursor, or empty; ``sort``: a name of the listing's
    sorts, with ``_DESC`` for the reverse order."""

    @property
    def first(self) -> int: ...
    @property
    def after(self) -> str: ...
    @property
    def sort(self) -> Any: ...


def read(
    unit: TenantUnit | SystemUnit, listing: Listing[R], asked: ListQuery, filters: Filters
) -> tuple[list[R], str | None]:
    """See :meth:`Listing.read`."""
    return listing.read(unit, asked.first, asked.after, asked.sort, filters)


def page(
    model: type[M],
    of: Callable[[R], Any],
    unit: TenantUnit | SystemUnit,
    listing: Listing[R],
    asked: ListQuery,
    filters: Filters,
) -> M:
    """As :func:`read`, as the wire model; ``of``: makes the wire model of a row."""
    rows, next_cursor = read(unit, listing, asked, filters)
    return model(items=tuple(map(of, rows)), next_cursor=next_cursor)
