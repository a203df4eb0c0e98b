"""Lists of rows, filtered, sorted, and paged by key (keyset pagination), so that every page costs the same.

The rows belong to a tenant or to the installation.

A page starts after the sort value and the ID of the previous page's last row, never at an offset. Each combination of
sort and filters has its own statement, so that a database can use the matching index.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

import orjson
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Integer,
    Select,
    Text,
    bindparam,
    cast,
    func,
    literal_column,
    select,
    tuple_,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.selectable import TableValuedAlias
from sqlalchemy.types import NULLTYPE

from manifest_auth.errors import ValidationError
from manifest_auth.store.statements import CrossTenant, Global, TenantScoped, UnscopedStatement, global_, tenant_scoped
from manifest_auth.store.store import Store
from manifest_auth.store.unit import SystemUnit, TenantUnit
from manifest_auth.text import base64url
from manifest_auth.text.canonical import like, parse_time

# Cursors of lists, opaque to callers: one format for all lists of REST and GraphQL.
#
# A cursor contains the sort value and the id of the last row of its page, so it works even if that row was changed or
# deleted. It names its list and order, and is rejected for any other.


_VERSION = 1
_LONGEST = 4096
_MOST = 2**63


def write_cursor(of: str, order: str, *place: Any) -> str:
    """Creates a cursor. ``of``: the list; ``order``: the name of its order; ``place``: the values of the last row."""
    return base64url.encode(orjson.dumps([_VERSION, of, order, *place]))


def read_cursor(text: str, of: str, order: str, *kinds: type) -> list[Any]:
    """Reads the values of a cursor. ``kinds``: ``int`` or ``str`` for each of them. Raises ValidationError for a cursor
    of another list or order."""
    try:
        found = orjson.loads(base64url.decode(text)) if len(text) <= _LONGEST else None
    except ValueError:
        found = None
    place = found[3:] if isinstance(found, list) and found[:3] == [_VERSION, of, order] else []
    if len(place) != len(kinds) or not all(map(_is, place, kinds)):
        raise ValidationError(details=[("after", "Not a cursor of this list and order")])
    return place


def _is(value: object, kind: type) -> bool:
    """Whether the databases accept the value: no NUL in text, no number beyond 64 bits."""
    if type(value) is not kind:
        return False
    return "\0" not in value if isinstance(value, str) else -_MOST <= value < _MOST  # type: ignore[operator]  # an int here


R = TypeVar("R")


class Filters:
    """The conditions of a :class:`Listing` that apply, by name, and the values of their parameters."""

    def __init__(self, *names: str | None, **values: Any) -> None:
        self.names = frozenset(name for name in names if name)
        self.values = values

    def search(self, text: str) -> Filters:
        """Returns the filters, narrowed to rows that contain the text."""
        return Filters(*self.names, "search", **self.values, like=like(text)) if text else self


class Listing(Generic[R]):
    """One kind of list, named after its table. ``sorts``: columns by name, each unique together with ``key``;
    ``filters``: conditions by name, on their own parameters; ``narrow``: filters that always leave few rows of a
    tenant, so that the database sorts those instead of scanning all of the tenant's rows in order; ``owned``: the rows
    belong to a tenant rather than to the installation; ``every_kind``: the same as for
    :func:`.statements.tenant_scoped`."""

    def __init__(
        self,
        rows: Select[Any],
        row: type[R],
        *,
        key: Column[Any],
        sorts: Mapping[str, Column[Any]],
        filters: Mapping[str, ColumnElement[bool]],
        narrow: Collection[str] = (),
        owned: bool = True,
        every_kind: bool = False,
    ) -> None:
        self._owned, self._every_kind = owned, every_kind
        self._rows, self._row, self._key, self.name = rows, row, key, key.table.name
        self.sorts, self.filters, self._narrow = dict(sorts), dict(filters), frozenset(narrow)
        self._pages: dict[tuple[str, bool, bool, tuple[str, ...]], TenantScoped[R] | Global[R]] = {}
        self._counts: dict[tuple[str, ...], TenantScoped[int] | Global[int]] = {}

    def page(
        self,
        unit: TenantUnit | SystemUnit,
        *,
        first: int,
        sort: str,
        descending: bool = False,
        after: tuple[Any, Any] | None = None,
        filters: frozenset[str] = frozenset(),
        **values: Any,
    ) -> list[R]:
        """Returns at most ``first`` rows that follow the row with the sort value and ID ``after``, in the order of
        ``sort`` and then of IDs.

        ``sort`` and ``filters`` are names that the list was created with; ``values`` are parameters of the conditions.
        """
        where = {} if after is None else dict(zip(("after_value", "after_id"), after, strict=True))
        statement = self._page(sort, descending, after is not None, tuple(sorted(filters)))
        return self._tenant_unit(unit).all(statement, limit=first, **where, **values)

    def read(
        self, unit: TenantUnit | SystemUnit, first: int, after: str, order: str, filters: Filters
    ) -> tuple[list[R], str | None]:
        """Returns a page, and the cursor of the next one. ``after``: the previous page's cursor, or empty; ``order``: a
        name of ``sorts``, with ``_DESC`` for the reverse order. Raises ValidationError for a cursor of another list or
        order."""
        sort = order.removesuffix("_DESC")
        rows = self.page(
            unit,
            first=first + 1,
            sort=sort,
            descending=sort != order,
            after=self.after(after, order),
            filters=filters.names,
            **filters.values,
        )
        return rows[:first], self._cursor(order, rows[first - 1]) if len(rows) > first else None

    def window(
        self, unit: TenantUnit | SystemUnit, first: int, after: str, before: str, order: str, filters: Filters
    ) -> tuple[list[R], str | None, str | None]:
        """Returns a page like :meth:`read`, with the cursor of the previous page between rows and next. ``before``: the
        cursor of the first row of the following page, instead of ``after``."""
        if before:
            sort = order.removesuffix("_DESC")
            rows = self.page(
                unit,
                first=first + 1,
                sort=sort,
                descending=sort == order,
                after=self.after(before, order),
                filters=filters.names,
                **filters.values,
            )
            if len(rows) > first:
                rows = rows[first - 1 :: -1]
                return rows, self._cursor(order, rows[0]), self._cursor(order, rows[-1])
            after = ""  # these rows belong to the first page
        rows, following = self.read(unit, first, after, order, filters)
        return rows, self._cursor(order, rows[0]) if after and rows else None, following

    def _cursor(self, order: str, last: Any) -> str:
        """Returns the cursor of a row, which has the sort value under the column's name, and the key as ``id``. A wire
        model has times as text."""
        sort = self.sorts[order.removesuffix("_DESC")]
        value = last.id if sort is self._key else getattr(last, sort.name)
        is_time = isinstance(value, str) and _kind(sort) is int
        return write_cursor(self.name, order, parse_time(value, sort.name) if is_time else value, last.id)

    def after(self, cursor: str, order: str) -> tuple[Any, Any] | None:
        """Returns the sort value and ID of the row before a page; None for empty text. A list that is ordered by a
        numeric ID also accepts a plain number. Raises ValidationError for a cursor of another list or order."""
        if not cursor:
            return None
        sort = self.sorts[order.removesuffix("_DESC")]
        if sort is self._key and _kind(sort) is int and cursor.isascii() and cursor.isdecimal() and len(cursor) < 20:
            number = min(int(cursor), 2**63 - 1)
            return number, number
        value, number = read_cursor(cursor, self.name, order, _kind(sort), _kind(self._key))
        return value, number

    def total(self, unit: TenantUnit | SystemUnit, filters: Filters) -> int:
        """Returns the number of rows on all pages; reads all of them."""
        return self._tenant_unit(unit).one(self._count(tuple(sorted(filters.names))), **filters.values)

    def _tenant_unit(self, unit: TenantUnit | SystemUnit) -> TenantUnit:
        """Returns the unit that runs the statements of this list. For rows of the installation, any unit works."""
        if isinstance(unit, TenantUnit):
            return unit
        if self._owned:
            raise UnscopedStatement("a list of a tenant's rows is read in a tenant's unit of work: unit.of(tenant_id)")
        return unit.of(0)

    def every_statement(self) -> Iterator[TenantScoped[Any] | Global[Any]]:
        """Yields all possible statements, for tests."""
        for size in range(len(self.filters) + 1):
            for names in itertools.combinations(sorted(self.filters), size):
                yield self._count(names)
                for sort in self.sorts:
                    for descending, goes_on in itertools.product((False, True), repeat=2):
                        yield self._page(sort, descending, goes_on, names)

    def _page(self, sort: str, descending: bool, goes_on: bool, names: tuple[str, ...]) -> TenantScoped[R] | Global[R]:
        known = self._pages.get((sort, descending, goes_on, names))
        if known is not None:
            return known
        column = self.sorts[sort]
        order: list[ColumnElement[Any]] = [column] if column is self._key else [column, self._key]
        if column is not self._key and self._narrow.intersection(names):
            order[0] = _by_value(column)
        query = self._rows.where(*(self.filters[name] for name in names))
        if goes_on:
            # The cursor's number can be larger than an Integer.
            kind = BigInteger() if isinstance(column.type, Integer) else column.type
            given = [bindparam("after_value", type_=kind), bindparam("after_id", type_=self._key.type)]
            here, there = tuple_(*order), tuple_(*given[-len(order) :])
            query = query.where(here < there if descending else here > there)
        query = query.order_by(*(c.desc() if descending else c for c in order)).limit(bindparam("limit"))
        made = (
            tenant_scoped(query, self._row, every_kind=self._every_kind) if self._owned else global_(query, self._row)
        )
        self._pages[(sort, descending, goes_on, names)] = made
        return made

    def _count(self, names: tuple[str, ...]) -> TenantScoped[int] | Global[int]:
        known = self._counts.get(names)
        if known is None:
            query = select(func.count()).select_from(self._key.table)
            query = query.where(*(self.filters[name] for name in names))
            known = tenant_scoped(query, int, every_kind=self._every_kind) if self._owned else global_(query, int)
            self._counts[names] = known
        return known


def _kind(column: Column[Any]) -> type:
    return int if isinstance(column.type, Integer) else str


class _by_value(FunctionElement[Any]):  # noqa: N801 - a function of SQL
    """The column's value as an expression, so that no index applies."""

    inherit_cache = True
    name = "by_value"

    def __init__(self, column: Column[Any]) -> None:
        super().__init__(column)
        self.type = column.type


