"""Processes that start together on a new database upgrade it once, and one killed midway leaves it unchanged."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from manifest_auth import tenants
from manifest_auth.maintenance import demo
from manifest_auth.maintenance.demo import filling
from manifest_auth.maintenance.startup import build_services, opened
from manifest_auth.runtime.clock import Random
from manifest_auth.runtime.sealing import KEY_FILE, keys_of_a_start
from manifest_auth.runtime.settings import load
from manifest_auth.store import SystemUnit, migrate
from tests.processes.node_client import NODE, Node
from tests.support.application import FAST
from tests.support.matrix import matrix, some_of
from tests.support.postgres import Databases
from tests.support.processes import free_port
from tests.support.rules import rule
from tests.support.secret_keys import the_keys
from tests.support.server import DEMO_PASSWORD, command, environment, launch_on_nothing, start, stop, wait_for
from tests.support.stores import schema_number

KINDS = ["sqlite", "postgresql"]
SERVE = ("serve", "--port", "PORT")
COUNTS = [2, pytest.param(5, marks=pytest.mark.release)]
HALF_WAY = """
import asyncio, sys, time
from alembic import command
from manifest_auth.runtime.clock import Random
from manifest_auth.runtime.sealing import keys_of_a_start
from manifest_auth.runtime.settings import load
from manifest_auth.store import migrate
real = command.upgrade
def upgrade(*given):
    real(*given)
    print("half way", flush=True)
    time.sleep(3600)
command.upgrade = upgrade
asyncio.run(migrate.upgrade(sys.argv[1], lambda: keys_of_a_start(load(), Random(), lambda: True)))
"""


@pytest.fixture(params=KINDS)
def fresh(request: pytest.FixtureRequest, tmp_path: Path, postgres: Databases) -> str:
    """The address of a database that doesn't exist yet, or is empty."""
    return f"sqlite:///{tmp_path / 'fresh' / 'm.db'}" if request.param == "sqlite" else postgres.empty_database()


@pytest.mark.parametrize("count", COUNTS)
def test_one_of_those_that_upgrade_together_does_it(fresh: str, tmp_path: Path, count: int) -> None:
    together = [command(tmp_path, fresh, "db", "upgrade") for _ in range(count)]
    said = [process.ended() for process in together]
    assert [status for status, _, _ in said] == [0] * count, said
    assert sorted(out for _, out, _ in said) == ["The schema is up to date.\n"] * (count - 1) + [
        "The schema was upgraded.\n"
    ]


@pytest.mark.parametrize("count", COUNTS)
def test_servers_that_start_together_on_nothing_are_one_installation(fresh: str, tmp_path: Path, count: int) -> None:
    """One schema, one secret key, one set of signing keys, and one set of demo accounts."""
    given = {**NODE, **({"MANIFEST_SECRET_KEY": ""} if fresh.startswith("sqlite") else {})}
    servers = [launch_on_nothing(tmp_path, fresh, **given) for _ in range(count)]
    try:
        nodes = [Node(wait_for(server, "/readyz", 60)) for server in servers]
        for giver in nodes:
            signed_in = giver.sign_in()
            for other in nodes:
                assert other.me(signed_in["token"]).status_code == 200
                other.refresh(signed_in["refreshToken"])
    finally:
        for server in servers:
            stop(server)


async def test_two_that_fill_an_empty_store_with_demo_data_at_the_same_time_fill_it_once(fresh: str) -> None:
    settings = load({**FAST, "MANIFEST_DATABASE_URL": fresh, "MANIFEST_DEMO_PASSWORD": DEMO_PASSWORD})
    async with opened(build_services(settings)) as first, opened(build_services(settings)) as second:
        for _ in range(5):
            made = await asyncio.gather(demo.fill(first), demo.fill(second))
            assert [m is None for m in made].count(False) <= 1
        found = await first.store.read(lambda unit: tenants.list_page(unit, 0, 10))
        assert [tenant.identifier for tenant in found] == ["acme", "globex"]


