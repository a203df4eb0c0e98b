"""Query plans of the work lists: both databases use an index, regardless of other data."""

from __future__ import annotations

import itertools
import re
import sqlite3
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest
from sqlalchemy import Select, Table

from manifest_auth.accounts import users
from manifest_auth.maintenance.background_jobs import EXPIRING, Expiring
from manifest_auth.store import Listing, Store, TenantScoped
from manifest_auth.store.sqlite import SqliteStore
from manifest_auth.store.statements import Statement
from manifest_auth.store.tables import work
from manifest_auth.work import files, job_operations, jobs, records, template_operations, templates, versions
from tests.support.matrix import matrix

LISTINGS: dict[str, Listing[Any]] = {
    "users": users.LISTING,
    "templates": templates.LISTING,
    "jobs": jobs.LISTING,
}
#: Reads by key, of one object or of many at the same time.
LOOK_UPS: dict[str, Statement[Any]] = {
    f"{module.__name__.removeprefix('manifest_auth.')}.{name}": statement
    for module in (template_operations, files, jobs, job_operations, records, versions, templates)
    for name, statement in vars(module).items()
    if isinstance(statement, TenantScoped) and isinstance(statement.source, Select)
    if name != "_UNDER_WAY"  # counts at most sixteen uploads of a client
} | {f"users.{name}": getattr(users, name) for name in ("_BY_ID", "_LOCKED", "_BY_EMAIL", "_MANY")}  # fmt: skip


def pages(listing: Listing[Any]) -> Iterator[tuple[tuple[str, ...], str, Statement[Any]]]:
    """Every page without a search: its conditions, its order, and the statement."""
    names = sorted(set(listing.filters) - {"search"})
    for size in range(len(names) + 1):
        for chosen in itertools.combinations(names, size):
            for sort, is_back, goes_on in itertools.product(listing.sorts, (False, True), (False, True)):
                yield chosen, sort, listing._page(sort, is_back, goes_on, chosen)


class Planner:
    """The plan of a statement, with a line for each step."""

    def __init__(self, sqlite: sqlite3.Connection | None, postgres: asyncpg.Connection[Any] | None) -> None:
        self.sqlite, self.postgres = sqlite, postgres

    async def plan(self, statement: Statement[Any]) -> list[str]:
        if self.sqlite is not None:
            compiled = statement.sqlite
            found = self.sqlite.execute(f"EXPLAIN QUERY PLAN {compiled.sql}", [None] * len(compiled.order))
            return [row[3] for row in found]
        assert self.postgres is not None
        prepared = await self.postgres.prepare(statement.postgres.sql)
        by_kind = {"int4": 1, "int8": 1, "bytea": b""}
        values = [by_kind.get(kind.name, "[]") for kind in prepared.get_parameters()]
        return [row[0] for row in await self.postgres.fetch(f"EXPLAIN {statement.postgres.sql}", *values)]


@pytest.fixture(scope="module")
async def planner(store: Store, database_url: str) -> AsyncIterator[Planner]:
    """PostgreSQL reads empty tables with full scans unless these are turned off; then it uses them only if it must."""
    if isinstance(store, SqliteStore):
        connection = sqlite3.connect(store.path)
        yield Planner(connection, None)
        connection.close()
        return
    raw = await asyncpg.connect(database_url, statement_cache_size=0)
    await raw.execute("BEGIN")  # to the end, because a pooler can give each transaction another connection
    for way in ("seqscan", "bitmapscan", "hashjoin", "mergejoin"):
        await raw.execute(f"SET enable_{way} = off")
    yield Planner(None, raw)
    await raw.close()


#: Steps that read no table, but a parameter's list or earlier results.
_GIVEN = re.compile(r"json_each|given_|json_array_elements|SUBQUERY|CTE|materialize", re.IGNORECASE)


def whole(plan: list[str]) -> list[str]:
    """Steps that read a whole table or index."""
    return [step for step in plan if re.search(r"\bSCAN\b|Seq Scan", step) and not _GIVEN.search(step)] + [
        step for step in plan if "Index" in step and "Scan" in step and not _has_condition(plan, step)
    ]


