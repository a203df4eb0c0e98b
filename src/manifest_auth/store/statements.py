"""Statements: written once with SQLAlchemy Core, compiled once for each store, bound to a tenant by construction.

There are three kinds, each with a type that only the right unit of work accepts:

* :func:`tenant_scoped` - adds ``tenant_id = <the unit's tenant>`` for every tenant-owned table it names; the unit of
work sets the value, no caller can. A statement that cannot be scoped that way (an outer join, a sub-query that is not
scoped itself) is rejected when the module is imported. * :func:`global_` - uses only tables that belong to no tenant;
rejects any other. * :func:`cross_tenant` - reads or writes tables of tenants across tenants, and states why; there are
only a few.

See ``docs/decisions/0003-statements.md`` for why this is not left to SQLAlchemy's own execution layer.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from operator import itemgetter
from typing import Any, Final, Generic, TypeVar, overload

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Delete,
    GenerativeSelect,
    Insert,
    Select,
    Table,
    TableClause,
    Update,
    and_,
    bindparam,
    literal_column,
    true,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.sqlite import dml, insert
from sqlalchemy.sql import operators, visitors
from sqlalchemy.sql.elements import BinaryExpression, BindParameter
from sqlalchemy.sql.selectable import Join

from manifest_auth.store.tables import TENANT_OWNED, users
from manifest_auth.text.models import Wire

# Checks of statements: which tables they read or write, and that nothing in them reaches beyond a tenant.
#
# Statements on ``users`` reach only people: :data:`USUAL` is added to each, unless it sets ``every_kind``, so that no
# query for people can include a service account by mistake.


TENANT: Final = "_tenant"
Source = Select[Any] | Insert | Update | Delete
#: The rows that a statement means by default, by table; ``every_kind`` lifts this.
USUAL: Final[Mapping[Any, ColumnElement[bool]]] = {users: users.c.kind == literal_column("'person'")}

#: The same people by exclusion, for a statement with ``every_kind`` that looks for the first of many. Until PostgreSQL
#: has analyzed a table, it expects one row in two hundred from the other condition, and nearly all rows from this one.
NO_SERVICE: Final[ColumnElement[bool]] = users.c.kind != literal_column("'service'")


class UnscopedStatement(Exception):
    """The statement would reach a tenant's table without being bound to a tenant. A programming error."""


def tenant_condition(table: Table, *, every_kind: bool = False) -> ColumnElement[bool]:
    """Returns the condition that a sub-query inside a tenant-scoped statement needs for each tenant-owned table it
    reads. It keeps the :data:`USUAL` rows, or all rows with ``every_kind``."""
    own = table.c.tenant_id == bindparam(TENANT, type_=BigInteger(), required=True)
    return and_(own, USUAL[table]) if table in USUAL and not every_kind else own


def usual_rows(source: Source) -> Source:
    """Narrows the statement to the :data:`USUAL` rows of each table that has others. Raises
    :class:`UnscopedStatement` for a sub-query that can read others."""
    if not _named(source) & USUAL.keys():
        return source
    for element in visitors.iterate(source):
        if isinstance(element, Select) and element is not source:
            for table in set(tables_of(element)) - set(element._correlate or ()):
                if table in USUAL and not any(clause.compare(USUAL[table]) for clause in _conditions(element)):
                    raise UnscopedStatement(f"sub-query on {table.name} may read rows of every kind")
    if not isinstance(source, Insert):
        for table in tables_of(source):
            if table in USUAL:
                source = source.where(USUAL[table])
    return source


def owned(source: Any) -> set[Table]:
    """Returns the tenants' tables that the statement and its sub-queries name."""
    return _named(source) & TENANT_OWNED


def _named(source: Any) -> set[Table]:
    """Returns all tables that the statement and its sub-queries name."""
    found: set[Table] = set()
    for element in visitors.iterate(source):
        if isinstance(element, Table):
            found.add(element)
        elif isinstance(element, Column):
            found.add(element.table)
    if isinstance(source, Insert | Update | Delete):
        found.add(source.table)  # type: ignore[arg-type]  # always a Table here
    return found


