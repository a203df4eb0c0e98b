"""The token file: who can read it, that it's always complete, and that processes sharing it keep the session."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from manifest_auth_client import FileTokenStore, ManifestAuth, MemoryTokenStore, SessionAuth, Tokens, errors
from tests.sdk_python.suite.servers import EMAIL, PASSWORD, Server

ONE = Tokens("http://auth.example", "a", "r1", 2e9, 1.5e9 + 0.123456789)
TWO = Tokens("http://auth.example", "b", "r2", 2e9, 1.5e9)
PROCESSES = 5
ROTATIONS = int(os.environ.get("SDK_ROTATIONS", "100"))
#: The program of each process: it refreshes until it has stored this many new tokens itself.
WORKER = """
import sys
from manifest_auth_client import FileTokenStore, SessionAuth

class Counting(FileTokenStore):
    saved = 0
    def save(self, tokens, *, replaces):
        kept = super().save(tokens, replaces=replaces)
        self.saved += kept
        return kept

store = Counting(sys.argv[1])
session = SessionAuth(store=store)
while store.saved < int(sys.argv[2]):
    session.refresh()
print(store.saved)
"""


@pytest.mark.parametrize("kind", ["memory", "file"])
def test_only_what_is_still_there_is_replaced(kind: str, tmp_path: Path) -> None:
    store = MemoryTokenStore() if kind == "memory" else FileTokenStore(tmp_path / "tokens.json")
    assert store.load() is None
    assert not store.save(TWO, replaces=ONE)
    assert store.save(ONE, replaces=None)
    assert store.load() == ONE
    assert not store.save(TWO, replaces=None)
    assert store.save(TWO, replaces=ONE)
    assert store.save(None, replaces=TWO)
    assert store.load() is None


def test_the_file_is_the_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = FileTokenStore(tmp_path / "folder" / "tokens.json")
        store.save(ONE, replaces=None)
    finally:
        os.umask(before)
    assert [oct(path.stat().st_mode)[-3:] for path in sorted((tmp_path / "folder").iterdir())] == ["600", "600"]
    assert oct((tmp_path / "folder").stat().st_mode)[-3:] == "700"
    (tmp_path / "folder" / "tokens.json").chmod(0o640)
    with pytest.raises(PermissionError, match="read by others"):
        store.load()


def test_a_write_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FileTokenStore(tmp_path / "tokens.json")
    store.save(ONE, replaces=None)

    def full(_: int) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="full"):
        store.save(TWO, replaces=ONE)
    assert store.load() == ONE
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tokens.json", "tokens.json.lock"]


def test_the_lock_lets_one_thread_in_and_that_one_again(tmp_path: Path) -> None:
    store = FileTokenStore(tmp_path / "tokens.json")
    entered = threading.Event()

    def enter() -> None:
        with FileTokenStore(tmp_path / "tokens.json").lock():
            entered.set()

    with store.lock(), store.lock():
        other = threading.Thread(target=enter)
        other.start()
        assert not entered.wait(0.1)
    other.join(10)
    assert entered.is_set()


def test_a_session_goes_on_in_the_next_process(server: Server, tmp_path: Path) -> None:
    store = FileTokenStore(tmp_path / "tokens.json")
    with ManifestAuth(server.base_url, client="acme", store=store) as auth:
        auth.sign_in(EMAIL, PASSWORD)
    with ManifestAuth(server.base_url, store=FileTokenStore(tmp_path / "tokens.json")) as auth:
        assert auth.me()["user"]["email"] == EMAIL
        auth.sign_out()
    assert store.load() is None


def test_a_sign_out_in_one_process_is_one_in_all(server: Server, tmp_path: Path) -> None:
    stores = [FileTokenStore(tmp_path / "tokens.json") for _ in range(2)]
    with ManifestAuth(server.base_url, client="acme", store=stores[0]) as first:
        first.sign_in(EMAIL, PASSWORD)
        with ManifestAuth(server.base_url, store=stores[1]) as second:
            assert second.me()
            first.sign_out()
            with pytest.raises(errors.Unauthenticated):
                second.me()
            first.sign_in(EMAIL, PASSWORD)
            assert second.me()["user"]["email"] == EMAIL  # and a sign-in works too


def _start(path: Path, rotations: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WORKER, str(path), str(rotations)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_five_processes_that_share_a_file_keep_the_session(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    SessionAuth(server.expired_tokens(), store=FileTokenStore(path))
    workers = [_start(path, ROTATIONS // PROCESSES) for _ in range(PROCESSES)]
    said = [worker.communicate() for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * PROCESSES, said[0][1][-2000:]
    assert sum(int(out) for out, _ in said) == ROTATIONS
    with ManifestAuth(server.base_url, store=FileTokenStore(path)) as auth:
        assert auth.me()["user"]["email"] == EMAIL
        assert auth.refresh()


@pytest.mark.parametrize("kills", [int(os.environ.get("SDK_KILLS", "5"))])
def test_processes_that_are_killed_lose_no_session(server: Server, tmp_path: Path, kills: int) -> None:
    path = tmp_path / "tokens.json"
    SessionAuth(server.expired_tokens(), store=FileTokenStore(path))
    workers = [_start(path, 1_000_000) for _ in range(3)]
    for number in range(kills):
        time.sleep(0.3 + 0.037 * number % 0.1)
        worker = workers.pop(0)
        worker.send_signal(signal.SIGKILL)
        assert worker.wait() == -signal.SIGKILL, worker.communicate()[1][-2000:]
        workers.append(_start(path, 1_000_000))
    for worker in workers:
        worker.kill()
        worker.communicate()
    server.after_the_grace()
    with ManifestAuth(server.base_url, store=FileTokenStore(path)) as auth:
        assert auth.refresh()
        assert auth.me()["user"]["email"] == EMAIL
