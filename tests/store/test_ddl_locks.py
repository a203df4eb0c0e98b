"""An upgrade waits for a lock in short steps, so that readers continue; if it gives up, it names the lock's holder."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import func, select

from manifest_auth.store import StoreUnavailable, cross_tenant, migrate, open_store
from manifest_auth.store.tables import sessions, users
from tests.releases import next_release
from tests.support.matrix import matrix
from tests.support.postgres import Databases
from tests.support.secret_keys import the_keys
from tests.support.stores import schema_number

READ = "SELECT count(*) FROM users"
#: Whether a reader waits behind an upgrade.
BEHIND = """
    SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database AND datname = current_database()
    WHERE NOT granted AND relation = 'users'::regclass AND mode = 'AccessShareLock'
"""


OLD = migrate.HEAD


@pytest.fixture
def url(postgres: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database with the current schema, to be upgraded to the next one."""
    made = postgres.fresh_database()
    next_release.learn(tmp_path, monkeypatch)
    return made


async def test_a_reader_that_holds_a_table_makes_no_one_wait_long(url: str) -> None:
    holder, reader, watcher = [await asyncpg.connect(url) for _ in range(3)]
    try:
        await holder.execute("BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0")
        await holder.fetchval(READ)
        upgrade = asyncio.create_task(migrate.upgrade(url, the_keys))
        for _ in range(2):  # it tries again
            read = asyncio.create_task(reader.fetchval(READ))
            while not await watcher.fetchval(BEHIND):
                if read.done():
                    read = asyncio.create_task(reader.fetchval(READ))
                await asyncio.sleep(0.001)
            await read  # the upgrade releases its request, although the table is still locked
        assert migrate.LOCK_TIMEOUT.endswith("= '2s'")
        assert not upgrade.done()
        assert await schema_number(url) == OLD
        await holder.execute("ROLLBACK")
        assert await upgrade is True
    finally:
        for each in (holder, reader, watcher):
            await each.close()


_JOINED = cross_tenant(
    select(func.count()).select_from(sessions.join(users, users.c.id == sessions.c.user_id)), because="a test"
)


@matrix("kind", ["look_up", "read", "write"])
async def test_what_a_change_of_two_tables_got_in_the_way_of_is_asked_again(postgres: Databases, kind: str) -> None:
    """Each holds one table and waits for the other, so PostgreSQL cancels the reader."""
    url = postgres.fresh_database()
    store, changer = open_store(url, 4), await asyncpg.connect(url)
    await store.open()
    try:
        await changer.execute("BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
        if kind == "look_up":
            asked = asyncio.create_task(store.look_up(_JOINED))
        else:
            asked = asyncio.create_task(getattr(store, kind)(lambda unit: unit.first(_JOINED)))
        await asyncio.sleep(0.3)
        await changer.execute("LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE")
        assert not asked.done()
        await changer.execute("COMMIT")
        assert await asked == (0,)
    finally:
        await changer.close()
        await store.close()


async def test_at_the_end_it_says_who_holds_the_lock(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrate, "TRIES", 2)
    holder = await asyncpg.connect(url, server_settings={"application_name": "report"})
    try:
        await holder.execute("BEGIN")
        await holder.fetchval(READ)
        with pytest.raises(StoreUnavailable) as told:
            await migrate.upgrade(url, the_keys)
        assert f"a lock on a table that report (process {holder.get_server_pid()}, user " in str(told.value)
        assert await schema_number(url) == OLD
    finally:
        await holder.close()
