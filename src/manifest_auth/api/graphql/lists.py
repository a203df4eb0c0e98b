"""Resolvers of lists and their page types.

The total of a page is counted only where it is selected.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

from manifest_auth.api.graphql import arguments
from manifest_auth.services import RequestContext
from manifest_auth.store import Filters, Listing
from manifest_auth.text.models import ErrorCollector

R = TypeVar("R")


class Paged(NamedTuple):
    """The source of a page type. ``read_total`` counts all items."""

    items: list[Any]
    next_cursor: str | None
    read_total: Callable[[], Any]


class _Asked(NamedTuple):
    """A page of a list."""

    first: int
    after: str
    order: str


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
        rows, _ = await self._read(info.context, *self._asked(given))
        return rows

    async def page(self, _source: Any, info: Any, **given: Any) -> Paged:
        """Resolver of the page type."""
        ctx: RequestContext = info.context
        asked, filters = self._asked(given)
        rows, next_cursor = await self._read(ctx, asked, filters)

        async def read_total() -> int:
            return await ctx.store.read(lambda unit: self._chosen(filters).total(unit, filters))

        return Paged(rows, next_cursor, read_total)

    def _narrowed(self, given: dict[str, Any]) -> Filters:
        return self._filters({name: value for name, value in (given.get("filter") or {}).items() if value is not None})

    def _asked(self, given: dict[str, Any]) -> tuple[_Asked, Filters]:
        """Raises ValidationError that names all arguments that are wrong."""
        first, filters = 0, Filters()
        with ErrorCollector() as each:
            with each:
                first = arguments.size(given.get("first"))
            with each:
                filters = self._narrowed(given)
        return _Asked(first, given.get("after") or "", given.get("sort") or "ID"), filters

    async def _read(self, ctx: RequestContext, asked: _Asked, filters: Filters) -> tuple[list[R], str | None]:
        return await ctx.store.read(lambda unit: self._chosen(filters).read(unit, *asked, filters))

    def _chosen(self, filters: Filters) -> Listing[R]:
        return self._listing if isinstance(self._listing, Listing) else self._listing(filters)


async def total(paged: Paged, _info: Any) -> int | None:
    """Resolver of ``total`` of every page type; None where there are too many to count."""
    found: int | None = await paged.read_total()
    return found
