"""The kill tests can fail, because they detect deliberately broken servers and altered databases."""

from __future__ import annotations

import asyncio
import random
import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from manifest_auth.store import migrate
from tests.kills import actors, broken_servers, used_stores
from tests.kills.crowd import Crowd, Cut
from tests.kills.ledger import Ledger, Lost
from tests.kills.rounds import filled, look, the_chain_verifies, until_ready, until_successes, victims
from tests.kills.test_kill_a_migration import Round
from tests.kills.test_kill_the_server import killed_at
from tests.kills.victim import Victim
from tests.releases import next_release
from tests.support.secret_keys import the_keys

KILLS = 10


async def only_sign_in(crowd: Crowd) -> None:
    while crowd.goes_on:
        try:
            await actors.sign_in(crowd, "author@acme.example")
        except Cut:
            continue


@pytest.mark.parametrize(
    ("how", "actor", "named"),
    [
        (broken_servers.answers_before_the_commit, only_sign_in, "event signed_in of request kill-"),
        (
            broken_servers.forgets_events,
            lambda crowd: actors.visitor(crowd, "viewer@acme.example"),
            "event signed_out of request",
        ),
    ],
)
async def test_a_lost_success_is_named(tmp_path: Path, how: Any, actor: Any, named: str) -> None:
    url = f"sqlite:///{tmp_path / 'm.db'}"
    await filled(url)
    [node] = victims(tmp_path, url, 1)
    node.first = how
    crowd = Crowd([node.base], Ledger(), random.Random(1))
    try:
        node.start()
        await until_ready(node)
        crowd.begin(actor(crowd))
        assert re.search(named, await _lost(crowd, node, url))
    finally:
        await crowd.leave()
        node.stop()


async def _lost(crowd: Crowd, node: Victim, url: str) -> str:
    """The loss caused by the first kill that loses anything, since the server can write something in between."""
    for _ in range(KILLS):
        await until_successes(crowd, 10)
        await killed_at("answer", crowd, [node], 1)
        node.start()
        await until_ready(node)
        try:
            await look(crowd, url, node.base)
        except Lost as lost:
            return str(lost)
    raise AssertionError(f"{KILLS} kills lost nothing")


@pytest.mark.endurance
async def test_an_upgrade_by_halves_needs_a_hand(tmp_path: Path) -> None:
    used = await used_stores.make("0.1.0", f"sqlite:///{tmp_path / 'old.db'}")
    (tmp_path / "copy").mkdir()
    crowd = Crowd([], Ledger(), random.Random(1))
    one = Round(tmp_path / "copy", await used.copy(tmp_path / "copy"), used, crowd)
    for node in one.nodes:
        node.first = broken_servers.upgrades_by_halves
    one.nodes[0].start()
    while not (one.folder / "half").exists():
        await asyncio.sleep(0.01)
    one.nodes[0].kill()
    with pytest.raises(AssertionError, match="the start needs a hand"):
        await one.next_start()
    await crowd.leave()


@pytest.mark.endurance
async def test_a_row_that_an_upgrade_lost_and_an_event_that_someone_changed_are_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    next_release.learn(tmp_path, monkeypatch)
    used = await used_stores.make("0.1.0", f"sqlite:///{tmp_path / 'old.db'}")
    url = await used.copy(tmp_path)
    await migrate.upgrade(url, the_keys)
    await used.is_whole(url)
    await the_chain_verifies(tmp_path, url)
    raw = sqlite3.connect(used_stores.file_of(url))
    with raw:
        raw.execute("UPDATE users SET title = 'Another' WHERE id = 10777")
        raw.execute("UPDATE audit_events SET actor = 'user:9' WHERE tenant_id = 1 AND sequence = 77")
    raw.close()
    with pytest.raises(AssertionError, match="10777"):
        await used.is_whole(url)
    with pytest.raises(AssertionError, match="77"):
        await the_chain_verifies(tmp_path, url)
