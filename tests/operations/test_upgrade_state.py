"""``db status`` shows what an upgrade needs; ``MANIFEST_DATABASE_UPGRADE=never`` leaves it to other processes."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from sqlalchemy import insert

from manifest_auth import __version__
from manifest_auth.maintenance.upgrade_state import SILENT_MS
from manifest_auth.store import migrate
from manifest_auth.store.tables import nodes
from tests.releases import next_release
from tests.store import old_stores
from tests.store.test_schema_state import NEWER, state
from tests.support.commands import done, done_here, run, run_here
from tests.support.postgres import Databases
from tests.support.processes import free_port
from tests.support.secret_keys import SECRET_KEY
from tests.support.stores import schema_number

OLDEST = migrate.head().readable_by  # the oldest schema whose programs can use the current one
LATER_MS = 600_000  # a process that keeps sending heartbeats while the commands run
NEVER = {"MANIFEST_DATABASE_UPGRADE": "never"}


@pytest.fixture
def given(empty_url: str) -> dict[str, str]:
    return {"MANIFEST_DATABASE_URL": empty_url, "MANIFEST_SECRET_KEY": SECRET_KEY}


@pytest.mark.processes
async def test_an_upgrade_that_older_programs_cannot_use(empty_url: str, given: dict[str, str], tmp_path: Path) -> None:
    given |= next_release.runs_it(tmp_path, readable_by=next_release.SCHEMA)
    old = old_stores.read("0.1.0")
    await old.make(empty_url)
    says = (
        f"schema: {old.schema}, this version upgrades it to {next_release.SCHEMA}: stop; older "
        "programs can't use that schema"
    )
    check_status(tmp_path, given, 3, (old.schema, old.schema, "stop"), "note", says)
    for arguments in (("serve", "--port", str(free_port())), ("client", "create", "some-client")):
        refused = run(tmp_path, *arguments, **given, **NEVER)
        assert (refused.status, refused.out) == (3, "")
        told = f"upgrade the database to {next_release.SCHEMA} first (its schema is {old.schema})"
        assert refused.line == f"{told}: run manifest-auth db upgrade"
    assert await schema_number(empty_url) == old.schema
    assert done(tmp_path, "db", "upgrade", **given, **NEVER) == "The schema was upgraded.\n"
    assert await schema_number(empty_url) == next_release.SCHEMA


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_from_nothing_to_a_newer_release(kind: str, tmp_path: Path, postgres: Databases) -> None:
    empty_url = postgres.empty_database() if kind == "postgresql" else f"sqlite:///{tmp_path / 'm.db'}"
    given = {"MANIFEST_DATABASE_URL": empty_url, "MANIFEST_SECRET_KEY": SECRET_KEY}
    nothing = run_here(tmp_path, "db", "status", **given)
    if kind == "postgresql":
        assert (nothing.status, nothing.out.startswith("The database is empty.")) == (0, True)
    else:
        assert (nothing.status, nothing.line.startswith("there is no database here")) == (1, True)
    assert done_here(tmp_path, "db", "upgrade", **given, **NEVER) == "The schema was upgraded.\n"
    check_status(tmp_path, given, 0, (migrate.HEAD, OLDEST, "current"), "ok", f"schema: {migrate.HEAD}, current")
    done_here(tmp_path, "client", "create", "some-client", **given, **NEVER)

    await state(empty_url, version_num=NEWER, schema=NEWER)
    says = f"schema: {NEWER}, this version uses {migrate.HEAD}: rolling"
    check_status(tmp_path, given, 0, (NEWER, OLDEST, "rolling"), "note", says)
    done_here(tmp_path, "client", "create", "another-client", **given)
    done_here(tmp_path, "audit", "verify", **given)
    done_here(tmp_path, "backup", "--note", **given)

    await state(empty_url, readable_by=NEWER)
    says = f"schema: {NEWER} is newer than {migrate.HEAD}, the newest that this version knows; upgrade the program"
    check_status(tmp_path, given, 1, (NEWER, NEWER, "refused"), "BAD", says)
    for command in (("audit", "verify"), ("backup", "--note"), ("client", "create", "third-client")):
        refused = run_here(tmp_path, *command, **given)
        assert refused.status == 1
        assert f"{NEWER} is newer than {migrate.HEAD}" in refused.line


def check_status(
    folder: Path, given: dict[str, str], status: int, expected: tuple[str, str, str], level: str, says: str
) -> None:
    """Check the output of `db status` and `doctor`, for the next release if ``given`` names its code."""
    command = run if "PYTHONPATH" in given else run_here
    found = command(folder, "db", "status", "--json", **given)
    said = json.loads(found.out)
    assert (found.status, (said["schema"], said["readable_by"], said["state"])) == (status, expected)
    told = command(folder, "db", "status", **given)
    assert (told.status, told.out.splitlines()[-1][: len(says)]) == (status, says)
    [line] = [line for line in command(folder, "doctor", **given).out.splitlines() if line[6:14] == " schema:"]
    assert line.split(maxsplit=1)[0] == level
    assert says in line


async def test_living_processes_of_another_release_are_told(postgres: Databases, tmp_path: Path) -> None:
    url = postgres.fresh_database()
    given = {"MANIFEST_DATABASE_URL": url, "MANIFEST_SECRET_KEY": SECRET_KEY}

    async def beats(name: str, version: str, schema: str, ago_ms: int) -> None:
        at = int(time.time() * 1000) - ago_ms
        row = {"id": name, "started_at": at, "seen_at": at, "host": "h", "pid": 1, "version": version,
               "schema": schema, "state": "serving", "skew_ms": 0}  # fmt: skip
        await old_stores.within(url, lambda connection: connection.execute(insert(nodes), row))

    await beats("ours", __version__, migrate.HEAD, -LATER_MS)
    await beats("killed", "0.0.1", "0001", 2 * SILENT_MS)
    check_status(tmp_path, given, 0, (migrate.HEAD, OLDEST, "current"), "ok", f"schema: {migrate.HEAD}, current")
    await beats("older", "0.0.9", "0002", -LATER_MS)
    says = f"schema: {migrate.HEAD}, this version uses {migrate.HEAD}: rolling; 1 of 0.0.9 (schema 0002) are running"
    check_status(tmp_path, given, 0, (migrate.HEAD, OLDEST, "rolling"), "note", says)
    assert "processes    1 of 0.0.9 (schema 0002)\n" in done_here(tmp_path, "db", "status", **given)


@pytest.mark.processes
async def test_a_backup_of_a_newer_store_is_made_and_restored_where_this_program_can_use_it(tmp_path: Path) -> None:
    given = {"MANIFEST_SECRET_KEY": SECRET_KEY}
    done_here(tmp_path, "client", "create", "some-client", **given)
    url = f"sqlite:///{tmp_path / 'data' / 'manifest-auth.db'}"
    await state(url, version_num=NEWER, schema=NEWER)
    done(tmp_path, "backup", "newer.tar", **given)
    assert f"schema {NEWER}" in done(tmp_path, "restore", "newer.tar", "--data-dir", "back", **given)
    back = f"sqlite:///{tmp_path / 'back' / 'manifest-auth.db'}"
    assert await migrate.find_schema(back) == (NEWER, OLDEST)
    await state(url, readable_by=NEWER)
    assert f"{NEWER} is newer than {migrate.HEAD}" in run(tmp_path, "backup", "later.tar", **given).line
