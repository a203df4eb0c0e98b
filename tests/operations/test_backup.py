"""A backup contains one moment of a database that is being written to, and a restore verifies it."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tarfile
from pathlib import Path
from typing import Any

import pytest

from manifest_auth.maintenance import backup
from manifest_auth.maintenance.backup import MANIFEST, NotPossible, back_up
from manifest_auth.maintenance.restore import restore
from manifest_auth.runtime.files import path_of
from manifest_auth.store import sqlite_copy
from tests.operations.used_installation import BYTES, KEYS, quiet, settings_of
from tests.support.commands import done, run
from tests.support.matrix import matrix
from tests.support.secret_keys import SECRET_KEY

pytestmark = [pytest.mark.processes, pytest.mark.usefixtures("elsewhere")]


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of the installation for each test."""
    shutil.copytree(made / "data", tmp_path / "data")
    return tmp_path


def dump(store: Path) -> list[str]:
    raw = sqlite3.connect(store)
    try:
        return sorted(line for line in raw.iterdump() if "'restored'," not in line)  # the restore's own record
    finally:
        raw.close()


def manifest_of(archive: Path) -> dict[str, Any]:
    with tarfile.open(archive) as tar:
        return dict(json.load(tar.extractfile(MANIFEST)))  # type: ignore[arg-type]


def test_what_is_restored_is_what_was_backed_up(folder: Path) -> None:
    before = dump(folder / "data" / "manifest-auth.db")
    out = done(folder, "backup", "saved.tar")
    assert "Uploaded files included: 2." in out
    assert "The secret key is NOT included" in out
    assert (folder / "saved.tar").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in folder.iterdir()) == ["data", "saved.tar"]  # nothing is left behind
    shown = done(folder, "restore", "saved.tar", "--data-dir", str(folder / "new"))
    assert dump(folder / "new" / "manifest-auth.db") == before
    for key in KEYS:
        path = path_of(folder / "new" / "files", key)
        assert path.read_bytes() == BYTES
        assert path.stat().st_mode & 0o777 == 0o600
    assert "integrity_check: ok" in shown
    assert "users" in shown
    assert " 1 rows, 1 in the manifest" in shown
    chains = len(manifest_of(folder / "saved.tar")["chains"])
    assert chains >= 1
    assert f"audit chains: {chains}, last event and hash of each match the manifest" in shown
    assert "put the secret key into" in shown
    assert not (folder / "new" / "secret.key").exists()
    shutil.copy(folder / "data" / "secret.key", folder / "new")
    assert run(folder, "doctor", MANIFEST_DATA_DIR=str(folder / "new")).status == 0
    assert (
        done(folder, "client", "create", "globex", MANIFEST_DATA_DIR=str(folder / "new"))
        == "Created client globex (number 2).\n"
    )


def test_the_secret_key_is_in_it_only_when_asked_for(folder: Path) -> None:
    key = (folder / "data" / "secret.key").read_text()
    done(folder, "backup", "without.tar")
    assert key.strip().encode() not in (folder / "without.tar").read_bytes()
    assert "The secret key IS included" in done(folder, "backup", "with.tar", "--with-secret-key")
    shown = done(folder, "restore", "with.tar", MANIFEST_DATA_DIR=str(folder / "new"))
    assert "Put the secret key" not in shown
    restored = folder / "new" / "secret.key"
    assert (restored.read_text(), restored.stat().st_mode & 0o777) == (key, 0o600)
    (folder / "other").mkdir()
    (folder / "other" / "secret.key").write_text(SECRET_KEY + "\n")
    refused = run(folder, "restore", "with.tar", MANIFEST_DATA_DIR=str(folder / "other"))
    assert refused.line.endswith("secret.key already exists and is a different key")
    assert [path.name for path in (folder / "other").iterdir()] == ["secret.key"]