def _own_level(source: Source) -> Iterator[Any]:
    """Yields all elements of a statement except those inside its sub-queries."""
    pending = list(source.get_children())
    while pending:
        element = pending.pop()
        if not isinstance(element, Select):
            yield element
            pending += element.get_children()


def tables_of(source: Source) -> list[Table]:
    """Returns the tables that the statement itself (not its sub-queries) reads or writes."""
    if isinstance(source, Update | Delete):
        named = {e.table for e in _own_level(source) if isinstance(e, Column)}
        if named & TENANT_OWNED - {source.table}:
            raise UnscopedStatement(
                "a change that reads another tenant's table beside its own cannot be scoped to a tenant"
            )
        return [source.table]  # type: ignore[list-item]  # always a Table here
    if not isinstance(source, Select):
        raise UnscopedStatement("a union cannot be scoped to a tenant; write two statements")
    tables: list[Table] = []
    # Like ``source.get_final_froms()``, which first compiles the statement without need, a tenth of a second in total.
    pending: list[Any] = list(source._compile_state_factory(source, None)._get_display_froms())  # type: ignore[arg-type]  # of no use here
    while pending:
        item = pending.pop()
        if isinstance(item, Join):
            if item.isouter or item.full:
                raise UnscopedStatement(
                    "an outer join cannot be scoped to a tenant by a condition; write two statements"
                )
            pending += [item.left, item.right]
        elif isinstance(item, Table):
            tables.append(item)
        elif owned(item):
            raise UnscopedStatement("an alias or sub-query of a tenant's table cannot be scoped to a tenant")
    return tables


def check_nested(source: Source) -> None:
    """Checks that every nested SELECT has its own condition for each tenant's table that it reads."""
    if source._independent_ctes:
        raise UnscopedStatement("a common table expression cannot be scoped to a tenant; write two statements")
    for element in visitors.iterate(source):
        if isinstance(element, Select) and element is not source:
            conditions = _scoped_tables(element)
            for table in tables_of(element):
                if table in TENANT_OWNED and table not in conditions:
                    raise UnscopedStatement(f"sub-query on {table.name} is not scoped to a tenant")


def _scoped_tables(select: Select[Any]) -> set[Table]:
    found: set[Table] = set()
    for clause in _conditions(select):
        left, right = clause.left, clause.right
        if isinstance(right, BindParameter) and right.key == TENANT and getattr(left, "name", "") == "tenant_id":
            found.add(left.table)
    return found


def _conditions(select: Select[Any]) -> Iterator[BinaryExpression[Any]]:
    """Yields the equations that all must hold."""
    clauses = [c for c in (select.whereclause,) if c is not None]
    while clauses:
        clause = clauses.pop()
        if isinstance(clause, BinaryExpression) and clause.operator is operators.eq:
            yield clause
        elif getattr(getattr(clause, "operator", None), "__name__", "") == "and_":
            clauses += list(clause.get_children())  # type: ignore[arg-type]  # columns or joins


_MISSING: Final = object()
_PLACE = re.compile(r"\$(\d+)")
_SQLITE = sqlite.dialect()
#: An insert with ``ON CONFLICT``, for both stores.
upsert: Final = insert

R = TypeVar("R")


@cache
def _dialect_of_postgres() -> Any:
    # Imported only for PostgreSQL, because it takes 2 MB and about 20 ms at startup.
    from sqlalchemy.dialects.postgresql.asyncpg import dialect

    # Upserts are built with SQLite's dialect, which names columns; PostgreSQL's compiler reads this attribute as well.
    dml.OnConflictClause.constraint_target = None  # type: ignore[attr-defined]  # set for its compiler
    made: Any = dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy has no types here

    class Compiler(made.statement_compiler):  # type: ignore[misc]  # as above
        """A compiler that writes a constant limit as a number. With a parameter, PostgreSQL expects a tenth of all
        rows, and so plans the statement again at every call."""

        def limit_clause(self, select: Any, **options: Any) -> str:
            is_constant = select._simple_int_clause(select._limit_clause)
            return str(super().limit_clause(select, **options, literal_binds=is_constant))

    made.statement_compiler = Compiler
    return made


