"""The timer's backup is encrypted for a key, the newest backups are kept, and a failure loses nothing."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.support.commands import done_here, environment, installation
from tests.support.programs import COMMAND

pytestmark = pytest.mark.processes

SCRIPT = Path(__file__).parents[2] / "deploy" / "backup"
OLD = [f"manifest-auth-2026010{day}T000000Z.tar" for day in range(1, 6)]


def backed_up(folder: Path, **given: str) -> subprocess.CompletedProcess[str]:
    made = {"BACKUP_FOLDER": str(folder / "backups"), "BACKUP_COMMAND": f"{' '.join(COMMAND)} backup"}
    env = environment(folder, **{**made, **given})
    return subprocess.run(["sh", SCRIPT], env=env, cwd=folder, capture_output=True, text=True, check=False)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "backups").iterdir())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    done_here(installation(tmp_path), "client", "create", "acme")
    (tmp_path / "backups").mkdir()
    for name in (*OLD, "notes.txt"):
        (tmp_path / "backups" / name).write_text("old")
    return tmp_path


def test_the_newest_are_kept_and_others_files_left_alone(folder: Path) -> None:
    ran = backed_up(folder, BACKUP_KEEP="3")
    assert ran.returncode == 0, ran.stderr
    *kept, made, other = names(folder)
    assert (kept, other) == (OLD[-2:], "notes.txt")
    assert (folder / "backups" / made).stat().st_mode & 0o777 == 0o600
    assert (folder / "backups" / made).stat().st_size > 10_000


def test_a_failure_deletes_nothing_and_ends_with_its_status(folder: Path) -> None:
    before = names(folder)
    for given, status in (
        ({"BACKUP_COMMAND": "false"}, 1),
        ({"BACKUP_KEEP": "0"}, 2),
        ({"BACKUP_KEEP": "08"}, 2),
        ({"BACKUP_KEY": "/nowhere.asc"}, 2),
    ):
        assert backed_up(folder, **{"BACKUP_KEEP": "1", **given}).returncode == status
        assert names(folder) == before


@pytest.mark.needs("gpg")
def test_it_is_encrypted_for_a_key(folder: Path) -> None:
    home = tempfile.mkdtemp(prefix="gpg-", dir="/tmp")  # the path of its socket must be short
    gpg = ["gpg", "--homedir", home, "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""]
    subprocess.run([*gpg, "--quick-generate-key", "backup@acme.example", "future-default"], check=True)
    try:
        public = subprocess.run([*gpg, "--armor", "--export"], check=True, capture_output=True).stdout
        (folder / "backup.asc").write_bytes(public)
        (folder / "broken.asc").write_text("no key")
        before = names(folder)
        broken = {"BACKUP_KEY": str(folder / "broken.asc"), "BACKUP_COMMAND": f"touch {folder / 'made'} #"}
        assert backed_up(folder, **broken).returncode
        assert names(folder) == before
        assert not (folder / "made").exists()
        (folder / "backups" / "manifest-auth.tar.part").write_text("of a run that was killed")
        ran = backed_up(folder, BACKUP_KEY=str(folder / "backup.asc"))
        assert ran.returncode == 0, ran.stderr
        [made] = set(names(folder)) - set(before)
        assert made.endswith(".tar.gpg")
        opened = subprocess.run(
            [*gpg, "--decrypt", str(folder / "backups" / made)], check=True, capture_output=True
        ).stdout
        assert b"manifest-auth.db" in opened
    finally:
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=True)
        shutil.rmtree(home, ignore_errors=True)
