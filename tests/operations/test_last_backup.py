"""The database records the last backup, which system admins, ``doctor``, Prometheus, and the audit trail show."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import bindparam, insert

from manifest_auth.audit import Origin
from manifest_auth.cli.main import main
from manifest_auth.maintenance import background_jobs, last_backup
from manifest_auth.maintenance.backup import record_backup
from manifest_auth.store import StoreUnavailable, global_
from manifest_auth.store.migrate import upgrade
from manifest_auth.store.tables import installation
from tests.operations.used_installation import settings_of
from tests.releases import next_release
from tests.support.application import App
from tests.support.commands import run
from tests.support.faults import room_for
from tests.support.postgres import Databases
from tests.support.secret_keys import SECRET_KEY, the_keys
from tests.support.system_admins import events

DAY_MS = 86_400_000
THE_COMMAND = Origin(0, "system", "", "command-line")
STATUS = "/api/admin/status"


class Command:
    """``manifest-auth`` in this process, with one database: its exit status and its output."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys

    def __call__(self, *arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        shown = self._capsys.readouterr()
        return int(str(ended.value.code)), shown.out + shown.err

    def done(self, *arguments: str) -> str:
        status, text = self(*arguments)
        assert status == 0, text
        return text

    def told(self) -> str:
        """The line of ``doctor``."""
        [line] = [line for line in self("doctor")[1].splitlines() if "backup:" in line]
        return line

    def noted(self, name: str = "data") -> list[int]:
        """The time of the last backup, as recorded in the database."""
        rows = self.change("SELECT value FROM installation WHERE name = 'last_backup'", name)
        return [int(value) for (value,) in rows]

    def change(self, statement: str, name: str = "data") -> list[Any]:
        """Run a statement directly in the database."""
        raw = sqlite3.connect(self.folder / name / "manifest-auth.db", isolation_level=None)
        try:
            return raw.execute(statement).fetchall()
        finally:
            raw.close()


@pytest.fixture
def command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MANIFEST_SECRET_KEY", SECRET_KEY)
    monkeypatch.setenv("MANIFEST_DATA_DIR", str(tmp_path / "data"))
    made = Command(tmp_path, capsys)
    made.done("db", "upgrade")
    return made


def test_a_backup_is_noted_once_it_is_whole(command: Command) -> None:
    assert "none is recorded" in command.told()
    before = int(time.time() * 1000)
    command.done("backup", "saved.tar")
    [at] = command.noted()
    assert before <= at <= int(time.time() * 1000)
    assert "backup: last one at 20" in command.told()
    assert "not intact" not in command.done("audit", "verify")
    exported = command.done("audit", "export", "--client", "0").splitlines()
    [event] = [json.loads(line) for line in exported if "backed_up" in line]
    assert (event["event"], event["actor"]) == ("backed_up", "system")
    assert command("backup", "saved.tar")[0] == 1  # it already exists
    assert command.noted() == [at]
    command.done("restore", "saved.tar", "--data-dir", "new")
    assert command.noted("new") == []  # the record is newer than the saved moment


@pytest.mark.parametrize("how", [[], ["--end-sessions"]])
def test_a_restore_is_in_the_audit_trail_once(
    how: list[str], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    command.done("backup", "saved.tar")
    command.done("restore", "saved.tar", "--data-dir", "new", *how)
    monkeypatch.setenv("MANIFEST_DATA_DIR", str(command.folder / "new"))
    for _ in range(2):
        command.done("keys", "rotate")
    exported = [json.loads(line) for line in command.done("audit", "export", "--client", "0").splitlines()]
    [event] = [event for event in exported if event["event"] == "restored"]
    note = event["detail"]["note"] if isinstance(event["detail"], dict) else json.loads(event["detail"])["note"]
    assert note["backup_of"] <= note["at"]
    assert note["sessions_ended"] == (0 if how else None)
    assert "not intact" not in command.done("audit", "verify")


@pytest.mark.parametrize(("written", "told"), [('{"by": "pg_restore"}', {"by": "pg_restore"}), ("by hand", "by hand")])
async def test_of_processes_that_start_together_one_records_a_restore(app: App, written: str, told: Any) -> None:
    put = global_(insert(installation).values(name=last_backup.RESTORED, value=bindparam("value")))
    await app.services.store.write(lambda unit: unit.change(put, value=written))
    await asyncio.gather(*(last_backup.record_restore_and_upgrade(app.services.store, 5) for _ in range(3)))
    found = [detail for event, _, _, detail in await events(app) if event == "restored"]
    assert found[-1] == {"note": told}
    assert len([detail for detail in found if detail == {"note": told}]) == 1


def test_a_note_alone_is_enough_and_an_old_one_is_told_of(command: Command) -> None:
    assert command.done("backup", "--note").startswith("Recorded a backup at 20")
    [at] = command.noted()
    command.change(f"UPDATE installation SET value = '{at - 3 * DAY_MS}' WHERE name = 'last_backup'")
    assert "backup: the last one is 3 days old" in command.told()
    assert command("backup")[0] == 2
    assert command("backup", "--note", "x.tar")[0] == 2


async def test_a_full_disk_rejects_the_note(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, MANIFEST_SECRET_KEY=SECRET_KEY)
    await upgrade(settings.database, the_keys)
    store = tmp_path / "data" / "manifest-auth.db"
    with room_for(store.stat().st_size // 2), pytest.raises(StoreUnavailable):
        await record_backup(settings, THE_COMMAND, 5, by="x" * store.stat().st_size)


@pytest.mark.processes
def test_a_backup_that_cannot_be_noted_is_a_backup(command: Command) -> None:
    """An older database is backed up before its upgrade, and a record in it couldn't be signed."""
    program = {"MANIFEST_SECRET_KEY": SECRET_KEY, **next_release.runs_it(command.folder)}
    saved = run(command.folder, "backup", "saved.tar", **program)
    assert "The backup is complete, but it couldn't be recorded" in saved.out + saved.err
    assert saved.status == 0
    assert (command.folder / "saved.tar").exists()
    assert run(command.folder, "backup", "--note", **program).status == 1


@pytest.mark.parametrize(("schema", "told"), [("0011", "0011 is older than 0012"), ("9999", "9999 is newer than")])
def test_of_a_schema_that_could_not_be_restored_no_backup_is_made(command: Command, schema: str, told: str) -> None:
    command.change(f"UPDATE alembic_version SET version_num = '{schema}'")
    for arguments in (["saved.tar"], ["--note"]):
        status, text = command("backup", *arguments)
        assert (status, len(text.splitlines())) == (1, 1)
        assert told in text
    assert not (command.folder / "saved.tar").exists()


async def test_the_status_and_the_metrics_say_when_it_was(app: App) -> None:
    assert (await app.get(STATUS, token=await app.admin_token())).data["lastBackupAt"] is None
    name = "manifest_last_backup_timestamp_seconds"
    await background_jobs.update_backup_metric(app.services)
    assert app.services.metrics.registry.get_sample_value(name) == 0
    await record_backup(app.services.settings, THE_COMMAND, app.clock.ms, by="note")
    await background_jobs.update_backup_metric(app.services)
    assert app.services.metrics.registry.get_sample_value(name) == app.clock.ms / 1000
    status = (await app.get(STATUS, token=await app.admin_token())).data
    assert status["lastBackupAt"] == status["now"]
    await background_jobs.update_disk_metric(app.services)
    assert (app.services.metrics.registry.get_sample_value("manifest_disk_free_bytes") or 0) > 2**20


def test_on_postgresql_it_is_noted_by_hand_and_not_on_a_standby(
    command: Command, monkeypatch: pytest.MonkeyPatch, postgres: Databases
) -> None:
    url = postgres.empty_database()
    monkeypatch.setenv("MANIFEST_DATABASE_URL", url)
    assert command("backup", "--note")[0] == 1  # there is nothing yet
    command.done("db", "upgrade")
    assert command.done("backup", "--note").startswith("Recorded a backup at 20")
    monkeypatch.setenv("MANIFEST_DATABASE_URL", f"{url}{'&' if '?' in url else '?'}default_transaction_read_only=on")
    status, text = command("backup", "--note")
    assert (status, len(text.splitlines())) == (1, 1)
    assert "read-only" in text
