"""``kill -9`` of a process in the middle of sign-ins and refreshes: all that was answered counts (section 12)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.processes import chain
from tests.processes.storm import Storm, honoured, storm
from tests.processes.wire import NODE, Node
from tests.support.postgres import Postgres
from tests.support.server import start, stop

GIVEN = {**NODE, "MANIFEST_REFRESH_GRACE": "0"}


async def until_it_is_killed(node: Node) -> Storm:
    """200 steps and more, of which about a third are answered."""
    told = storm(node)
    assert told.steps >= 200
    running = asyncio.create_task(told.run())
    await asyncio.wait_for(told.half.wait(), 60)
    node.server.kill()
    await running
    assert told.statuses == {200}
    assert told.answers < told.steps * 0.9, "it was killed too late to prove anything"
    return told


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_the_other_process_honours_what_the_killed_one_answered(
    kind: str, tmp_path: Path, postgres: Postgres
) -> None:
    url = f"sqlite:///{tmp_path / 'm.db'}" if kind == "sqlite" else postgres.fresh_database()
    killed, other = (Node(start(tmp_path, url, **GIVEN)) for _ in range(2))
    try:
        told = await until_it_is_killed(killed)
        honoured(told, other)
        await chain.is_whole_and_holds(told, url)
    finally:
        stop(other.server)
        stop(killed.server)


async def test_a_process_started_again_on_sqlite_honours_what_it_answered(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'm.db'}"
    killed = Node(start(tmp_path, url, **GIVEN))
    told = await until_it_is_killed(killed)
    again = Node(start(tmp_path, url, **GIVEN))
    try:
        honoured(told, again)
        await chain.is_whole_and_holds(told, url)
    finally:
        stop(again.server)
