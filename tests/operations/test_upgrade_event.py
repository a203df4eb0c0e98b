"""An upgrade is recorded in the audit trail, but just verifying a database isn't."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path

import pytest

from manifest_auth.runtime.os_process import who_runs_this
from tests.releases import next_release
from tests.store import old_stores
from tests.support.commands import done, run
from tests.support.secret_keys import SECRET_KEY
from tests.support.stores import schema_number

pytestmark = pytest.mark.processes

KEY = {"MANIFEST_SECRET_KEY": SECRET_KEY}


async def test_an_upgrade_is_in_the_audit_trail_and_no_proof_makes_one(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    url = f"sqlite:///{tmp_path / 'data' / 'manifest-auth.db'}"
    old = old_stores.read("0.1.0")
    await old.make(url)
    program = {**KEY, **next_release.runs_it(tmp_path)}
    for action in ("verify", "export"):
        refused = run(tmp_path, "audit", action, **program)
        assert (refused.status, refused.line[-34:]) == (1, "run manifest-auth db upgrade first")
    refused = run(tmp_path, "client", "create", "too-early", **program)
    assert (refused.status, refused.line[-28:]) == (3, "run manifest-auth db upgrade")
    assert await schema_number(url) == old.schema
    done(tmp_path, "db", "upgrade", **program)
    for name in ("first", "second"):
        done(tmp_path, "client", "create", name, **program)
    told = done(tmp_path, "audit", "export", "--client", "0", **program).splitlines()
    [upgraded] = [found for found in map(json.loads, told) if found["event"] == "schema_upgraded"]
    assert upgraded["detail"] == {"note": {"before": old.schema, "after": next_release.SCHEMA, **who_runs_this()}}
    done(tmp_path, "audit", "verify", **program)


def test_where_there_is_no_store_nothing_is_proved_and_none_is_made(tmp_path: Path) -> None:
    refused = run(tmp_path, "audit", "verify", **KEY)
    assert (refused.status, refused.line) == (
        1,
        "there is no database here; check MANIFEST_DATABASE_URL and MANIFEST_DATA_DIR",
    )
    assert not (tmp_path / "data").exists()


def test_a_trail_whose_tables_are_gone_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    done(tmp_path, "db", "upgrade", **KEY)
    with contextlib.closing(sqlite3.connect(tmp_path / "data" / "manifest-auth.db")) as raw:
        raw.execute("DROP TABLE audit_events")
    refused = run(tmp_path, "audit", "verify", **KEY)
    assert refused.status == 2
    assert refused.line.startswith("unexpected database schema: ")