@compiles(_by_value)
def _value_in_sqlite(element: _by_value, compiler: SQLCompiler, **options: Any) -> str:
    return f"+{compiler.process(element.clauses, **options)}"


@compiles(_by_value, "postgresql")
def _value_in_postgres(element: _by_value, compiler: SQLCompiler, **options: Any) -> str:
    nothing = "|| ''" if isinstance(element.type, Text) else "+ 0"
    return f"({compiler.process(element.clauses, **options)} {nothing})"


class _among(FunctionElement[Any]):  # noqa: N801 - a function of SQL
    """The function ``among(column, parameter)``, since each database reads a JSON array in its own way."""

    type = NULLTYPE  # a boolean would become `… = 1`, which uses no index
    inherit_cache = True
    name = "among"


@compiles(_among)
def _in_sqlite(element: _among, compiler: SQLCompiler, **options: Any) -> str:
    column, given = element.clauses
    inner = compiler.process(given, **options)
    return f"{compiler.process(column, **options)} IN (SELECT value FROM json_each({inner}))"  # noqa: S608 - compiled parts


@compiles(_among, "postgresql")
def _in_postgres(element: _among, compiler: SQLCompiler, **options: Any) -> str:
    column, given = element.clauses
    kind, name = column.type.compile(compiler.dialect), compiler.process(column, **options)
    among = f"{name} = {_any_of('value', compiler.process(given, **options), '_text', kind)}"
    if not isinstance(column.type, Text):
        return among
    # Without statistics, the planner assumes that many rows have a given text, and would join with whole tables. It
    # expects few rows from a list of places.
    table = column.table.name
    return f"{table}.ctid = ANY (ARRAY(SELECT {table}.ctid FROM {table} WHERE {among}))"  # noqa: S608 - compiled parts


