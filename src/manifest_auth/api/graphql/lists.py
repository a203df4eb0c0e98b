"""Lists and their page twins: one reading for both. The twin's total is counted only where it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from manifest_auth.api.graphql import arguments
from manifest_auth.api.graphql.arguments import Page
from manifest_auth.services import RequestContext
from manifest_auth.store import After, Listing

R = TypeVar("R")


class Filters(NamedTuple):
    """Names of conditions of a :class:`Listing`, and the values of their parameters."""

    names: frozenset[str] = frozenset()
    values: Mapping[str, Any] = {}


class Paged(NamedTuple):
    """The source of a page type. ``read_total`` counts."""

    items: list[Any]
    next_cursor: str | None
    read_total: Callable[[], Any]


class ListOf(Generic[R]):
    """A kind of list as resolvers use it. ``sort_values``: by name of the order, what a row is sorted by."""

    def __init__(
        self,
        listing: Listing[R],
        sort_values: Mapping[str, Callable[[R], Any]],
        filters: Callable[[dict[str, Any]], Filters],
    ) -> None:
        self._listing, self._sort_values, self._filters = listing, sort_values, filters

    async def items(self, _source: Any, info: Any, **given: Any) -> list[R]:
        """Resolver of the plain list."""
        ctx: RequestContext = info.context
        page, filters = self._asked(given)
        return await self._rows(ctx, page, filters, page.first)

    async def page(self, _source: Any, info: Any, **given: Any) -> Paged:
        """Resolver of the page twin."""
        ctx: RequestContext = info.context
        page, filters = self._asked(given)
        rows = await self._rows(ctx, page, filters, page.first + 1)
        more = len(rows) > page.first
        rows = rows[: page.first]
        last = rows[-1] if more else None
        next_cursor = None
        if last is not None:
            key: Any = last
            next_cursor = self._listing.cursor(page.order, After(self._sort_values[page.sort](last), key.id))

        async def read_total() -> int:
            return await ctx.store.read(lambda unit: self._listing.total(unit, filters.names, **filters.values))

        return Paged(rows, next_cursor, read_total)

    def _asked(self, given: dict[str, Any]) -> tuple[Page, Filters]:
        page = arguments.page(self._listing, given.get("first"), given.get("after"), given.get("sort"))
        wanted = {name: value for name, value in (given.get("filter") or {}).items() if value is not None}
        return page, self._filters(wanted)

    async def _rows(self, ctx: RequestContext, page: Page, filters: Filters, first: int) -> list[R]:
        return await ctx.store.read(
            lambda unit: self._listing.page(
                unit,
                first=first,
                sort=page.sort,
                descending=page.descending,
                after=page.after,
                filters=filters.names,
                **filters.values,
            )
        )


async def total(paged: Paged, _info: Any) -> int | None:
    """Resolver of ``total`` of every page type; None where it is too much to count."""
    found: int | None = await paged.read_total()
    return found