def test_it_is_one_moment_though_others_write_between_its_steps(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite would start again with each of these commits, and never finish while they continue."""
    store = folder / "data" / "manifest-auth.db"
    monkeypatch.setattr(sqlite_copy, "PAGES", 4)
    writer = sqlite3.connect(store, isolation_level=None)
    before, steps = dump(store), []

    def write(what: str, step: int, _of: int | None) -> None:
        if what.startswith("copying"):
            steps.append(step)
            assert len(steps) < 500  # it doesn't start again
            writer.execute("INSERT INTO installation (name, value) VALUES (?, ?)", (f"n{len(steps)}", "x" * 5000))

    back_up(settings_of(folder), folder / "saved.tar", write)
    writer.close()
    assert len(steps) > 5
    assert steps == sorted(set(steps))
    restore(settings_of(folder, "new"), folder / "saved.tar", quiet)
    assert dump(folder / "new" / "manifest-auth.db") == before
    assert len(dump(store)) > len(before)


@matrix("there", ["manifest-auth.db", "manifest-auth.db-wal", "files/aa/something"])
def test_only_an_empty_place_is_restored_into(there: str, saved: Path, tmp_path: Path) -> None:
    path = tmp_path / "data" / there
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    refused = run(tmp_path, "restore", str(saved))
    assert refused.status == 1
    assert "empty installation" in refused.line
    assert path.read_text() == "mine"


def test_no_backup_is_written_over(folder: Path) -> None:
    (folder / "saved.tar").write_text("the one of yesterday")
    assert run(folder, "backup", "saved.tar").line == "saved.tar already exists"
    assert (folder / "saved.tar").read_text() == "the one of yesterday"


def test_an_upload_that_is_gone_or_spoilt_is_told_and_the_rest_is_saved(folder: Path) -> None:
    used, unused = (path_of(folder / "data" / "files", key) for key in KEYS)
    unused.unlink()  # as the sweep does a day later
    assert done(folder, "backup", "first.tar").count("is gone") == 0
    used.write_bytes(BYTES[:-1] + b"?")
    spoilt = run(folder, "backup", "second.tar")
    assert spoilt.status == 1
    assert f"The uploaded file {KEYS[0]} is missing or damaged" in spoilt.out
    used.unlink()
    assert run(folder, "backup", "third.tar").status == 1
    for name in ("first", "second", "third"):
        restore(settings_of(folder, name), folder / f"{name}.tar", quiet)
    assert path_of(folder / "second" / "files", KEYS[0]).read_bytes().endswith(b"?")


def test_a_damaged_store_is_told_and_no_backup_is_made(folder: Path) -> None:
    store = folder / "data" / "manifest-auth.db"
    with store.open("r+b") as raw:
        raw.seek(4096 * 3)
        raw.write(b"\xff" * 8192)
    result = run(folder, "backup", "saved.tar")
    assert result.status == 1
    assert "damaged" in result.line or "malformed" in result.line
    assert [path.name for path in folder.iterdir()] == ["data"]


def test_a_full_disk_is_told_beforehand(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 1000))
    with pytest.raises(NotPossible, match="MiB are required, and 0 MiB are free"):
        back_up(settings_of(folder), folder / "saved.tar", quiet)


def test_sessions_can_be_ended_with_a_restore(saved: Path, tmp_path: Path) -> None:
    assert "sessions ended: 1" in done(tmp_path, "restore", str(saved), "--end-sessions")
    raw = sqlite3.connect(tmp_path / "data" / "manifest-auth.db")
    assert raw.execute("SELECT ended_at, end_reason FROM sessions").fetchall() == [(5, "restored")]
    raw.close()


def test_postgresql_is_sent_to_its_own_tools(tmp_path: Path) -> None:
    given = {"MANIFEST_DATABASE_URL": "postgresql://127.0.0.1:1/none", "MANIFEST_SECRET_KEY": SECRET_KEY}
    for arguments in (("backup", "x.tar"), ("restore", "x.tar")):
        result = run(tmp_path, *arguments, **given)
        assert result.status == 1
        assert "pg_dump" in result.line
        assert "docs/operations/backup.md" in result.line
    assert list(tmp_path.iterdir()) == []


def test_there_is_something_to_back_up_or_it_is_said(tmp_path: Path) -> None:
    assert run(tmp_path, "backup", "x.tar").line.startswith("there is no database at ")
    assert list(tmp_path.iterdir()) == []


def test_files_in_a_bucket_are_said_not_to_be_in_it(folder: Path) -> None:
    out = done(folder, "backup", "saved.tar", MANIFEST_FILES="s3://bucket/prefix")
    assert "Uploaded files are in s3://bucket/prefix and are NOT included" in out
    assert [name for name in manifest_of(folder / "saved.tar")["members"] if name.startswith("files/")] == []
