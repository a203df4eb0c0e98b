"""Checks of statements: which tables they read or write, and that nothing in them reaches past a tenant.

Statements on ``users`` reach people alone: :data:`USUAL` is added to each, unless it says ``every_kind``, so that no
query for people can name a service account by mistake.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Delete,
    Insert,
    Select,
    Table,
    Update,
    and_,
    bindparam,
    literal_column,
)
from sqlalchemy.sql import operators, visitors
from sqlalchemy.sql.elements import BinaryExpression, BindParameter
from sqlalchemy.sql.selectable import Join

from manifest_auth.store.tables import TENANT_OWNED, users

TENANT: Final = "_tenant"
Source = Select[Any] | Insert | Update | Delete
#: By table, which rows a statement means that does not say ``every_kind``.
USUAL: Final[Mapping[Any, ColumnElement[bool]]] = {users: users.c.kind == literal_column("'person'")}

#: The same people by what they are not, for a statement with ``every_kind`` that looks for the first of many. Until
#: PostgreSQL has analyzed a table it expects one row in two hundred of the other condition, and nearly all of this one.
NO_SERVICE: Final[ColumnElement[bool]] = users.c.kind != literal_column("'service'")


class UnscopedStatement(Exception):
    """A statement would reach a tenant's table without being bound to a tenant. A programming error."""


def tenant_condition(table: Table, *, every_kind: bool = False) -> ColumnElement[bool]:
    """The condition that a sub-query inside a tenant-scoped statement needs for each tenant-owned table it reads. It
    leaves the :data:`USUAL` rows, or with ``every_kind`` all."""
    own = table.c.tenant_id == bindparam(TENANT, type_=BigInteger(), required=True)
    return and_(own, USUAL[table]) if table in USUAL and not every_kind else own


def usual_rows(source: Source) -> Source:
    """Narrows the statement to the :data:`USUAL` rows of each table that has others. Raises
    :class:`UnscopedStatement` for a sub-query that may read others."""
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
    """The tenants' tables that the statement and its sub-queries name."""
    return _named(source) & TENANT_OWNED


def _named(source: Any) -> set[Table]:
    """All tables that the statement and its sub-queries name."""
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
    """All elements of a statement except those inside its sub-queries."""
    pending = list(source.get_children())
    while pending:
        element = pending.pop()
        if not isinstance(element, Select):
            yield element
            pending += element.get_children()


def tables_of(source: Source) -> list[Table]:
    """The tables that the statement itself (not its sub-queries) reads or writes."""
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
    pending: list[Any] = list(source.get_final_froms())
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
    """Every SELECT inside must carry its own condition for each tenant's table that it reads."""
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
    """The equations that all must hold."""
    clauses = [c for c in (select.whereclause,) if c is not None]
    while clauses:
        clause = clauses.pop()
        if isinstance(clause, BinaryExpression) and clause.operator is operators.eq:
            yield clause
        elif getattr(getattr(clause, "operator", None), "__name__", "") == "and_":
            clauses += list(clause.get_children())  # type: ignore[arg-type]  # columns or joins
