"""Resolvers of lists and their page types.

The total of a page is counted only where it is selected.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

from manifest_auth.api.graphql import arguments
from manifest_auth.services import RequestContext
from manifest_auth.store import Filters, Listing

R = TypeVar("R")


class Paged(NamedTuple):
    """The source of a page type. ``read_total`` counts all items."""

    items: list[Any]
    next_cursor: str | None
    read_total: Callable[[], Any]


class ListOf(Generic[R]):
    """The resolvers of one listing, or of that which the filters choose."""

    def __init__(
        self,
        listing: Listing[R] | Callable[[Filters], Listing[R]],
        filters: Callable[[dict[str, Any]], Filters],
    ) -> None:
        self._listing, self._filters = listing, filters

    async def items(self, _source: Any, info: Any, **given: Any) -> list[R]:
        """Resolver of the plain list."""
        rows, _ = await self._read(info.context, given, self._narrowed(given))
        return rows

    async def page(self, _source: Any, info: Any, **given: Any) -> Paged:
        """Resolver of the page type."""
        ctx: RequestContext = info.context
        filters = self._narrowed(given)
        rows, next_cursor = await self._read(ctx, given, filters)

        async def read_total() -> int:
            return await ctx.store.read(lambda unit: self._chosen(filters).total(unit, filters))

        return Paged(rows, next_cursor, read_total)

    def _narrowed(self, given: dict[str, Any]) -> Filters:
        return self._filters({name: value for name, value in (given.get("filter") or {}).items() if value is not None})

    async def _read(self, ctx: RequestContext, given: dict[str, Any], filters: Filters) -> tuple[list[R], str | None]:
        first, after, order = arguments.size(given.get("first")), given.get("after") or "", given.get("sort") or "ID"
        return await ctx.store.read(lambda unit: self._chosen(filters).read(unit, first, after, order, filters))

    def _chosen(self, filters: Filters) -> Listing[R]:
        return self._listing if isinstance(self._listing, Listing) else self._listing(filters)


async def total(paged: Paged, _info: Any) -> int | None:
    """Resolver of ``total`` of every page type; None where there are too many to count."""
    found: int | None = await paged.read_total()
    return found