class Compiled:
    """SQL text of one dialect and the order of its parameters."""

    __slots__ = ("order", "sql")

    def __init__(self, source: Source, dialect: Any) -> None:
        compiled = source.compile(dialect=dialect)
        self.sql = str(compiled)
        constants = {name: value for name, value in compiled.params.items() if value is not None}
        required = {e.key for e in visitors.iterate(source) if isinstance(e, BindParameter) and e.required}
        names = compiled.positiontup or []
        self.order = tuple((name, _MISSING if name in required else constants.get(name)) for name in names)

    def values(self, given: Mapping[str, Any]) -> list[Any]:
        """Returns the positional values. A missing parameter is a KeyError, an unknown one is ignored."""
        return [given[name] if default is _MISSING else default for name, default in self.order]

    def shifted(self, before: int) -> str:
        """Returns PostgreSQL's text for use after ``before`` other parameters of the same statement."""
        return _PLACE.sub(lambda found: f"${int(found[1]) + before}", self.sql)


class Statement(Generic[R]):
    """Base of the three kinds; compiled on first use, once for each dialect."""

    __slots__ = ("_postgres", "_sqlite", "_tables", "make", "source")

    def __init__(self, source: Source, make: Callable[[Iterable[Any]], R]) -> None:
        # Inline: SQLAlchemy adds no RETURNING of its own.
        self.source = source.inline() if isinstance(source, Insert) else source
        self.make = make
        self._tables: frozenset[TableClause] | None = None
        self._sqlite: Compiled | None = None
        self._postgres: Compiled | None = None

    @property
    def is_plain_read(self) -> bool:
        """Whether the statement neither writes nor locks a row."""
        return isinstance(self.source, GenerativeSelect) and self.source._for_update_arg is None

    @property
    def is_locking_read(self) -> bool:
        return isinstance(self.source, GenerativeSelect) and not self.is_plain_read

    def may_see(self, changes: Iterable[Statement[Any]]) -> bool:
        """Whether the statement can depend on those changes. This is unknown for a view, and for anything other than a
        SELECT."""
        if not isinstance(self.source, GenerativeSelect):
            return True
        if self._tables is None:
            self._tables = frozenset(e for e in visitors.iterate(self.source) if isinstance(e, TableClause))
        changed = {change.source.table for change in changes if isinstance(change.source, Insert | Update | Delete)}
        return not self._tables.isdisjoint(changed) or not all(isinstance(t, Table) for t in self._tables)

    @property
    def sqlite(self) -> Compiled:
        if self._sqlite is None:
            self._sqlite = Compiled(self.source, _SQLITE)
        return self._sqlite

    @property
    def postgres(self) -> Compiled:
        if self._postgres is None:
            self._postgres = Compiled(self.source, _dialect_of_postgres())
        return self._postgres


class TenantScoped(Statement[R]):
    """A statement that is bound to the tenant of the unit of work that runs it."""

    __slots__ = ()


class Global(Statement[R]):
    """A statement that uses no table of tenants."""

    __slots__ = ()


class CrossTenant(Statement[R]):
    """A statement that crosses tenants on purpose; ``because`` states why."""

    __slots__ = ("because",)

    def __init__(self, source: Source, make: Callable[[Iterable[Any]], R], because: str) -> None:
        super().__init__(source, make)
        self.because = because


def _row(row: type[R] | None) -> Callable[[Any], Any]:
    """Returns the function that builds rows. ``row``: a NamedTuple class, a wire model, or the type of the only column;
    without it, rows are plain tuples."""
    if row is None:
        return tuple
    if issubclass(row, Wire):
        return row.of_columns
    return row._make if issubclass(row, tuple) else itemgetter(0)  # type: ignore[attr-defined]  # a NamedTuple


def columns(names: str) -> tuple[str, ...]:
    """Returns the column names in a text, which are separated by blanks."""
    return tuple(names.split())


