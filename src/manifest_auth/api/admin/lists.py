"""Lists of the admin plane: a page of a :class:`Listing`, which begins where its cursor says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from manifest_auth.http import Items
from manifest_auth.store import Listing, SystemUnit, TenantUnit
from manifest_auth.text.canonical import like

R = TypeVar("R")
I = TypeVar("I", bound=Items[Any])  # noqa: E741


class Asked(Protocol):
    """Query parameters of a list. ``after``: the cursor of the page before, or nothing; ``sort``: a name of the
    listing's sorts, with ``_DESC`` for the other way round."""

    @property
    def first(self) -> int: ...
    @property
    def after(self) -> str: ...
    @property
    def sort(self) -> Any: ...


class Filters:
    """Names of conditions of a :class:`Listing`, and the values of their parameters."""

    def __init__(self, *names: str | None, **values: Any) -> None:
        self.names = frozenset(name for name in names if name)
        self.values = values

    def search(self, q: str) -> Filters:
        """Narrowed to what ``q`` is found in."""
        return Filters(*self.names, "search", **self.values, like=like(q)) if q else self


def read(
    unit: TenantUnit | SystemUnit, listing: Listing[R], asked: Asked, filters: Filters
) -> tuple[list[R], str | None]:
    """The rows of a page, and the cursor of the next. Raises ValidationError for a cursor of another list or order."""
    after = listing.after(asked.after, asked.sort)
    rows = listing.page(
        unit,
        first=asked.first + 1,
        sort=asked.sort.removesuffix("_DESC"),
        descending=asked.sort.endswith("_DESC"),
        after=after,
        filters=filters.names,
        **filters.values,
    )
    shown = rows[: asked.first]
    return shown, listing.cursor(asked.sort, shown[-1]) if len(rows) > asked.first else None


def page(
    model: type[I],
    of: Callable[[R], Any],
    unit: TenantUnit | SystemUnit,
    listing: Listing[R],
    asked: Asked,
    filters: Filters,
) -> I:
    """As :func:`read`, in the form of the wire; ``of``: that of a row."""
    rows, next_cursor = read(unit, listing, asked, filters)
    return model(items=tuple(of(row) for row in rows), next_cursor=next_cursor)
