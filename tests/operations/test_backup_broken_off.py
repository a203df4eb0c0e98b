"""Backups and restores that are killed at any moment can simply be repeated; also covers folders that are mounts."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from manifest_auth.maintenance import backup
from manifest_auth.maintenance.backup import NotPossible, back_up
from manifest_auth.maintenance.restore import restore
from manifest_auth.runtime.files import path_of
from manifest_auth.runtime.os_process import own_folder
from tests.operations.used_installation import BYTES, KEYS, quiet, settings_of
from tests.support.commands import environment
from tests.support.matrix import some_of

pytestmark = pytest.mark.processes


@pytest.fixture
def saved_with_key(made: Path, tmp_path: Path) -> Path:
    back_up(settings_of(made), tmp_path / "saved.tar", quiet, with_secret_key=True)
    return tmp_path / "saved.tar"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def killed_at(moment: int, work: Callable[[], Any]) -> bool:
    """Run ``work`` in a process that dies after this many files were synced, renamed, or linked. Returns False if it
    completed before that."""
    child = os.fork()
    if child == 0:
        left = [moment]

        def dying(call: Any) -> Any:
            def do(*given: Any, **named: Any) -> Any:
                result = call(*given, **named)
                left[0] -= 1
                if left[0] == 0:
                    os._exit(9)
                return result

            return do

        os.fsync, os.link, os.rename = dying(os.fsync), dying(os.link), dying(os.rename)
        try:
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


def test_after_a_restore_that_was_killed_at_any_moment_the_next_one_needs_no_hand(
    saved_with_key: Path, tmp_path: Path
) -> None:
    moments = 0
    while True:
        moments += 1
        folder = f"at-{moments}"
        settings = settings_of(tmp_path, folder)
        was_killed = killed_at(moments, lambda: restore(settings, saved_with_key, quiet))  # noqa: B023
        if not (tmp_path / folder / "manifest-auth.db").exists():
            restore(settings, saved_with_key, quiet)
            assert names(tmp_path / folder) == ["files", "manifest-auth.db", "secret.key"]
        for key in KEYS:  # if the database exists, it's complete
            assert path_of(tmp_path / folder / "files", key).read_bytes() == BYTES
        assert (tmp_path / folder / "secret.key").exists()
        if not was_killed:
            break
    assert moments > 10


def test_what_was_there_before_is_not_taken_for_what_a_killed_restore_left(saved: Path, tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    for moment in range(1, 30):
        if killed_at(moment, lambda: restore(settings, saved, quiet)) and list((tmp_path / "data").glob(".*.proved")):
            break
    mine = path_of(tmp_path / "data" / "files", "mine-mine-mine")
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(NotPossible, match="isn't empty"):
        restore(settings, saved, quiet)
    assert mine.read_text() == "mine"


def test_a_folder_that_is_mounted_stays_and_nothing_is_laid_beside_it(saved: Path, tmp_path: Path) -> None:
    """Nothing can be renamed over a mount point, or into it from another file system."""
    mounted = tmp_path / "mnt" / "files"
    (mounted / "lost+found").mkdir(parents=True)
    before, seen = mounted.stat().st_ino, set()

    def look(_what: str, _done: int, _of: int | None) -> None:
        seen.update(names(tmp_path / "mnt"))

    restore(settings_of(tmp_path, MANIFEST_FILES=str(mounted)), saved, look)
    assert mounted.stat().st_ino == before
    assert seen == {"files"}
    assert path_of(mounted, KEYS[0]).read_bytes() == BYTES
    assert ".restoring" not in names(mounted)


@pytest.mark.parametrize("number", some_of([signal.SIGTERM, signal.SIGKILL], signal.SIGKILL))
def test_a_backup_that_is_ended_leaves_nothing_or_the_next_one_clears_it(
    number: signal.Signals, made: Path, tmp_path: Path
) -> None:
    shutil.copytree(made / "data", tmp_path / "data")
    hold = "import manifest_auth.maintenance.backup as b, time, sys\n"
    hold += "b._write = lambda *_: (print('now', flush=True), time.sleep(60))\n"
    hold += "from manifest_auth.cli.main import main; main(['backup', 'saved.tar'])"
    running = subprocess.Popen(
        [sys.executable, "-c", hold], cwd=tmp_path, env=environment(tmp_path), stdout=subprocess.PIPE
    )
    assert running.stdout is not None
    assert b"now" in running.stdout.readline()
    with pytest.raises(NotPossible, match="simulated"):
        _back_up_beside(tmp_path)  # a concurrent backup deletes nothing of it
    assert len(list(tmp_path.glob(f"{backup._HALF}*"))) == 1
    running.send_signal(number)
    assert running.wait(20) == (143 if number == signal.SIGTERM else -9)
    running.stdout.close()
    assert len(list(tmp_path.glob(".*"))) == (0 if number == signal.SIGTERM else 1)
    back_up(settings_of(tmp_path), tmp_path / "again.tar", quiet)
    assert names(tmp_path) == ["again.tar", "data"]


def test_a_folder_of_its_own_removes_what_killed_processes_left_and_nothing_else(tmp_path: Path) -> None:
    """This includes the metrics of several web processes."""
    (tmp_path / "other").mkdir()
    (tmp_path / "mine-link").symlink_to(tmp_path / "other")
    with own_folder("mine-", tmp_path) as first:
        (tmp_path / "mine-dead" / "inside").mkdir(parents=True)
        with own_folder("mine-", tmp_path) as second:
            assert names(tmp_path) == sorted([first.name, second.name, "mine-link", "other"])
            assert second.stat().st_mode & 0o777 == 0o700
    assert names(tmp_path) == ["mine-link", "other"]


def _back_up_beside(folder: Path) -> None:
    def fail(_what: str, _done: int, _of: int | None) -> None:
        raise NotPossible("simulated")

    back_up(settings_of(folder), folder / "other.tar", fail)