@overload
def tenant_scoped(source: Source, *, every_kind: bool = False) -> TenantScoped[Any]: ...
@overload
def tenant_scoped(source: Source, row: type[R], *, every_kind: bool = False) -> TenantScoped[R]: ...
def tenant_scoped(
    source: Source, row: type[R] | None = None, *, every_kind: bool = False
) -> TenantScoped[R] | TenantScoped[Any]:
    """Binds a statement to the tenant of the unit of work that runs it. ``every_kind``: include the rows that are not
    :data:`USUAL`. Raises :class:`UnscopedStatement`."""
    tenant = bindparam(TENANT, type_=BigInteger(), required=True)
    if isinstance(source, Insert):
        if source.table not in TENANT_OWNED:
            raise UnscopedStatement(f"{source.table} belongs to no tenant")
        source = _scoped_insert(source, tenant)
    else:
        _check_tenant_unchanged(source)
        tables = [t for t in tables_of(source) if t in TENANT_OWNED]
        if not tables:
            raise UnscopedStatement("no tenant's table in the statement")
        for table in tables:
            source = source.where(table.c.tenant_id == tenant)
    check_nested(source)
    if not every_kind:
        source = usual_rows(source)
    return TenantScoped(source, _row(row))


@overload
def global_(source: Source) -> Global[Any]: ...
@overload
def global_(source: Source, row: type[R]) -> Global[R]: ...
def global_(source: Source, row: type[R] | None = None) -> Global[R] | Global[Any]:
    """Creates a statement on tables that belong to no tenant. Raises :class:`UnscopedStatement` if it names another
    table."""
    if found := owned(source):
        raise UnscopedStatement(f"{', '.join(sorted(t.name for t in found))} must be scoped to a tenant")
    return Global(source, _row(row))


@overload
def cross_tenant(source: Source, *, because: str, every_kind: bool = False) -> CrossTenant[Any]: ...
@overload
def cross_tenant(source: Source, row: type[R], *, because: str, every_kind: bool = False) -> CrossTenant[R]: ...
def cross_tenant(
    source: Source, row: type[R] | None = None, *, because: str, every_kind: bool = False
) -> CrossTenant[R] | CrossTenant[Any]:
    """Creates a statement that crosses tenants, with the reason why it must. ``every_kind``: the same as for
    :func:`tenant_scoped`."""
    if not every_kind:
        source = usual_rows(source)
    return CrossTenant(source, _row(row), because)


def _scoped_insert(source: Insert, tenant: BindParameter[Any]) -> Insert:
    """Scopes an upsert, so that it changes an existing row only if the row belongs to the tenant."""
    source = source.values(tenant_id=tenant) if source.select is None else _scoped_copy(source, source.select, tenant)
    clause = source._post_values_clause
    if not isinstance(clause, dml.OnConflictClause | None):
        raise UnscopedStatement("upserts are made with store.upsert")
    if isinstance(clause, dml.OnConflictDoUpdate):
        if any(getattr(column, "name", column) == "tenant_id" for column in dict(clause.update_values_to_set)):
            raise UnscopedStatement("a row never moves to another tenant")
        clause = copy.copy(clause)
        given = true() if clause.update_whereclause is None else clause.update_whereclause
        clause.update_whereclause = and_(source.table.c.tenant_id == tenant, given)
        source._post_values_clause = clause
    return source


def _scoped_copy(source: Insert, found: Any, tenant: BindParameter[Any]) -> Insert:
    """Scopes an INSERT … SELECT, so that it reads and writes only rows of the tenant."""
    names = list(source._select_names or ())
    if not isinstance(found, Select):
        raise UnscopedStatement("a union cannot be scoped to a tenant; write two statements")
    if "tenant_id" in names:
        raise UnscopedStatement("a statement must not set the tenant of a new row")
    own = [tenant_condition(table) for table in tables_of(found) if table in TENANT_OWNED]
    return source.from_select([*names, "tenant_id"], found.where(*own).add_columns(tenant), include_defaults=False)


def _check_tenant_unchanged(source: Source) -> None:
    if isinstance(source, Update) and any(getattr(c, "name", c) == "tenant_id" for c in source._values or ()):
        raise UnscopedStatement("a row never moves to another tenant")
