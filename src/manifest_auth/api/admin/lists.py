"""Pages of lists as wire models, from a :class:`Listing` or from a short list that is read completely."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from manifest_auth.http import Items, Page, Paging
from manifest_auth.store import Filters, Listing, SystemUnit, TenantUnit
from manifest_auth.store.listing import read_cursor, write_cursor

R = TypeVar("R")
M = TypeVar("M")


def query(
    sorts: Iterable[str], sort: str, *, q: bool = True, about: str = "", **only: tuple[str, ...] | Any
) -> type[msgspec.Struct]:
    """Creates the query parameters of a list. ``sorts`` are those of its listing, ``sort`` is the default order, ``q``
    is whether the list is searchable, ``about`` describes the order, and ``only`` contains other parameters with their
    allowed values or types."""
    orders = tuple(order for name in sorts for order in (name, f"{name}_DESC"))
    members: list[tuple[str, Any, str]] = [("sort", _one_of(orders, about or "Order."), sort)]
    for name, values in only.items():
        members.append(
            (name, _one_of(("", *values), "Only items with this value.") if isinstance(values, tuple) else values, "")
        )
    return msgspec.defstruct("ListQuery", members, bases=(Page if q else Paging,), frozen=True)


def _one_of(values: tuple[str, ...], description: str) -> Any:
    return Annotated[Literal[values], Meta(description=description)]


def read(
    unit: TenantUnit | SystemUnit, listing: Listing[R], asked: Any, filters: Filters
) -> tuple[list[R], str | None]:
    """See :meth:`Listing.read`. ``asked`` contains query parameters as :func:`query` creates them: ``after`` is the
    cursor of the previous page, or empty; ``sort`` is a name of the listing's sorts, with ``_DESC`` for the reverse
    order."""
    return listing.read(unit, asked.first, asked.after, asked.sort, filters)


def page(
    of: Callable[[R], M], unit: TenantUnit | SystemUnit, listing: Listing[R], asked: Any, filters: Filters
) -> Items[M]:
    """Like :func:`read`. ``of`` converts a row to its wire model."""
    rows, next_cursor = read(unit, listing, asked, filters)
    return Items(tuple(map(of, rows)), next_cursor)


def listed(unit: TenantUnit | SystemUnit, listing: Listing[M], asked: Any, filters: Filters) -> Items[M]:
    """Like :func:`read`, for a listing whose rows are wire models."""
    rows, next_cursor = read(unit, listing, asked, filters)
    return Items(tuple(rows), next_cursor)


def part(rows: Sequence[M], asked: Paging, name: str, time: str) -> Items[M]:
    """Returns a page of a short list that is read completely. ``name`` is the list's name. ``time`` is the member that
    its models are sorted by, followed by ``id``; null comes first. Raises ValidationError for a cursor of another list.
    """

    def place(row: Any) -> tuple[str, str]:
        return getattr(row, time) or "", row.id

    after = tuple(read_cursor(asked.after, name, "", str, str)) if asked.after else None
    rest = sorted((row for row in rows if after is None or place(row) > after), key=place)
    found, goes_on = rest[: asked.first], len(rest) > asked.first
    return Items(tuple(found), write_cursor(name, "", *place(found[-1])) if goes_on else None)
