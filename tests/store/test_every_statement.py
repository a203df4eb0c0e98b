"""Every SQL statement in the code compiles for both databases, and both accept it."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import cache
from typing import Any

import asyncpg
import pytest

from manifest_auth.store import CrossTenant, Global, Listing, Store, TenantScoped
from manifest_auth.store.sqlite import SqliteStore
from manifest_auth.store.statements import _MISSING, TENANT, Compiled, Statement
from tests.support.matrix import matrix
from tests.support.statements import every_statement, module_members

Accept = Callable[[Sequence[Statement[Any]]], Awaitable[None]]
ALL: dict[str, Statement[Any]] = every_statement()
LISTINGS: dict[str, Listing[Any]] = module_members(Listing)


def test_the_walk_finds_the_statements() -> None:
    assert len(ALL) > 40
    assert "manifest_auth.work.templates.LISTING" in LISTINGS
    assert "manifest_auth.accounts.users._ADD" in ALL


@matrix("name", ALL)
def test_is_one_of_the_three_kinds_and_says_why_when_it_crosses(name: str) -> None:
    statement = ALL[name]
    assert isinstance(statement, TenantScoped | Global | CrossTenant)
    if isinstance(statement, CrossTenant):
        assert len(statement.because.split()) >= 5


def _asked_for(compiled: Compiled) -> set[str]:
    """The parameters that a caller must pass; the rest are constants of the statement."""
    return {name for name, default in compiled.order if default is _MISSING}


@matrix("name", ALL)
def test_compiles_for_both_stores_with_the_same_parameters(name: str) -> None:
    statement = ALL[name]
    on_sqlite, on_postgres = statement.sqlite, statement.postgres
    assert _asked_for(on_sqlite) == _asked_for(on_postgres)
    assert isinstance(statement, TenantScoped) == (TENANT in _asked_for(on_sqlite))


def test_no_statement_asks_for_columns_that_it_does_not_name() -> None:
    """Otherwise, a column added in a later release would change the results of prepared statements."""
    listed = {name: next(iter(listing.every_statement())) for name, listing in LISTINGS.items()}
    named = {
        name: each.postgres.sql.replace("EXISTS (SELECT *", "EXISTS (SELECT 1")
        for name, each in {**ALL, **listed}.items()
    }
    assert [name for name, sql in named.items() if re.search(r"(SELECT|DISTINCT|RETURNING|,|\.)\s*\*", sql)] == []


@pytest.fixture(scope="module")
async def accept(store: Store, database_url: str) -> AsyncIterator[Accept]:
    """Check statements with EXPLAIN on SQLite, and prepare them on PostgreSQL, which parses them and checks names and
    types."""
    if isinstance(store, SqliteStore):
        with contextlib.closing(sqlite3.connect(store.path)) as connection:

            async def explain(statements: Sequence[Statement[Any]]) -> None:
                for compiled in (statement.sqlite for statement in statements):
                    assert connection.execute(f"EXPLAIN {compiled.sql}", [None] * len(compiled.order)).fetchall()

            yield explain
    else:
        raw = await asyncpg.connect(database_url, statement_cache_size=0)

        async def prepare(statements: Sequence[Statement[Any]]) -> None:
            for compiled in (statement.postgres for statement in statements):
                prepared = await raw.prepare(compiled.sql)
                assert len(prepared.get_parameters()) == len(compiled.order)

        yield prepare
        await raw.close()


@matrix("name", ALL)
async def test_is_accepted_by_the_store(accept: Accept, name: str) -> None:
    await accept([ALL[name]])


@matrix("name", LISTINGS)
async def test_a_list_in_every_order_and_with_all_filters_is_accepted(accept: Accept, name: str) -> None:
    every = _of_list(name)
    assert len(every) == 2 ** len(LISTINGS[name].filters) * (1 + 4 * len(LISTINGS[name].sorts))
    for statement in every:
        assert _asked_for(statement.sqlite) == _asked_for(statement.postgres)
        assert (TENANT in _asked_for(statement.sqlite)) == isinstance(statement, TenantScoped)
    await accept(every)


@cache
def _of_list(name: str) -> list[Statement[Any]]:
    """Build and compile each list once for both databases."""
    return list(LISTINGS[name].every_statement())
