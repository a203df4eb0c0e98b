"""If the secret key is lost, a rejected start writes nothing, and one command continues without it and records that."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.processes.node_client import Node
from tests.processes.test_keys_rotate import header_of
from tests.releases import next_release
from tests.support.commands import Result, done, done_here, run, run_here
from tests.support.matrix import matrix
from tests.support.postgres import Databases
from tests.support.processes import free_port
from tests.support.rules import rule
from tests.support.secret_keys import SECRET_KEY
from tests.support.server import Server, start, stop

pytestmark = pytest.mark.processes

REASON = "The disk of the key failed"
LOST = ("keys", "lost", "--reason", REASON)
NO_KEY = {"MANIFEST_SECRET_KEY": ""}  # the test run's key
ES256 = {"MANIFEST_TOKEN_ALGORITHM": "ES256"}


def of_folder(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file in the folder, with its content."""
    return {path.name: (path.stat().st_mode, path.read_bytes()) for path in folder.iterdir()}


@rule("KEY-STRENGTH")
@matrix("command", [("serve",), ("client", "create", "globex"), ("db", "upgrade")])
def test_a_start_without_the_key_is_rejected_and_makes_none(tmp_path: Path, command: tuple[str, ...]) -> None:
    done_here(tmp_path, "client", "create", "acme")
    data = tmp_path / "data"
    (data / "secret.key").unlink()
    # With the current schema, `db upgrade` has nothing to do.
    program = next_release.runs_it(tmp_path) if command[0] == "db" else {}
    before = of_folder(data)
    for _ in range(2):
        refused = run(tmp_path, *command, MANIFEST_PORT=str(free_port()), **program)
        assert refused.status == 2
        assert refused.line.startswith(f"{data / 'secret.key'} doesn't exist, but the secret key that the database")
        assert of_folder(data) == before


@rule("KEY-STRENGTH")
def test_a_wrong_key_upgrades_nothing(tmp_path: Path) -> None:
    done_here(tmp_path, "client", "create", "acme", MANIFEST_SECRET_KEY=SECRET_KEY)
    program = next_release.runs_it(tmp_path)
    refused = run(tmp_path, "db", "upgrade", MANIFEST_SECRET_KEY=SECRET_KEY[::-1], **program)
    assert (refused.status, refused.line) == (2, "MANIFEST_SECRET_KEY: not the key that this database was created with")


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest) -> dict[str, str]:
    if request.param == "sqlite":
        return dict(ES256)
    server: Databases = request.getfixturevalue("postgres")
    return {**ES256, "MANIFEST_DATABASE_URL": server.fresh_database(), "MANIFEST_SECRET_KEY": SECRET_KEY}


def lose(folder: Path, settings: dict[str, str]) -> None:
    if "MANIFEST_SECRET_KEY" in settings:
        settings["MANIFEST_SECRET_KEY"] = SECRET_KEY[::-1]
    else:
        (folder / "data" / "secret.key").unlink()


def verified(folder: Path, settings: dict[str, str]) -> tuple[Result, list[dict[str, Any]]]:
    result = run_here(folder, "audit", "verify", "--json", **settings)
    return result, json.loads(result.out)["chains"]


@rule("AUDIT-TRAIL")
def test_one_command_goes_on_and_the_trail_says_so_for_ever(tmp_path: Path, settings: dict[str, str]) -> None:
    def served() -> Server:
        given: dict[str, Any] = {**NO_KEY, **settings}
        return start(tmp_path, settings.get("MANIFEST_DATABASE_URL", ""), **given)

    server = served()
    node, on_postgres = Node(server), "MANIFEST_DATABASE_URL" in settings
    before = node.sign_in()
    cookie = node.http.cookies["session"]
    lose(tmp_path, settings)
    if on_postgres:
        assert run_here(tmp_path, *LOST, **settings).line.startswith("a server is running on this database")
    stop(server)
    assert run_here(tmp_path, "client", "create", "too-early", **settings).status in (1, 2)
    assert "Enter them again" in done(tmp_path, *LOST, **settings)
    proved, chains = verified(tmp_path, settings)
    assert proved.status == 0, proved.out
    assert [len(chain["restarts"]) for chain in chains] == [1, 1, 1]
    told = done_here(tmp_path, "audit", "verify", **settings)
    assert f"client acme, event {chains[1]['restarts'][0]}: restarted: the secret key was lost, so missing" in told
    assert run_here(tmp_path, *LOST, **settings).line == "the secret key decrypts this database, so nothing was changed"
    server = served()
    node = Node(server)
    assert node.me(str(before["token"])).status_code == 401
    assert node.http.get("/api/client/auth/me", headers={"Cookie": f"session={cookie}"}).status_code == 200
    assert header_of(str(node.sign_in()["token"]))["alg"] == "ES256"
    stop(server)
    proved, _ = verified(tmp_path, settings)
    assert proved.status == 0
    events = [json.loads(line) for line in done_here(tmp_path, "audit", "export", **settings).splitlines()]
    found = [event for event in events if event["event"] in ("audit_restarted", "secret_key_lost")]
    assert {event["detail"]["reason"] for event in found} == {REASON}
    assert sorted(event["event"] for event in found) == ["audit_restarted"] * 3 + ["secret_key_lost"]
    asyncio.run(by_hand(tmp_path, settings, "UPDATE audit_events SET actor = 'x' WHERE tenant_id = 1 AND sequence = 2"))
    proved, chains = verified(tmp_path, settings)
    assert proved.status == 1
    assert [fault["kind"] for fault in chains[1]["faults"]] == ["broken"]


async def by_hand(folder: Path, settings: dict[str, str], statement: str) -> None:
    if url := settings.get("MANIFEST_DATABASE_URL"):
        remote: Any = await asyncpg.connect(url)
        await remote.execute(statement)
        await remote.close()
        return
    with sqlite3.connect(folder / "data" / "manifest-auth.db") as raw:
        raw.execute(statement)
    raw.close()