@pytest.mark.parametrize("before", range(3))
def test_a_store_that_another_fills_between_two_statements_is_filled(before: int) -> None:
    """A statement on PostgreSQL sees everything committed since the previous one."""

    class Filled(SystemUnit):
        asked = -before

        def first(self, statement: Any, **values: Any) -> Any:
            self.asked += 1
            return 1 if self.asked > 0 else None

    unit: Any = Filled.__new__(Filled)
    assert filling._is_filled(unit)


@rule("KEY-STRENGTH", "SETTINGS-SAFE")
def test_processes_that_start_together_make_one_secret_key(tmp_path: Path) -> None:
    class Slow(Random):
        def bytes(self, count: int) -> bytes:
            time.sleep(0.1)
            return super().bytes(count)

    settings = load({"MANIFEST_DATA_DIR": str(tmp_path / "data")})
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: keys_of_a_start(settings, Slow(), lambda: True).texts[0], range(8)))
    assert len(keys) == 1
    assert [(path.name, path.stat().st_mode & 0o777) for path in (tmp_path / "data").iterdir()] == [(KEY_FILE, 0o600)]


@pytest.mark.one_store
async def test_killed_half_way_the_old_schema_is_whole(fresh: str, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HALF_WAY, fresh],
        env=environment(tmp_path, fresh),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "half way\n"
    waiting = command(tmp_path, fresh, "db", "upgrade")  # waits in the queue behind the killed one
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(2)
    assert await schema_number(fresh) is None
    process.kill()
    process.wait()
    status, out, errors = waiting.ended()
    assert (status, out) == (0, "The schema was upgraded.\n"), errors
    assert await schema_number(fresh) == migrate.HEAD
    assert await migrate.upgrade(fresh, the_keys) is False


async def _make(url: str, schema: str) -> None:
    await migrate.upgrade(url, the_keys)
    change = f"UPDATE alembic_version SET version_num = '{schema}'"
    if url.startswith("sqlite"):
        import sqlite3

        raw = sqlite3.connect(url.removeprefix("sqlite:///"))
        with raw:
            raw.execute(change)
        raw.close()
    else:
        remote = await asyncpg.connect(url)
        await remote.execute(change)
        await remote.close()


@matrix(
    "arguments",
    some_of([("db", "upgrade"), SERVE, ("serve", "--demo", "--port", "PORT"), ("keys", "rotate")], SERVE),
)
async def test_a_newer_schema_is_rejected_with_one_clear_line(
    fresh: str, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    assert "9999" in (told := await _refusal(fresh, tmp_path, "9999", arguments))
    assert migrate.HEAD in told


@matrix(
    "arguments",
    some_of([("db", "upgrade"), SERVE, ("keys", "rotate"), ("audit", "verify"), ("backup", "--note")], SERVE),
)
async def test_a_schema_that_is_too_old_is_rejected_with_one_clear_line(
    fresh: str, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    told = await _refusal(fresh, tmp_path, "0011", arguments)
    assert "0011 is older than 0012, the first schema of a release; start with an empty database" in told


async def _refusal(url: str, folder: Path, schema: str, arguments: tuple[str, ...]) -> str:
    """The error line of a command, after checking that the database is unchanged."""
    await _make(url, schema)
    process = command(folder, url, *(a.replace("PORT", str(free_port())) for a in arguments))
    status, out, errors = process.ended()
    assert status != 0
    lines = [line for line in (out + errors).splitlines() if line.strip()]
    assert len(lines) == 1, lines
    assert "Traceback" not in lines[0]
    assert await schema_number(url) == schema
    return lines[0]


def test_a_store_that_was_upgraded_before_starts_as_it_is(fresh: str, tmp_path: Path) -> None:
    first = wait_for(launch_on_nothing(tmp_path, fresh, **NODE))
    token = Node(first).sign_in()["token"]
    stop(first)
    second = start(tmp_path, fresh, **NODE)
    try:
        assert Node(second).me(token).status_code == 200
    finally:
        stop(second)
