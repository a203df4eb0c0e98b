"""Pages of lists as wire models: of a :class:`Listing`, or of a short list that is read whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, Literal, Protocol, TypeVar

import msgspec
from msgspec import Meta

from manifest_auth.http import Items, Page, Paging
from manifest_auth.store import Filters, Listing, SystemUnit, TenantUnit
from manifest_auth.store.listing import read_cursor, write_cursor

R = TypeVar("R")
M = TypeVar("M")


class ListQuery(Protocol):
    """Query parameters of a list. ``after``: the previous page's cursor, or empty; ``sort``: a name of the listing's
    sorts, with ``_DESC`` for the reverse order."""

    @property
    def first(self) -> int: ...
    @property
    def after(self) -> str: ...
    @property
    def sort(self) -> Any: ...


def query(
    sorts: Iterable[str], sort: str, *, q: bool = True, about: str = "", **only: tuple[str, ...] | Any
) -> type[msgspec.Struct]:
    """The query parameters of a list. ``sorts``: of its listing; ``sort``: the order unless another is asked for;
    ``q``: it can be searched; ``about``: describes the order; ``only``: other parameters, as the values that they may
    have or as types."""
    orders = tuple(order for name in sorts for order in (name, f"{name}_DESC"))
    members: list[tuple[str, Any, str]] = [("sort", _one_of(orders, about or "Order."), sort)]
    for name, values in only.items():
        members.append((name, _one_of(("", *values), "Only those.") if isinstance(values, tuple) else values, ""))
    return msgspec.defstruct("ListQuery", members, bases=(Page if q else Paging,), frozen=True)


def _one_of(values: tuple[str, ...], description: str) -> Any:
    return Annotated[Literal[values], Meta(description=description)]


def read(
    unit: TenantUnit | SystemUnit, listing: Listing[R], asked: ListQuery, filters: Filters
) -> tuple[list[R], str | None]:
    """See :meth:`Listing.read`."""
    return listing.read(unit, asked.first, asked.after, asked.sort, filters)


def page(
    of: Callable[[R], M],
    unit: TenantUnit | SystemUnit,
    listing: Listing[R],
    asked: ListQuery,
    filters: Filters,
) -> Items[M]:
    """As :func:`read`; ``of``: makes the wire model of a row."""
    rows, next_cursor = read(unit, listing, asked, filters)
    return Items(tuple(map(of, rows)), next_cursor)


def part(
    rows: Sequence[R], of: Callable[[R], M], asked: Paging, name: str, place: Callable[[R], tuple[int, str]]
) -> Items[M]:
    """A page of a short list that is read whole. ``of``: makes the wire model of a row;
    ``name``: of the list; ``place``: by which its rows are ordered, a number and then a text. Raises ValidationError
    for a cursor of another list."""
    after = tuple(read_cursor(asked.after, name, "", int, str)) if asked.after else None
    rest = sorted((row for row in rows if after is None or place(row) > after), key=place)
    found, goes_on = rest[: asked.first], len(rest) > asked.first
    return Items(tuple(map(of, found)), write_cursor(name, "", *place(found[-1])) if goes_on else None)
