"""``audit verify`` and ``audit export`` on the command line, on both databases."""

from __future__ import annotations

import json
import os
import pwd
import sqlite3
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.support.commands import done_here as done
from tests.support.commands import run_here as run
from tests.support.postgres import Databases
from tests.support.rules import rule
from tests.support.secret_keys import SECRET_KEY
from tests.support.stores import fresh_store


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """The settings for a database with two clients."""
    if request.param == "sqlite":
        url = fresh_store(tmp_path / "test.db")
    else:
        server: Databases = request.getfixturevalue("postgres")
        url = server.fresh_database()
    made = {"MANIFEST_DATABASE_URL": url, "MANIFEST_SECRET_KEY": SECRET_KEY}
    for name in ("acme", "globex"):
        done(tmp_path, "client", "create", name, **made)
    given = ("--role", "Viewer", "--password-stdin")
    done(tmp_path, "user", "create", "a@acme.example", "--client", "acme", *given, given="granite-otter-47-lantern\n",
         **made)  # fmt: skip
    return made


async def by_hand(settings: dict[str, str], statement: str) -> None:
    url = settings["MANIFEST_DATABASE_URL"]
    if url.startswith("sqlite"):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as raw:
            raw.execute(statement)
        raw.close()
        return
    remote: Any = await asyncpg.connect(url)
    await remote.execute(statement)
    await remote.close()


@rule("AUDIT-TRAIL")
def test_the_trail_names_the_user_of_a_command(tmp_path: Path, settings: dict[str, str]) -> None:
    by_sudo = {"SUDO_USER": "ada\udcff", **settings}
    done(tmp_path, "client", "create", "initech", **by_sudo)
    done(tmp_path, "keys", "rotate", **by_sudo)
    done(tmp_path, "backup", "--note", **by_sudo)
    done(tmp_path, "domain", "vouch", "acme.example", "--client", "acme", "--reason", "Known in person", **settings)
    found = [json.loads(line) for line in done(tmp_path, "audit", "export", **settings).splitlines()]
    me = pwd.getpwuid(os.getuid()).pw_name
    by = {one["event"]: one for one in found if one["requestId"] == "command-line"}
    for event in ("client_created", "keys_rotated", "backed_up"):
        if by[event]["client"] in (None, "initech"):
            assert (by[event]["actor"], by[event]["detail"]["os_user"]) == ("system", me)
            assert by[event]["detail"]["sudo_user"] == "ada?"
    vouched = by["domain_vouched"]["detail"]
    assert vouched["os_user"] == me
    assert "sudo_user" not in vouched


async def test_verify_reports_faults_with_an_exit_status(tmp_path: Path, settings: dict[str, str]) -> None:
    assert done(tmp_path, "audit", "verify", **settings) == "4 events in 3 chains: all intact.\n"
    noted = done(tmp_path, "audit", "verify", "--json", **settings)
    found = json.loads(noted)
    assert found["ok"] is True
    assert [(c["client"], c["events"], c["last"]) for c in found["chains"]] == [
        (None, 1, 1),
        ("acme", 2, 2),
        ("globex", 1, 1),
    ]
    (tmp_path / "noted.json").write_text(noted)
    await by_hand(settings, "UPDATE audit_events SET actor = 'nobody' WHERE tenant_id = 1 AND sequence = 1")
    result = run(tmp_path, "audit", "verify", **settings)
    assert result.status == 1
    assert result.out == (
        "client acme, event 1: broken: its content doesn't match its hash\n"
        "2 events in 3 chains: 1 of them not intact.\n"
    )
    result = run(tmp_path, "audit", "verify", "--client", "acme", "--json", **settings)
    assert result.status == 1
    [chain] = json.loads(result.out)["chains"]
    assert [(f["sequence"], f["kind"]) for f in chain["faults"]] == [(1, "broken")]
    assert done(tmp_path, "audit", "verify", "--client", "globex", **settings).startswith("1 events in 1 chain: all")
    assert run(tmp_path, "audit", "verify", "--client", "no-such", **settings).line == (
        "No client has the identifier no-such"
    )
    for table in ("audit_events", "audit_heads"):
        await by_hand(settings, f"DELETE FROM {table} WHERE tenant_id = 2")
    assert "client globex, event 1: missing:" in run(tmp_path, "audit", "verify", **settings).out
    assert (
        "client globex, event 1: broken:" in run(tmp_path, "audit", "verify", "--known", "noted.json", **settings).out
    )


def test_an_export_is_complete_private_and_verifiable_on_its_own(tmp_path: Path, settings: dict[str, str]) -> None:
    lines = done(tmp_path, "audit", "export", **settings).splitlines()
    events = [json.loads(line) for line in lines]
    assert [(e["client"], e["sequence"], e["event"]) for e in events] == [
        (None, 1, "keys_made"), ("acme", 1, "client_created"), ("acme", 2, "user_created"),
        ("globex", 1, "client_created"),
    ]  # fmt: skip
    target = tmp_path / "out.jsonl"
    told = done(tmp_path, "audit", "export", "--client", "acme", "--output", "out.jsonl", **settings)
    assert told == "Wrote 2 events to out.jsonl.\n"
    assert target.stat().st_mode & 0o777 == 0o600
    assert [json.loads(line) for line in target.read_text().splitlines()] == events[1:3]
    assert run(tmp_path, "audit", "export", "--output", "out.jsonl", **settings).line == "out.jsonl already exists"
    later = done(tmp_path, "audit", "export", "--since", events[2]["at"], "--client", "acme", **settings)
    assert later == lines[2] + "\n"
    earlier = done(tmp_path, "audit", "export", "--until", events[2]["at"], "--client", "acme", **settings)
    assert earlier == lines[1] + "\n"
    assert done(tmp_path, "audit", "export", "--until", "2020-01-01", **settings) == ""
    assert run(tmp_path, "audit", "export", "--since", "yesterday", **settings).status == 2
    assert "2 events in 1 chain: all intact." in done(tmp_path, "audit", "verify", "out.jsonl", **settings)
    target.write_text(target.read_text().replace("a@acme", "b@acme"))
    result = run(tmp_path, "audit", "verify", "out.jsonl", **settings)
    assert (result.status, result.out.splitlines()[0]) == (
        1, "client acme, event 2: broken: its content doesn't match its hash",
    )  # fmt: skip
    target.write_text("no event\n")
    assert run(tmp_path, "audit", "verify", "out.jsonl", **settings).line.startswith("out.jsonl: line 1: not an event")
