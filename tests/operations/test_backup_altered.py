"""A backup that was altered or cut off is refused, and leaves nothing."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import sqlite3
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from manifest_auth.operations.archive import MANIFEST, NotPossible
from manifest_auth.operations.restore import restore
from manifest_auth.store import migrate
from tests.operations.made import KEYS, quiet, settings_of


def change(archive: Path, alter: Callable[[dict[str, bytes]], Any]) -> None:
    """Writes the archive again with other members."""
    with tarfile.open(archive) as tar:
        members = {m.name: tar.extractfile(m).read() for m in tar}  # type: ignore[union-attr]
    alter(members)
    with tarfile.open(archive, "w") as tar:
        for name, data in members.items():
            head = tarfile.TarInfo(name)
            head.size = len(data)
            tar.addfile(head, io.BytesIO(data))


def _flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def _in_manifest(name: str, value: Any) -> Callable[[dict[str, bytes]], None]:
    def alter(members: dict[str, bytes]) -> None:
        found = json.loads(members[MANIFEST])
        members[MANIFEST] = json.dumps({**found, name: value}).encode()

    return alter


def _forged(members: dict[str, bytes]) -> None:
    """Rows were taken out and the hash in the manifest made to fit: the counts tell."""
    path = Path("forged.db")
    path.write_bytes(members["manifest-auth.db"])
    raw = sqlite3.connect(path)
    raw.execute("DELETE FROM sessions")
    raw.commit()
    raw.close()
    members["manifest-auth.db"] = path.read_bytes()
    found = json.loads(members[MANIFEST])
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    found["members"]["manifest-auth.db"] = {"size": path.stat().st_size, "sha256": digest}
    members[MANIFEST] = json.dumps(found).encode()


FILE = f"files/{KEYS[0][:2].lower()}/{KEYS[0]}"
SPOILT: dict[str, tuple[Callable[[dict[str, bytes]], Any], str]] = {
    "a bit of the store": (lambda m: m.update({"manifest-auth.db": _flip(m["manifest-auth.db"], 9000)}), "SHA-256"),
    "a bit of a file": (lambda m: m.update({FILE: _flip(m[FILE], 5000)}), "SHA-256"),
    "a file is missing": (lambda m: m.pop(FILE), "it is not there"),
    "a file too many": (lambda m: m.update({"files/aa/aaaaaaaa": b"", MANIFEST: m.pop(MANIFEST)}), "SHA-256"),
    "no manifest": (lambda m: m.pop(MANIFEST), "no manifest"),
    "no store": (lambda m: m.pop("manifest-auth.db"), "no manifest"),
    "out of the folder": (lambda m: m.update({"../evil": b"x"}), "does not belong into one"),
    "an absolute path": (lambda m: m.update({"/tmp/evil": b"x"}), "does not belong into one"),
    "a newer schema": (_in_manifest("schema", "9999"), "upgrade the program"),
    "another schema": (_in_manifest("schema", "0001"), "not those of the manifest"),
    "another format": (_in_manifest("format", 2), "upgrade the program"),
    "other counts": (_in_manifest("rows", {"users": 7}), "not those of the manifest"),
    "other heads": (_in_manifest("chains", {"0": [1, "0" * 64]}), "not those of the manifest"),
    "rows taken out": (_forged, "not those of the manifest"),
    "not even a manifest": (lambda m: m.update({MANIFEST: b"[]"}), MANIFEST),
}  # fmt: skip


@pytest.mark.parametrize("name", SPOILT)
def test_what_was_altered_is_refused_and_leaves_nothing(
    name: str, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    alter, reason = SPOILT[name]
    archive = tmp_path / "saved.tar"
    shutil.copy(saved, archive)
    change(archive, alter)
    with pytest.raises((NotPossible, migrate.SchemaTooNew), match=reason):
        restore(settings_of(tmp_path), archive, quiet)
    assert not [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert not Path("../evil").exists()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_what_was_cut_off_is_refused(share: float, saved: Path, tmp_path: Path) -> None:
    archive = tmp_path / "saved.tar"
    data = saved.read_bytes()
    archive.write_bytes(data[: int(len(data.rstrip(b"\0")) * share)])
    with pytest.raises(NotPossible, match="cut off"):
        restore(settings_of(tmp_path), archive, quiet)
    assert not [path for path in (tmp_path / "data").rglob("*") if path.is_file()]


@pytest.fixture(autouse=True)
def _out_of_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
