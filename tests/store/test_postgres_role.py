"""The product's logins to PostgreSQL, its settings there, and the failures that it survives."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from sqlalchemy import bindparam, select

from manifest_auth.errors import InvalidCredentials
from manifest_auth.store import Store, StoreUnavailable, SystemUnit, global_, migrate
from manifest_auth.store import postgres_connections as module
from manifest_auth.store.postgres_connections import LIMITS, connect
from manifest_auth.store.tables import installation
from tests.store.test_units_of_work import ADD, FIND, found
from tests.support.matrix import matrix
from tests.support.postgres import Databases, Postgres, database_of
from tests.support.secret_keys import the_keys
from tests.support.stores import serving, until

SHOWN = "SELECT current_setting('statement_timeout'), current_setting('idle_in_transaction_session_timeout')"


async def limits(url: str) -> tuple[str, ...]:
    """The limits of a new session."""
    raw = await connect(url)
    try:
        return tuple((await raw.fetch(SHOWN))[0])
    finally:
        await raw.close()


async def test_an_upgrade_limits_statements_and_idle_transactions(postgres: Databases) -> None:
    url = postgres.uri(database_of(postgres.empty_database()))
    assert await limits(url) == ("0", "0")
    assert await migrate.upgrade(url, the_keys) is True
    assert await limits(url) == ("15s", "15s")


async def test_a_start_sets_what_is_not_set_and_leaves_what_the_operator_chose(postgres: Databases) -> None:
    url = postgres.uri(database_of(postgres.fresh_database()))
    role = f'ALTER ROLE postgres IN DATABASE "{database_of(url)}" SET'
    postgres.psql(f"{role} statement_timeout = '30s'")
    assert await asyncio.gather(*[migrate.upgrade(url, the_keys) for _ in range(5)]) == [False] * 5
    assert await limits(url) == ("30s", "15s")


async def test_an_upgrade_has_no_limit_itself(postgres: Databases) -> None:
    url = postgres.uri(database_of(postgres.empty_database()))
    for name in LIMITS:
        postgres.psql(f"ALTER ROLE postgres IN DATABASE \"{database_of(url)}\" SET {name} = '1s'")
    other = await asyncpg.connect(url)
    try:
        transaction = other.transaction()
        await transaction.start()
        await other.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        await other.execute("SELECT pg_advisory_xact_lock($1)", module.LOCK)
        upgrading = asyncio.create_task(migrate.upgrade(url, the_keys))
        async with asyncio.timeout(60):
            while not await other.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory'"):
                await asyncio.sleep(0.05)
        await asyncio.sleep(1.3)
        assert not upgrading.done()
        await transaction.rollback()
        assert await upgrading is True
    finally:
        await other.close()


@matrix("is_serving", [False, True])
async def test_a_server_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch, is_serving: bool) -> None:
    monkeypatch.setattr(module, "LOGIN_S" if is_serving else "PATIENT_LOGIN_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"postgresql://127.0.0.1:{silent.getsockname()[1]}/none"
        with pytest.raises(StoreUnavailable):
            async with asyncio.timeout(60):
                await connect(address, is_serving=is_serving)


FIND_ALL = global_(select(installation.c.name, installation.c.value).where(installation.c.name == bindparam("name")))


@pytest.fixture
async def opened(postgres: Databases) -> AsyncIterator[tuple[Store, str]]:
    url = postgres.fresh_database()
    async with serving(url) as store:
        yield store, postgres.uri(database_of(url))


@matrix("way", ["write", "read", "look_up"])
async def test_a_column_whose_type_changed_is_read_again(opened: tuple[Store, str], way: str) -> None:
    store, url = opened

    async def get() -> Any:
        if way == "look_up":
            return await store.look_up(FIND_ALL, name="kept")
        return await getattr(store, way)(lambda unit: unit.first(FIND_ALL, name="kept"))

    await store.write(lambda unit: unit.change(ADD, name="kept", value="1"))
    for _ in range(3):
        assert await get() == ("kept", "1")
    raw = await asyncpg.connect(url)
    await raw.execute("ALTER TABLE installation ALTER COLUMN value TYPE varchar(100)")
    await raw.close()
    assert await get() == ("kept", "1")


async def test_a_server_that_became_read_only_is_left(opened: tuple[Store, str], postgres: Databases) -> None:
    """A former primary that is now a standby; a new login can find the current one elsewhere."""
    store, url = opened
    role = f'SET default_transaction_read_only = off; ALTER DATABASE "{database_of(url)}"'
    postgres.psql(f"{role} SET default_transaction_read_only = on")
    cut = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database_of(url)}'"
    await asyncio.to_thread(postgres.psql, cut)
    async with asyncio.timeout(60):
        while not store.is_gone:
            with pytest.raises(StoreUnavailable):
                await store.write(lambda unit: unit.change(ADD, name="added", value="1"))
            await asyncio.sleep(0.001)
    with pytest.raises(StoreUnavailable):
        await store.look_up(FIND, name="added")
    postgres.psql(f"{role} RESET default_transaction_read_only")
    postgres.psql(cut)
    await until(lambda: not store.is_gone)
    await store.write(lambda unit: unit.change(ADD, name="added", value="1"))


async def test_a_server_that_is_gone_is_asked_for_nothing_until_it_is_back(own_postgres: Postgres) -> None:
    async with serving(own_postgres.fresh_database()) as store:
        own_postgres.kill()
        await until(lambda: store.is_gone)
        tried = list[str]()

        def work(unit: SystemUnit) -> None:
            tried.append("work")

        for call in (store.write, store.write_quickly, store.read):
            with pytest.raises(StoreUnavailable, match="can't be reached"):
                await call(work)
        with pytest.raises(StoreUnavailable, match="can't be reached"):
            await store.ping()
        assert tried == []
        own_postgres.start_again()
        await until(lambda: not store.is_gone)
        with pytest.raises(InvalidCredentials):
            await store.write(_refused)
        assert await found(store, "kept") == "1"


def _refused(unit: SystemUnit) -> None:
    unit.change(ADD, name="kept", value="1")
    raise InvalidCredentials()
