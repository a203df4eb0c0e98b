"""Every key of a tenant table starts with the tenant, as the database reports it, and contains rows of one tenant."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest
from sqlalchemy import Column, Table, bindparam, insert

from manifest_auth.store import Store, SystemUnit, cross_tenant
from manifest_auth.store.tables import TENANT_OWNED, metadata
from tests.store.catalogue import Key, keys_of
from tests.store.conftest import Pair
from tests.store.rows import add, needed, others_for, value_for
from tests.support.matrix import matrix
from tests.support.rules import rule

OWNED = {table.name for table in TENANT_OWNED}
#: SQLite assigns IDs automatically only for single-column keys. The tenant and the ID are unique together.
NUMBERED = {table.name for table in TENANT_OWNED if "id" in table.c and table.c.id.identity is not None}
#: Foreign keys between tenant tables: the column that identifies a row, besides the tenant's.
POINTERS = sorted(
    (
        (table, key.columns.values()[1], key.referred_table)
        for table in TENANT_OWNED
        for key in table.foreign_key_constraints
        if key.referred_table in TENANT_OWNED
    ),
    key=lambda found: (found[0].name, found[1].name),
)


@pytest.fixture(scope="module")
async def keys(store: Store, database_url: str) -> set[Key]:
    return {key for key in await keys_of(database_url) if key.table in OWNED}


@rule("KEYS-BEGIN-WITH-THE-TENANT")
async def test_every_key_of_a_tenants_table_begins_with_the_tenant(keys: set[Key], database_url: str) -> None:
    is_sqlite = database_url.startswith("sqlite")
    lone = {Key(name, "primary", ("id",)) for name in NUMBERED} if is_sqlite else set()
    assert {key for key in keys if key.columns[0] != "tenant_id"} == lone
    assert not is_sqlite or {Key(name, "unique", ("tenant_id", "id")) for name in NUMBERED} <= keys
    assert {key.table for key in keys} == OWNED


@rule("KEYS-BEGIN-WITH-THE-TENANT")
async def test_foreign_keys_between_tenants_tables_hold_the_tenant_on_both_sides(keys: set[Key]) -> None:
    between = {key for key in keys if key.kind == "foreign" and key.to in OWNED}
    assert [key for key in between if key.there[0] != "tenant_id" or len(key.columns) != 2] == []
    found = {(key.table, key.columns[1], key.to) for key in between}
    assert found == {(table.name, column.name, to.name) for table, column, to in POINTERS}
    assert len(found) >= 40


async def test_the_primary_keys_are_those_of_the_tables_page(keys: set[Key], database_url: str) -> None:
    """The order of columns matters too, which Alembic doesn't compare."""
    numbered = NUMBERED if database_url.startswith("sqlite") else set()
    declared = {
        Key(table.name, "primary", ("id",) if table.name in numbered else tuple(table.primary_key.columns.keys()))
        for table in TENANT_OWNED
    }
    assert {key for key in keys if key.kind == "primary"} == declared


async def test_a_table_of_the_installation_names_rows_with_their_tenant(store: Store, database_url: str) -> None:
    found = [key for key in await keys_of(database_url) if key.table not in OWNED and key.to in OWNED]
    assert [key for key in found if (key.columns[0], key.there[0]) != ("tenant_id", "tenant_id")] == []
    assert {key.table for key in found} == {"directory_owners", "domain_owners", "passkey_owners"}


@rule("KEYS-BEGIN-WITH-THE-TENANT")
@matrix(("table", "column", "to"), POINTERS, ids=[f"{t.name}.{c.name}" for t, c, _ in POINTERS])
async def test_another_tenants_row_is_rejected_by_the_database(
    store: Store, pair: Pair, table: Table, column: Column[Any], to: Table
) -> None:
    """The database enforces this even for a statement without tenant binding. The tenant's own row is accepted."""
    mine, theirs = pair

    def rows(unit: SystemUnit) -> tuple[dict[str, Any], int, int]:
        others = others_for(unit, table, mine)
        given = {c.name: value_for(c, others) for c in needed(table) if c is not column}
        return given, add(unit, to, theirs), add(unit, to, mine)

    given, another, own = await store.write(rows)
    names = (*given, column.name, "tenant_id")
    statement = cross_tenant(insert(table).values({name: bindparam(name) for name in names}), because="a test")

    def put(named: int) -> Callable[[SystemUnit], int]:
        return lambda unit: unit.change(statement, **given, tenant_id=mine, **{column.name: named})

    with pytest.raises((sqlite3.IntegrityError, asyncpg.ForeignKeyViolationError), match=r"(?i)foreign key"):
        await store.write(put(another))
    assert await store.write(put(own)) == 1


@matrix("name", sorted(OWNED))
async def test_tenants_tables_are_strict_on_sqlite(store: Store, database_url: str, name: str) -> None:
    """They reject text in a numeric column."""
    assert metadata.tables[name].dialect_options["sqlite"]["strict"]
    if database_url.startswith("sqlite"):
        raw = sqlite3.connect(database_url.removeprefix("sqlite:///"))
        assert dict(raw.execute("SELECT name, strict FROM pragma_table_list").fetchall())[name] == 1
        raw.close()