def _any_of(value: str, given: str, rows: str = "", kind: str = "BIGINT") -> str:
    """Selects any of a JSON array's values. As a PostgreSQL array, each is looked up in an index; a sub-query would be
    joined with the whole table once that is large."""
    values_of = f"SELECT CAST({value} AS {kind}) FROM json_array_elements{rows}(CAST({given} AS JSON))"  # noqa: S608 - compiled parts
    return f"ANY (ARRAY({values_of}))"


class _pairs_among(FunctionElement[Any]):  # noqa: N801 - a function of SQL
    """The function ``among_pairs(one, other, parameter)``."""

    type = NULLTYPE
    inherit_cache = True
    name = "among_pairs"


@compiles(_pairs_among)
def _pairs_in_sqlite(element: _pairs_among, compiler: SQLCompiler, **options: Any) -> str:
    one, other, given = (compiler.process(clause, **options) for clause in element.clauses)
    wanted = "SELECT value ->> 0, value ->> 1"
    return f"({one}, {other}) IN ({wanted} FROM json_each({given}))"


@compiles(_pairs_among, "postgresql")
def _pairs_in_postgres(element: _pairs_among, compiler: SQLCompiler, **options: Any) -> str:
    one, other, given = (compiler.process(clause, **options) for clause in element.clauses)
    near = f"{one} = {_any_of('value ->> 0', given)} AND {other} = {_any_of('value ->> 1', given)}"
    wanted = "SELECT CAST(value ->> 0 AS BIGINT), CAST(value ->> 1 AS BIGINT)"
    return f"({near} AND ({one}, {other}) IN ({wanted} FROM json_array_elements(CAST({given} AS JSON))))"


