"""Rows for ``bench.work``: clients with users, templates, jobs, and records, inserted in bulk.

Bypasses the server's operations.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, NamedTuple

import asyncpg
from sqlalchemy import Table

from manifest_auth.permissions import Role
from manifest_auth.store.tables import accounts, work
from manifest_auth.store.tables.installation import tenants

NOW = 1_790_000_000_000
STEPS = 5
_WORDS = ["Pump", "Valve", "Gauge", "Boiler", "Filter", "Motor", "Belt", "Sensor", "Tank", "Press"]
#: The number of users per hundred who have each role. One in ten thousand is an Admin.
_SHARES = ((60, Role.OPERATOR), (25, Role.VIEWER), (8, Role.AUTHOR), (4, Role.APPROVER), (2, Role.PUBLISHER))


class Size(NamedTuple):
    """The row counts of one client. ``records`` is the number in each job."""

    users: int
    templates: int
    jobs: int
    records: int


class Client(NamedTuple):
    """The first ID of each kind of row of one client."""

    number: int
    user: int
    template: int
    job: int
    size: Size


def name(number: int) -> str:
    """The name of the client's template or job with this index."""
    return f"{_WORDS[number % 10]} {_WORDS[number // 10 % 10]} {number * 7919 % 1_000_003}"


def email(client: Client, number: int) -> str:
    """The email address of the client's user with this index."""
    return f"{_WORDS[number * 7 % 10]}.{number * 7919 % 1_000_003}@bench-{client.number}.example"


def last_name(number: int) -> str:
    return f"{_WORDS[number * 3 % 10]}son {number * 104_729 % 1_000_003}"


def changed_at(number: int) -> int:
    return NOW - number * 13 % 10**9


def layout(sizes: Iterable[Size], first: int = 1000) -> list[Client]:
    """Assigns consecutive ID ranges to the clients."""
    found: list[Client] = []
    user = template = job = first
    for number, size in enumerate(sizes, first):
        found.append(Client(number, user, template, job, size))
        user, template, job = user + size.users, template + size.templates, job + size.jobs
    return found


