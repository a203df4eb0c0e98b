"""An upgrade waits for a lock in short steps: readers of the table go on, and at the end it says who holds it."""

from __future__ import annotations

import asyncio
import time

import asyncpg
import pytest

from manifest_auth.store import StoreUnavailable, ddl_locks, migrate
from tests.store import old_stores
from tests.support.postgres import Databases
from tests.support.secret_keys import the_keys

HELD_S = 6
READ = "SELECT count(*) FROM users"


async def old(postgres: Databases) -> str:
    url = postgres.empty_database()
    await old_stores.read("0008").make(url)
    return url


async def test_a_reader_that_holds_a_table_makes_no_one_wait_long(postgres: Databases) -> None:
    url = await old(postgres)
    holder, reader = await asyncpg.connect(url), await asyncpg.connect(url)
    try:
        await holder.execute("BEGIN")
        await holder.fetchval(READ)
        upgrade = asyncio.create_task(migrate.upgrade(url, the_keys))
        longest, began = 0.0, time.monotonic()
        while time.monotonic() - began < HELD_S:
            asked = time.monotonic()
            await reader.fetchval(READ)
            longest = max(longest, time.monotonic() - asked)
            await asyncio.sleep(0.01)
        assert not upgrade.done()
        assert await migrate.current_version(url) == "0008"
        await holder.execute("ROLLBACK")
        assert await upgrade is True
        assert 1 < longest < 2.5  # it did stand behind the upgrade
    finally:
        await holder.close()
        await reader.close()


async def test_at_the_end_it_says_who_holds_the_lock(postgres: Databases, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ddl_locks, "TRIES", 2)
    url = await old(postgres)
    holder = await asyncpg.connect(url, server_settings={"application_name": "report"})
    try:
        await holder.execute("BEGIN")
        await holder.fetchval(READ)
        with pytest.raises(StoreUnavailable) as told:
            await migrate.upgrade(url, the_keys)
        assert f"a lock on a table that report (process {holder.get_server_pid()}, user " in str(told.value)
        assert await migrate.current_version(url) == "0008"
    finally:
        await holder.close()
