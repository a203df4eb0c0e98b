"""``kill -9`` of a process, or of PostgreSQL, in the middle of work: what was answered is there (section 12)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.processes import shift
from tests.processes.shift import Shift
from tests.processes.wire import NODE, Node, seconds_until
from tests.support.postgres import Postgres
from tests.support.server import start, stop


async def until_it_is_killed(node: Node) -> Shift:
    """300 acts, of which about a third are answered."""
    told = shift.begin(node)
    assert told.acts >= 300
    running = asyncio.create_task(told.run())
    await asyncio.wait_for(told.half.wait(), 60)
    node.server.kill()
    await running
    assert told.errors == []
    assert sum(len(job.records) for job in told.jobs) > 50
    assert told.answers < told.acts * 0.9, "it was killed too late to prove anything"
    return told


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_the_other_process_has_what_the_killed_one_answered(
    kind: str, tmp_path: Path, postgres: Postgres
) -> None:
    url = f"sqlite:///{tmp_path / 'm.db'}" if kind == "sqlite" else postgres.fresh_database()
    killed, other = (Node(start(tmp_path, url, **NODE)) for _ in range(2))
    try:
        shift.is_there(await until_it_is_killed(killed), other)
    finally:
        stop(other.server)
        stop(killed.server)


async def test_a_process_started_again_on_sqlite_has_what_it_answered_and_work_goes_on(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'm.db'}"
    told = await until_it_is_killed(Node(start(tmp_path, url, **NODE)))
    again = Node(start(tmp_path, url, **NODE))
    try:
        shift.is_there(told, again)
        shift.goes_on(told, again)
    finally:
        stop(again.server)


async def test_postgresql_has_what_was_answered_before_it_was_killed(own_postgres: Postgres, tmp_path: Path) -> None:
    node = Node(start(tmp_path, own_postgres.fresh_database(), **NODE))
    try:
        told = shift.begin(node)
        running = asyncio.create_task(told.run())
        await asyncio.wait_for(told.half.wait(), 60)
        own_postgres.kill()
        await running
        assert told.errors
        assert {error["extensions"]["code"] for error in told.errors} == {"OVERLOADED"}
        own_postgres.start_again()
        seconds_until(lambda: node.http.get("/readyz").status_code == 200)
        shift.is_there(told, node)
        shift.goes_on(told, node)
    finally:
        stop(node.server)