def among(column: Column[Any], name: str) -> ColumnElement[bool]:
    """Whether a number or a text is in the list of the parameter ``name``, see :func:`numbers` and :func:`texts`. Lists
    of any length share one statement, which both databases cache as prepared."""
    return _among(column, bindparam(name, type_=Text()))


def numbers(values: Any) -> str:
    """Returns the value of a parameter of :func:`among`, for numbers."""
    return f"[{','.join(str(int(value)) for value in values)}]"


def texts(values: Iterable[str]) -> str:
    """Returns the value of a parameter of :func:`among`, for texts."""
    return orjson.dumps(list(values)).decode()


def among_pairs(one: Column[Any], other: Column[Any], name: str) -> ColumnElement[bool]:
    """Whether a pair of numbers is in the list of the parameter ``name``; otherwise like :func:`among`. The parameter's
    value comes from :func:`pairs`."""
    return _pairs_among(one, other, bindparam(name, type_=Text()))


def pairs(values: Any) -> str:
    """Returns the value of a parameter of :func:`among_pairs`."""
    return f"[{','.join(f'[{int(one)},{int(other)}]' for one, other in values)}]"


# Lists of rows as one parameter of a statement, so that both databases can cache it as prepared.
#
# An INSERT … SELECT from the list writes any number of rows in one round trip, and can have a condition on each row.


class _parameter_rows(FunctionElement[Any]):  # noqa: N801 - a function of SQL
    inherit_cache = True
    name = "given"


@compiles(_parameter_rows)
def _rows_in_sqlite(element: _parameter_rows, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **options)})"


@compiles(_parameter_rows, "postgresql")
def _rows_in_postgres(element: _parameter_rows, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_array_elements(CAST({compiler.process(element.clauses, **options)} AS JSON))"


def row_list(name: str) -> TableValuedAlias:
    """Returns the rows of the parameter ``name``, see :func:`rows`, to select from."""
    return _parameter_rows(bindparam(name, type_=Text())).table_valued("value", name=f"given_{name}")


def cell(source: TableValuedAlias, position: int, column: Column[Any]) -> ColumnElement[Any]:
    """Returns the cell at this position of each row, with the type of the column."""
    return cast(source.c.value.op("->>")(literal_column(str(int(position)))), column.type)


def rows(values: Iterable[Sequence[Any]]) -> str:
    """Returns the value of a parameter of :func:`row_list`."""
    return orjson.dumps([list(row) for row in values]).decode()


class LookUps(Generic[R]):
    """Lookups of rows by text. Those in one turn of the event loop share one statement, so PostgreSQL needs one round
    trip and one connection for all of them.

    ``statement`` selects the rows with a key in its parameter ``keys``, see :func:`.listing.among`. It runs after all
    callers who share it have asked, so each sees everything committed until then, as with its own statement.
    """

    def __init__(self, store: Store, statement: CrossTenant[R], key_of: Callable[[R], str]) -> None:
        self._store, self._statement, self._key_of = store, statement, key_of
        self._waiting: list[tuple[str, asyncio.Future[R | None]]] = []
        self._running: set[asyncio.Task[None]] = set()

    def look_up(self, key: str) -> asyncio.Future[R | None]:
        """Returns the row of this key, or None (awaitable). Raises StoreUnavailable."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            running = loop.create_task(self._run())
            self._running.add(running)
            running.add_done_callback(self._running.discard)
        found: asyncio.Future[R | None] = loop.create_future()
        self._waiting.append((key, found))
        return found

    async def _run(self) -> None:
        waiting, self._waiting = self._waiting, []
        try:
            rows = await self._store.look_up_all(self._statement, keys=texts(key for key, _ in waiting))
        except Exception as error:  # noqa: BLE001 - passed to the waiting callers
            for _, found in waiting:
                if not found.done():
                    found.set_exception(error)
            return
        by_key = {self._key_of(row): row for row in rows}
        for key, found in waiting:
            if not found.done():  # its caller still waits
                found.set_result(by_key.get(key))