def _has_condition(plan: list[str], step: str) -> bool:
    """For PostgreSQL: whether the next line has the condition of the index look-up."""
    return "Index Cond" in "".join(plan[plan.index(step) + 1 : plan.index(step) + 2])


def unsorted(plan: list[str]) -> list[str]:
    """Steps that sort more than equal values."""
    return [step for step in plan if "TEMP B-TREE" in step or re.search(r"(^|-> +)Sort +\(", step)]


@matrix("name", LISTINGS)
async def test_no_list_reads_a_table_from_end_to_end(planner: Planner, name: str) -> None:
    for conditions, sort, statement in pages(LISTINGS[name]):
        plan = await planner.plan(statement)
        assert plan
        assert whole(plan) == [], (conditions, sort, plan)


@matrix("name", LISTINGS)
async def test_a_list_without_conditions_can_sign_in_the_order_of_an_index(planner: Planner, name: str) -> None:
    listing, seen = LISTINGS[name], 0
    for conditions, sort, statement in pages(listing):
        if not conditions:
            plan = "\n".join(await planner.plan(statement))
            assert unsorted(plan.split("\n")) == [], (sort, plan)
            column = listing.sorts[sort].name
            # SQLite writes `(tenant_id=? AND name_key>?)`, PostgreSQL `(tenant_id = 1) AND (ROW(name_key, id) > …)`.
            begins = re.search(rf"tenant_id ?=.* AND \(?(ROW\()?\(?{column}\)?(, id\))? ?[<>]", plan)
            assert bool(begins) == ("after_id" in dict(statement.sqlite.order)), (sort, plan)
            seen += 1
    assert seen == 4 * len(listing.sorts)


@matrix(("name", "condition", "index"), [
    ("users", "inactive", "ix_users_deactivated"), ("templates", "archived", "ix_templates_archived")
])  # fmt: skip
async def test_what_is_put_away_has_indexes_of_its_own(planner: Planner, name: str, condition: str, index: str) -> None:
    """Archived rows can be a small part of many, in every order."""
    seen = 0
    for conditions, sort, statement in pages(LISTINGS[name]):
        if conditions == (condition,):
            plan = await planner.plan(statement)
            assert index in "\n".join(plan), (sort, plan)
            assert unsorted(plan) == [], (sort, plan)
            seen += 1
    assert seen == 4 * len(LISTINGS[name].sorts)


@matrix("name", LISTINGS)
async def test_rows_are_counted_in_an_index(planner: Planner, name: str) -> None:
    listing = LISTINGS[name]
    for size in range(3):
        for chosen in itertools.combinations(sorted(set(listing.filters) - {"search"}), size):
            assert whole(await planner.plan(listing._count(chosen))) == [], chosen


@matrix("name", LOOK_UPS)
async def test_what_is_looked_up_is_found_by_its_key(planner: Planner, name: str) -> None:
    """The look-up doesn't scan all rows. On SQLite, which plans regardless of the number of rows, it doesn't scan all
    of the client's rows either."""
    plan = await planner.plan(LOOK_UPS[name])
    assert whole(plan) == []
    assert [step for step in plan if step.endswith("(tenant_id=?)")] == []


@matrix("table", EXPIRING, ids=lambda table: table.what)
async def test_what_expired_is_found_by_time_and_dropped_by_key(planner: Planner, table: Expiring) -> None:
    """The numbers of expired and valid rows don't matter."""
    for statement in (table.find, table.drop):
        plan = await planner.plan(statement)
        assert (whole(plan), unsorted(plan)) == ([], []), plan


async def test_postgresql_expects_large_clients(planner: Planner) -> None:
    """With statistics of few rows, so that the generic plans kept for all clients also suit the largest one."""
    if planner.postgres is not None:
        found = await planner.postgres.fetch(
            "SELECT attrelid::regclass::text FROM pg_attribute "
            "WHERE attname = 'tenant_id' AND 'n_distinct=20' = ANY (attoptions)"
        )
        expected = {table.name for table in vars(work).values() if isinstance(table, Table)}
        assert {row[0] for row in found} == expected | {"users"}
