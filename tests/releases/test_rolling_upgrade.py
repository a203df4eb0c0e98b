"""Nodes are replaced one by one by the next release, and back again, under load, and no request fails."""

from __future__ import annotations

import asyncio
import itertools
import time
from pathlib import Path
from typing import Any

import asyncpg
import pytest

import manifest_auth
from manifest_auth.store import migrate
from tests.kills.crowd import GRAPHQL
from tests.processes.node_client import AUTH, Node, seconds_until
from tests.releases.installation import NEXT, OLD, Installation, at_work
from tests.releases.next_release import SCHEMA, VERSION
from tests.store.expand_rules import faults, shape_of
from tests.store.old_stores import within
from tests.support import user_management as m
from tests.support.postgres import Databases
from tests.support.rounds import repeated

pytestmark = [pytest.mark.endurance, pytest.mark.timeout(900)]
SIDE_BY_SIDE_S = repeated(60, 15)
REQUESTS = repeated(2000, 500)  # in each direction


OURS = manifest_auth.__version__
_names = itertools.count(1)
_USER = f"query($id: Int!) {{ user(id: $id) {m.USER} }}"


async def test_nodes_are_replaced_one_by_one_and_back(tmp_path: Path, postgres: Databases) -> None:
    url = postgres.fresh_database()
    async with at_work(tmp_path, url) as it:
        before = await within(url, shape_of)
        assert await it.status(NEXT) == (0, migrate.HEAD, "rolling", {OURS: 2})
        began, start = time.monotonic(), it.answered
        await it.replace(0, NEXT)
        assert faults(before, await within(url, shape_of)) == []
        assert await it.status(OLD) == (0, SCHEMA, "rolling", {OURS: 1, VERSION: 1})
        side_by_side = time.monotonic()
        await each_knows_what_the_other_did(it)
        await asyncio.sleep(max(0.0, SIDE_BY_SIDE_S - (time.monotonic() - side_by_side)))
        assert await next_has_written(url)
        await it.replace(1, NEXT)
        assert await it.status(NEXT) == (0, SCHEMA, "current", {VERSION: 2})
        await it.until_answered(max(0, REQUESTS - (it.answered - start)))
        forward, there = it.answered - start, time.monotonic() - began
        await it.replace(0, OLD)
        await each_knows_what_the_other_did(it)
        await it.replace(1, OLD)
        await it.until_answered(max(0, REQUESTS - (it.answered - start - forward)))
        back = it.answered - start - forward
        assert await it.status(OLD) == (0, SCHEMA, "rolling", {OURS: 2})
    for release in (OLD, NEXT):
        await it.verifies(release)
    assert await events_of_the_upgrade(url) == 1
    print(f"forward {forward} requests in {there:.0f} s, back {back}; none failed")


async def each_knows_what_the_other_did(it: Installation) -> None:
    """One node's sessions, users, and sign-outs, on the other node."""
    nodes = [Node(node) for node in it.nodes]  # type: ignore[arg-type]  # it has the address, which is all that counts
    for here, there in (nodes, nodes[::-1]):
        await asyncio.to_thread(_both, here, there)


def _both(here: Node, there: Node) -> None:
    held = here.sign_in("user-admin@acme.example")
    email = f"rolled-{next(_names)}@acme.example"
    user = _ask(here, held["token"], m.ADD, input={"email": email, "roles": ["Viewer"]})
    assert _ask(there, held["token"], _USER, id=user["id"]) == user
    renewed = there.refresh(held["refreshToken"])
    assert here.me(renewed["token"]).status_code == there.me(renewed["token"]).status_code == 200
    assert here.post(f"{AUTH}/sign-out", token=renewed["token"]).status_code == 200
    assert seconds_until(lambda: there.me(renewed["token"]).status_code == 401) < 1


def _ask(node: Node, token: str, document: str, **variables: Any) -> Any:
    answer = node.post(GRAPHQL, {"query": document, "variables": variables}, token).json()
    assert "errors" not in answer, answer
    [found] = answer["data"].values()
    return found


async def next_has_written(url: str) -> bool:
    """One node has written the new column, and the other left it unchanged."""
    return await _count(url, "users WHERE next_seen_at IS NOT NULL") > 0


async def events_of_the_upgrade(url: str) -> int:
    return await _count(url, "audit_events WHERE event = 'schema_upgraded'")


async def _count(url: str, what: str) -> int:
    remote = await asyncpg.connect(url)
    try:
        return int(await remote.fetchval(f"SELECT count(*) FROM {what}"))
    finally:
        await remote.close()
