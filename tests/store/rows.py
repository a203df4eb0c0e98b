"""The smallest valid row of any tenant table, derived from the table's description."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Column, LargeBinary, Table, Text, bindparam, insert, select

from manifest_auth.store import SystemUnit, cross_tenant
from manifest_auth.store.tables import tenants

_numbers = itertools.count(1000)
#: The ID of the row that a new row refers to, by table name.
Others = Mapping[str, Any]


def needed(table: Table) -> list[Column[Any]]:
    """The columns that an insert must fill. The unit fills the tenant's, and rows about a non-person say so."""
    left_out = {"tenant_id", "kind"} if table.name == "users" else {"tenant_id"}
    return [c for c in table.columns if not c.nullable and c.identity is None and c.name not in left_out]


def changeable(table: Table) -> Column[Any]:
    """A column that can be updated to any value, at least while the tenant has one row; part of the key if
    necessary."""
    free = [c for c in table.columns if not c.foreign_keys and c.name != "tenant_id"]
    return min(free, key=lambda c: (bool(c.unique), c.primary_key))


def value_for(column: Column[Any], others: Others) -> Any:
    for key in column.foreign_keys:
        return others[key.column.table.name]
    number = next(_numbers)
    if isinstance(column.type, LargeBinary):
        return str(number).encode()
    return f"v{number}" if isinstance(column.type, Text) else number


def others_for(unit: SystemUnit, table: Table, tenant_id: int) -> dict[str, Any]:
    """Insert a row for ``tenant_id`` in every table that rows of this one must refer to."""
    pointed_at = {key.column.table for c in needed(table) for key in c.foreign_keys} - {tenants}
    return {other.name: add(unit, other, tenant_id) for other in pointed_at}


def add(unit: SystemUnit, table: Table, tenant_id: int) -> Any:
    """Insert a row for ``tenant_id``, and the rows it refers to, without tenant binding. Returns its ID; if it has
    none, the ID of its user, or 0."""
    others = others_for(unit, table, tenant_id)
    values = {c.name: value_for(c, others) for c in needed(table)}
    statement = insert(table).values({name: bindparam(name) for name in (*values, "tenant_id")})
    unit.change(cross_tenant(statement, because="test"), tenant_id=tenant_id, **values)
    if "id" in values:
        return values["id"]
    if "id" not in table.c:
        return int(values["user_id"]) if "user_id" in table.primary_key.columns else 0
    newest = select(table.c.id).where(table.c.tenant_id == bindparam("t")).order_by(table.c.id.desc()).limit(1)
    row = unit.first(cross_tenant(newest, because="test"), t=tenant_id)
    assert row is not None
    return int(row[0])


def everything(unit: SystemUnit, table: Table, tenant_id: int) -> list[Any]:
    """All rows of a tenant, read without tenant binding."""
    found = select(table).where(table.c.tenant_id == bindparam("t")).order_by(*table.primary_key.columns)
    return unit.all(cross_tenant(found, because="test"), t=tenant_id)
