"""Changes with an unneeded row count are deferred, which no statement sees; on PostgreSQL they are sent together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest import mock

import pytest
from sqlalchemy import bindparam, column, func, insert, select, table

from manifest_auth import tenants
from manifest_auth.errors import InvalidCredentials, NotFound
from manifest_auth.store import Store, SystemUnit, global_, tenant_scoped
from manifest_auth.store.tables import known_origins, users
from tests.store.conftest import Pair

_U, _O = users.c, known_origins.c
ADD = tenant_scoped(insert(known_origins).values({n: bindparam(n) for n in ("user_id", "origin", "seen_at")}))
COUNT = tenant_scoped(select(func.count()).select_from(known_origins).where(_O.origin == _O.origin), int)
RENAME = tenant_scoped(users.update().where(_U.id == bindparam("of")).values(roles=bindparam("new")))
_SEATS = table("seats_taken", column("roles"), column("users"))
SEATS = global_(select(func.sum(_SEATS.c.users)).where(_SEATS.c.roles == bindparam("roles")), int)


def wait(unit: SystemUnit, tenant_id: int, user_id: int, *origins: str) -> None:
    for origin in origins:
        unit.of(tenant_id).change_later(ADD, user_id=user_id, origin=origin, seen_at=1)


def count(unit: SystemUnit, tenant_id: int) -> int:
    return unit.of(tenant_id).one(COUNT)


async def test_they_are_done_when_the_unit_returns(store: Store, pair: Pair, user_id: int) -> None:
    def work(unit: SystemUnit) -> bool:
        wait(unit, pair[0], user_id, "a", "b")
        return unit.has_written  # which ends an outage

    assert await store.write(work)
    assert await store.read(lambda unit: count(unit, pair[0])) == 2


async def test_a_read_of_their_table_sees_them(store: Store, pair: Pair, user_id: int) -> None:
    def work(unit: SystemUnit) -> int:
        wait(unit, pair[0], user_id, "a")
        return count(unit, pair[0])

    assert await store.write(work) == 1


async def test_a_read_of_a_view_sees_them(store: Store, pair: Pair, user_id: int) -> None:
    def work(unit: SystemUnit) -> int:
        unit.of(pair[0]).change_later(RENAME, of=user_id, new=4000 + pair[0])
        return unit.one(SEATS, roles=4000 + pair[0])

    assert await store.write(work) == 1


async def test_they_are_revoked_with_their_unit(store: Store, pair: Pair, user_id: int) -> None:
    def work(unit: SystemUnit) -> None:
        wait(unit, pair[0], user_id, "a")
        raise NotFound()

    with pytest.raises(NotFound):
        await store.write(work)
    assert await store.read(lambda unit: count(unit, pair[0])) == 0


async def test_a_refusal_that_keeps_writes_keeps_them(store: Store, pair: Pair, user_id: int) -> None:
    class Kept(InvalidCredentials):
        keeps_writes = True

    def work(unit: SystemUnit) -> None:
        wait(unit, pair[0], user_id, "a")
        raise Kept()

    with pytest.raises(Kept):
        await store.write(work)
    assert await store.read(lambda unit: count(unit, pair[0])) == 1


@contextmanager
def statements_of_postgresql() -> Iterator[list[str]]:
    import asyncpg

    sent: list[str] = []

    def spy(name: str) -> object:
        whole = getattr(asyncpg.Connection, name)

        async def seen(self: object, sql: str, *values: object, **options: object) -> object:
            if sql != "SELECT 1":
                sent.append(sql)
            return await whole(self, sql, *values, **options)

        return seen

    with ExitStack() as spies:
        for name in ("execute", "fetch", "fetchmany", "fetchrow"):
            spies.enter_context(mock.patch.object(asyncpg.Connection, name, spy(name)))
        yield sent


async def test_on_postgresql_they_share_a_round_trip(store: Store, pair: Pair, user_id: int, database_url: str) -> None:
    def work(unit: SystemUnit) -> None:
        wait(unit, pair[0], user_id, "a")
        tenants.get(unit, pair[0])  # reads nothing that they change
        wait(unit, pair[0], user_id, "b")
        unit.of(pair[0]).change_later(RENAME, of=user_id, new=2)

    with statements_of_postgresql() as sent:
        await store.write(work)
    if database_url.startswith("postgresql"):
        read, begin, changes, commit = sent
        assert read.startswith("SELECT tenants")
        assert (begin, commit) == ("BEGIN", "COMMIT")
        assert changes.count("INSERT INTO known_origins") == 2
        assert changes.count("UPDATE users") == 1
    assert await store.read(lambda unit: count(unit, pair[0])) == 2


async def test_on_postgresql_a_unit_that_only_reads_begins_no_transaction(store: Store, pair: Pair) -> None:
    with statements_of_postgresql() as sent:
        await store.write(lambda unit: tenants.get(unit, pair[0]))
    assert not [sql for sql in sent if sql in ("BEGIN", "COMMIT", "ROLLBACK")]
