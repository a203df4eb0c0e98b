"""Lists in GraphQL: their arguments, resolvers and page types."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

from manifest_auth.errors import ValidationError
from manifest_auth.services import RequestContext
from manifest_auth.store import Filters, Listing, TenantUnit
from manifest_auth.text.models import ErrorCollector

FIRST = 50
MOST = 100
SEARCH_LIMIT = 200
_MAX_ID = 2**31 - 1


def snake_case(name: str) -> str:
    """The row's name for a member in requests: ``assetId`` becomes ``asset_id``."""
    return re.sub("([A-Z])", r"_\1", name).lower()


def members(given: dict[str, Any]) -> dict[str, Any]:
    """Converts an input to keyword arguments of an operation, with the rows' names. Null counts as omitted."""
    return {snake_case(name): value for name, value in given.items() if value is not None}


def size(first: int | None, usual: int = FIRST) -> int:
    """Returns the page size: ``first`` of a list, or ``usual``. Raises ValidationError unless it is 1 to ``MOST``."""
    wanted = usual if first is None else first
    if not 1 <= wanted <= MOST:
        raise ValidationError(details=[("first", f"Must be 1 to {MOST}")])
    return wanted


def start(after: int | None) -> int:
    """Returns the checked ``after`` of a numbered list. Raises ValidationError."""
    if after is not None and after < 0:
        raise ValidationError(details=[("after", "Must not be negative")])
    return after or 0


def search(given: dict[str, Any]) -> str:
    """Returns the search text of a filter; empty if there is none. Raises ValidationError."""
    text: str = given.get("search", "")
    if len(text) > SEARCH_LIMIT or "\0" in text:
        raise ValidationError(details=[("search", f"Must have at most {SEARCH_LIMIT} characters, without NUL")])
    return text


def number(value: int, field: str) -> int:
    """Returns a checked ID or number. Raises ValidationError."""
    if not 0 < value <= _MAX_ID:
        raise ValidationError(details=[(field, "Must be positive")])
    return value


R = TypeVar("R")


class Paged(NamedTuple):
    """The source of a page type. ``read_total`` counts all items."""

    items: list[Any]
    next_cursor: str | None
    read_total: Callable[[], Any]


class ListOf(Generic[R]):
    """The resolvers of a listing, or of the listing that the filters select."""

    def __init__(
        self, listing: Listing[R] | Callable[[Filters], Listing[R]], filters: Callable[[dict[str, Any]], Filters]
    ) -> None:
        self._listing, self._filters = listing, filters

    async def items(self, _source: Any, info: Any, **given: Any) -> list[R]:
        """Resolves the plain list."""
        rows, _, _ = await self._read(info.context, given)
        return rows

    async def page(self, _source: Any, info: Any, **given: Any) -> Paged:
        """Resolves the page type."""
        ctx: RequestContext = info.context
        rows, next_cursor, filters = await self._read(ctx, given)

        return Paged(rows, next_cursor, lambda: ctx.store.read(lambda unit: self._chosen(filters).total(unit, filters)))

    async def _read(self, ctx: RequestContext, given: dict[str, Any]) -> tuple[list[R], str | None, Filters]:
        """Returns the rows of a page, the cursor of the next one, and the filters. Raises ValidationError that names
        all invalid arguments."""
        first, filters = 0, Filters()
        with ErrorCollector() as each:
            with each:
                first = size(given.get("first"))
            with each:
                narrowed = {name: value for name, value in (given.get("filter") or {}).items() if value is not None}
                filters = self._filters(narrowed)
        after, order = given.get("after") or "", given.get("sort") or "ID"
        rows, next_cursor = await ctx.store.read(
            lambda unit: self._chosen(filters).read(unit, first, after, order, filters)
        )
        return rows, next_cursor, filters

    def _chosen(self, filters: Filters) -> Listing[R]:
        return self._listing if isinstance(self._listing, Listing) else self._listing(filters)


def one(get: Callable[[TenantUnit, int], R]) -> Callable[..., Any]:
    """Returns a resolver that looks up an object by its ID."""

    async def resolve(_root: Any, info: Any, id: int) -> R:
        ctx: RequestContext = info.context
        return await ctx.store.read(lambda unit: get(unit, id))

    return resolve


async def total(paged: Paged, _info: Any) -> int | None:
    """Resolves ``total`` of every page type; None if there are too many items to count."""
    found: int | None = await paged.read_total()
    return found