def rows_of(client: Client) -> Iterator[tuple[Table, Iterator[tuple[Any, ...]]]]:
    """Yields the rows of each table, as values of its first columns in order. Referenced rows come first."""
    dice = random.Random(client.number)
    t, (users, templates, jobs, records) = client.number, client.size
    u, p, j = client.user, client.template, client.job
    yield tenants, iter([(t, f"bench-{t}", f"Bench {t}", "{}", NOW, None)])

    def user_rows() -> Iterator[tuple[Any, ...]]:
        for n in range(users):
            address, at = email(client, n), NOW - n
            roles = Role.ADMIN.bit if n % 10_000 == 0 else _role(dice.randrange(100)).bit
            gone = NOW if n % 100 == 7 else None
            yield (
                t,
                u + n,
                address,
                address.lower(),
                "Wil",
                last_name(n),
                "Fitter",
                "",
                roles,
                None,
                None,
                at,
                gone,
                None,
            )

    def version_rows() -> Iterator[tuple[Any, ...]]:
        for n in range(templates):
            state = "DRAFT" if n % 10 == 3 else "SUBMITTED" if n % 1000 == 5 else "PUBLISHED"
            yield t, p + n, p + n, 1, state, 1, u, NOW - n, NOW - n if state == "PUBLISHED" else None

    def template_rows() -> Iterator[tuple[Any, ...]]:
        for n in range(templates):
            published = None if n % 10 == 3 or n % 1000 == 5 else 1
            archived = NOW if n % 50 == 9 else None
            yield t, p + n, name(n), name(n).lower(), "", 1, published, 4, u, NOW - n, changed_at(n), archived

    def job_rows() -> Iterator[tuple[Any, ...]]:
        for n in range(jobs):
            at = p + n % templates
            status = ("COMPLETED", "COMPLETED", "COMPLETED", "IN_PROGRESS", "ASSIGNED")[n % 5]
            done = STEPS if status == "COMPLETED" else 2 if status == "IN_PROGRESS" else 0
            asset, priority = f"A-{n % max(1, jobs // 5)}", (1 if n % 20 == 0 else 2 if n % 3 else 3)
            yield (t, j + n, at, at, 1, name(n), name(n).lower(), asset, priority, status, STEPS, done, records,
                   4, u + n % users, NOW - n, changed_at(n), NOW - n, None, None)  # fmt: skip

    yield accounts.users, user_rows()
    yield work.templates, template_rows()
    yield work.template_versions, version_rows()
    yield (
        work.template_steps,
        ((t, p + n, k, f"Step {k}", "Do it.", int(k == 2)) for n in range(templates) for k in range(1, STEPS + 1)),
    )
    yield (
        work.template_events,
        (
            (t, p + n, k, move, 1, "", u, NOW - n)
            for n in range(templates)
            for k, move in enumerate(("CREATED", "SUBMITTED", "APPROVED", "PUBLISHED"), 1)
        ),
    )
    yield work.jobs, job_rows()
    yield work.job_assignments, ((t, j + n, u + (n * 31 + 1) % users, u, NOW) for n in range(jobs))
    yield (
        work.job_steps,
        (
            (t, j + n, k, u + n % users, NOW)
            for n in range(jobs)
            for k in range(1, (STEPS if n % 5 < 3 else 2 if n % 5 == 3 else 0) + 1)
        ),
    )
    yield (
        work.job_events,
        (
            (t, j + n, k, "CREATED" if k == 1 else "ASSIGNED", None, "", "{}", u, NOW)
            for n in range(jobs)
            for k in (1, 2, 3, 4)
        ),
    )
    yield (
        work.job_records,
        (
            (t, j + n, k, 1 + (k - 1) * STEPS // records, "NUMBER", None, float(k), "bar", None, u + n % users, NOW)
            for n in range(jobs)
            for k in range(1, records + 1)
        ),
    )


def _role(number: int) -> Role:
    for share, role in _SHARES:
        if number < share:
            return role
        number -= share
    return Role.USER_ADMIN


def _columns(table: Table, rows: Iterator[tuple[Any, ...]]) -> tuple[list[str], Iterator[tuple[Any, ...]]]:
    """The names of the columns that the rows fill; the others keep their defaults."""
    first = next(rows, ())
    return [column.name for column in table.c][: len(first)], chain([first] if first else [], rows)


def fill_sqlite(path: str, clients: Iterable[Client]) -> None:
    """Inserts everything in one transaction, and then checkpoints the WAL."""
    raw = sqlite3.connect(path)
    raw.execute("PRAGMA foreign_keys=OFF")
    raw.execute("PRAGMA cache_size=-200000")
    with raw:
        for client in clients:
            for table, rows in rows_of(client):
                columns, found = _columns(table, rows)
                named, marks = ", ".join(f'"{name}"' for name in columns), ", ".join("?" * len(columns))
                raw.executemany(f"INSERT INTO {table.name} ({named}) VALUES ({marks})", found)
    raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw.close()


async def fill_postgres(url: str, clients: Iterable[Client]) -> None:
    """Inserts with COPY, and then gathers the statistics that autovacuum would gather a minute later."""
    raw = await asyncpg.connect(url)
    await raw.execute("SET session_replication_role = replica; SET synchronous_commit = off")
    for client in clients:
        for table, rows in rows_of(client):
            columns, found = _columns(table, rows)
            await raw.copy_records_to_table(table.name, records=found, columns=columns)
    for table in (tenants, accounts.users, work.templates, work.template_versions, work.jobs):
        await raw.execute(
            f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), (SELECT max(id) FROM {table.name}))"
        )
    await raw.execute("VACUUM ANALYZE")
    await raw.close()
