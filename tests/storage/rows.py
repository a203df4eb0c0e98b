"""The smallest valid row of any tenant's table, made from the table's own description."""

from __future__ import annotations

import itertools
from typing import Any

from sqlalchemy import Column, LargeBinary, Table, Text, bindparam, insert, select

from manifest_auth.store import SystemUnit, crossing
from manifest_auth.store.tables import users

_numbers = itertools.count(1000)


def needed(table: Table) -> list[Column[Any]]:
    """The columns that an insert must fill; the tenant's is the unit's business."""
    return [c for c in table.columns if not c.nullable and c.identity is None and c.name != "tenant_id"]


def changeable(table: Table) -> Column[Any]:
    """A column that an update may set to anything."""
    return next(c for c in table.columns if not c.primary_key and not c.foreign_keys and not c.unique)


def value_for(column: Column[Any], user_id: int) -> Any:
    if column.references(users.c.id):
        return user_id
    number = next(_numbers)
    if isinstance(column.type, LargeBinary):
        return str(number).encode()
    return f"v{number}" if isinstance(column.type, Text) else number


def add(unit: SystemUnit, table: Table, tenant_id: int) -> None:
    """Puts one row of ``tenant_id`` into the table, past all binding; with a user of that tenant where it needs one."""
    user_id = 0
    if any(c.references(users.c.id) for c in table.columns):
        add(unit, users, tenant_id)
        newest = crossing(
            select(users.c.id).where(users.c.tenant_id == bindparam("t")).order_by(users.c.id.desc()), because="test"
        )
        row = unit.first(newest, t=tenant_id)
        assert row is not None
        user_id = row[0]
    values = {c.name: value_for(c, user_id) for c in needed(table)}
    statement = insert(table).values({name: bindparam(name) for name in (*values, "tenant_id")})
    unit.change(crossing(statement, because="test"), tenant_id=tenant_id, **values)


def everything(unit: SystemUnit, table: Table, tenant_id: int) -> list[Any]:
    """All rows of a tenant, past all binding."""
    found = select(table).where(table.c.tenant_id == bindparam("t")).order_by(*table.primary_key.columns)
    return unit.all(crossing(found, because="test"), t=tenant_id)
