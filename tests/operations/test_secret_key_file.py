"""Any user can replace the secret key file without stopping the server, and an unreadable one is reported."""

from __future__ import annotations

import fcntl
import logging
import os
from pathlib import Path
from threading import Thread

import pytest

from manifest_auth.maintenance.restore import restore
from manifest_auth.runtime.clock import Random
from manifest_auth.runtime.sealing import CannotOpen, Sealer, SecretKeys, add_newest_key
from tests.operations.used_installation import quiet, settings_of
from tests.support.application import App
from tests.support.secret_keys import SECRET_KEY

SERVICE = 54321


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "secret.key"
    found.write_text(SECRET_KEY + "\n")
    return found


def test_a_new_key_keeps_owner_group_and_mode(path: Path) -> None:
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, SERVICE, SERVICE + 1)
    before = path.stat()
    add_newest_key(path, Random())
    after = path.stat()
    assert (after.st_uid, after.st_gid, after.st_mode) == (before.st_uid, before.st_gid, before.st_mode)
    assert after.st_ino != before.st_ino
    assert len(path.read_text().split()) == 2


def test_a_key_that_cannot_be_given_its_owner_is_not_put(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "fchown", refuse)
    with pytest.raises(PermissionError):
        add_newest_key(path, Random())
    assert path.read_text() == SECRET_KEY + "\n"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.needs_root
def test_what_root_restores_belongs_to_whom_the_folder_belongs(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    os.chown(tmp_path / "data", SERVICE, SERVICE + 1)
    restore(settings_of(tmp_path), saved, quiet)
    found = list((tmp_path / "data").rglob("*"))
    assert len(found) > 4
    assert {(path.stat().st_uid, path.stat().st_gid) for path in found} == {(SERVICE, SERVICE + 1)}


async def test_a_key_file_that_cannot_be_read_is_logged_once_and_told_by_readiness(
    app: App, path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = SecretKeys([bytes.fromhex(SECRET_KEY)], path)
    keys.reload()
    sealer = Sealer(keys, Random())
    monkeypatch.setattr(app.services, "sealer", sealer)
    ready = {"status": "ready"}
    assert (await app.get("/readyz")).data == ready
    sealed = sealer.seal(b"value", "row")
    path.unlink()
    path.mkdir()
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            reply = await app.get("/readyz")
            assert reply.status == 200
            assert "can't be read" in reply.data["warnings"][0]
            assert str(path) not in reply.text
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == ["secret_key_unreadable"]
    assert str(path) in caplog.text
    assert sealer.open(sealed, "row") == b"value"
    with pytest.raises(CannotOpen):
        sealer.open(sealed, "other")
    path.rmdir()
    path.write_text("ab" * 16 + SECRET_KEY[32:] + "\n" + SECRET_KEY)
    assert (await app.get("/readyz")).data == ready
    assert len(keys.ciphers) == 2


def test_who_adds_a_key_waits_until_another_has_added_one(path: Path) -> None:
    """Otherwise, one of the keys would be lost, with everything that it encrypted in the meantime."""
    adds = Thread(target=add_newest_key, args=(path, Random()))
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_SH)
        adds.start()
        adds.join(0.3)
        assert path.read_text() == SECRET_KEY + "\n"
    finally:
        os.close(folder)
        adds.join()
    assert len(path.read_text().split()) == 2
