"""Tenant isolation of every tenant table: a statement for one tenant never reads or changes another tenant's rows."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Table, bindparam, delete, func, insert, select, update

from manifest_auth.sessions.principals import refuse_external_token
from manifest_auth.store import Store, SystemUnit, tenant_scoped
from manifest_auth.store.statements import TENANT
from manifest_auth.store.tables import TENANT_OWNED, metadata, refused_tokens, sessions, users
from tests.store.conftest import Pair
from tests.store.rows import add, changeable, everything, needed, others_for, value_for
from tests.support.matrix import matrix
from tests.support.rules import rule

TABLES = sorted(TENANT_OWNED, key=lambda t: t.name)
each_table = matrix("table", TABLES, ids=lambda t: t.name)


async def fill(store: Store, table: Table, pair: Pair) -> None:
    def work(unit: SystemUnit) -> None:
        for tenant_id in pair:
            add(unit, table, tenant_id)

    await store.write(work)


async def rows_of(store: Store, table: Table, tenant_id: int) -> list[Any]:
    return await store.read(lambda unit: everything(unit, table, tenant_id))


def test_every_table_with_a_tenant_id_is_owned() -> None:
    of_the_installation = {
        "domain_owners",
        "directory_owners",
        "passkey_owners",
        "provider_names",
    }  # statements that list the clients with rows
    with_a_tenant = {t.name for t in metadata.tables.values() if "tenant_id" in t.c}
    assert {t.name for t in TABLES} == with_a_tenant - of_the_installation
    assert len(TABLES) >= 6


@rule("TENANT-ISOLATION")
@each_table
async def test_a_bound_read_sees_its_own_rows_only(store: Store, pair: Pair, table: Table) -> None:
    mine, theirs = pair
    await fill(store, table, pair)
    seen = await store.of(mine).read(lambda unit: unit.all(tenant_scoped(select(table.c.tenant_id))))
    assert seen == [(mine,)]
    # Selected by the other tenant's key, with a condition that is always true, or counted, they find nothing.
    key = {f"k{n}": value for n, value in enumerate(_key(table, (await rows_of(store, table, theirs))[0]))}
    asked = tenant_scoped(
        select(table).where(*(c == bindparam(f"k{n}") for n, c in enumerate(table.primary_key.columns)))
    )
    assert await store.of(mine).read(lambda unit: unit.all(asked, **key)) == []
    outright = tenant_scoped(select(table).where(table.c.tenant_id == bindparam("other")))
    assert await store.of(mine).read(lambda unit: unit.all(outright, other=theirs)) == []
    counted = tenant_scoped(select(func.count()).select_from(table))
    assert await store.of(mine).read(lambda unit: unit.all(counted)) == [(1,)]


def _key(table: Table, row: Any) -> list[Any]:
    names = [c.name for c in table.columns]
    return [row[names.index(c.name)] for c in table.primary_key.columns]


@rule("TENANT-ISOLATION")
@each_table
async def test_a_bound_change_reaches_its_own_rows_only(store: Store, pair: Pair, table: Table) -> None:
    mine, theirs = pair
    await fill(store, table, pair)
    before = await rows_of(store, table, theirs)
    column = changeable(table)
    change = tenant_scoped(update(table).values({column.name: bindparam("new")}))
    assert await store.of(mine).write(lambda unit: unit.change(change, new=value_for(column, {}))) == 1
    pointed = tenant_scoped(
        update(table).where(table.c.tenant_id == bindparam("o")).values({column.name: bindparam("new")})
    )
    assert await store.of(mine).write(lambda unit: unit.change(pointed, o=theirs, new=value_for(column, {}))) == 0
    assert await store.of(mine).change_one(pointed, o=theirs, new=value_for(column, {})) == 0
    assert await store.of(mine).change_one(change, new=value_for(column, {}), **{TENANT: theirs}) == 1
    assert await rows_of(store, table, theirs) == before


@rule("TENANT-ISOLATION")
@each_table
async def test_a_bound_delete_reaches_its_own_rows_only(store: Store, pair: Pair, table: Table) -> None:
    mine, theirs = pair
    await fill(store, table, pair)
    before = await rows_of(store, table, theirs)
    pointed = tenant_scoped(delete(table).where(table.c.tenant_id == bindparam("other")))
    assert await store.of(mine).write(lambda unit: unit.change(pointed, other=theirs)) == 0
    assert await store.of(mine).write(lambda unit: unit.change(tenant_scoped(delete(table)))) == 1
    assert await rows_of(store, table, mine) == []
    assert await rows_of(store, table, theirs) == before


@each_table
async def test_a_new_row_gets_the_units_tenant_whatever_is_passed_in(store: Store, pair: Pair, table: Table) -> None:
    mine, theirs = pair
    others = await store.write(lambda unit: others_for(unit, table, mine))
    values = {c.name: value_for(c, others) for c in needed(table)}
    statement = tenant_scoped(insert(table).values({name: bindparam(name) for name in (*values, "tenant_id")}))
    before = await rows_of(store, table, theirs)
    given = {**values, "tenant_id": theirs, TENANT: theirs}
    assert await store.of(mine).write(lambda unit: unit.change(statement, **given)) == 1
    assert await rows_of(store, table, theirs) == before
    assert len(await rows_of(store, table, mine)) == 1


async def test_a_caller_cannot_name_the_tenant_of_a_statement(store: Store, pair: Pair) -> None:
    mine, theirs = pair
    await fill(store, users, pair)
    found = await store.of(mine).read(
        lambda unit: unit.all(tenant_scoped(select(users.c.tenant_id)), **{TENANT: theirs})
    )
    assert found == [(mine,)]


async def test_a_bound_join_binds_both_sides(store: Store, pair: Pair) -> None:
    """The join's own condition matches rows of any two tenants."""
    await fill(store, sessions, pair)
    both = (users.c.tenant_id, sessions.c.tenant_id)
    joined = tenant_scoped(select(*both).select_from(sessions.join(users, users.c.id != 0)))
    comma = tenant_scoped(select(*both).where(users.c.id != 0, sessions.c.id != ""))
    for tenant_id in pair:
        for statement in (joined, comma):
            assert await store.of(tenant_id).read(lambda unit: unit.all(statement)) == [(tenant_id, tenant_id)]  # noqa: B023 - awaited at once


async def test_a_bound_upsert_leaves_another_tenants_row_alone(store: Store, pair: Pair) -> None:
    mine, theirs = pair
    assert await store.of(theirs).write(lambda unit: refuse_external_token(unit, "entra:same", 5, 6))
    before = await rows_of(store, refused_tokens, theirs)
    assert await store.of(mine).write(lambda unit: refuse_external_token(unit, "entra:same", 99, 100))
    assert await rows_of(store, refused_tokens, theirs) == before
