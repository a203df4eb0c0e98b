"""An altered or truncated backup is rejected, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import resource
import shutil
import sqlite3
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from manifest_auth.maintenance import backup
from manifest_auth.maintenance import backup as archive_read
from manifest_auth.maintenance.backup import MANIFEST, MOST_FILES, MOST_MANIFEST, NotPossible
from manifest_auth.maintenance.restore import restore
from manifest_auth.store import migrate, sqlite_copy
from tests.operations.used_installation import KEYS, quiet, settings_of
from tests.support.matrix import matrix
from tests.support.stores import fresh_store

pytestmark = [pytest.mark.processes, pytest.mark.usefixtures("elsewhere")]


def change(archive: Path, alter: Callable[[dict[str, bytes]], Any]) -> None:
    """Rewrite the archive with changed members."""
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


def _missing_and_smaller_than_nothing(members: dict[str, bytes]) -> None:
    found = json.loads(members[MANIFEST])["members"]
    members.pop(FILE)
    _in_manifest("members", {**found, FILE: {**found[FILE], "size": -1}})(members)


def _of_a_newer_release(members: dict[str, bytes]) -> None:
    for name in ("schema", "readable_by"):
        _in_manifest(name, "9999")(members)


def _forged(members: dict[str, bytes]) -> None:
    """Rows are removed, and the hash in the manifest adjusted, but the counts reveal it."""
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
    "a file is missing": (lambda m: m.pop(FILE), "damaged or missing"),
    "a file is missing, of -1 bytes": (_missing_and_smaller_than_nothing, "damaged or missing"),
    "a file too many": (lambda m: m.update({"files/aa/aaaaaaaa": b"", MANIFEST: m.pop(MANIFEST)}), "SHA-256"),
    "no manifest": (lambda m: m.pop(MANIFEST), "no manifest"),
    "no store": (lambda m: m.pop("manifest-auth.db"), "no manifest"),
    "out of the folder": (lambda m: m.update({"../evil": b"x"}), "it contains '../evil'"),
    "an absolute path": (lambda m: m.update({"/tmp/evil": b"x"}), "it contains '/tmp/evil'"),
    "a newer schema": (_of_a_newer_release, "upgrade the program"),
    "a newer schema that this release may use": (_in_manifest("schema", "9999"), "don't match the manifest"),
    "other programs that may use it": (_in_manifest("readable_by", "0011"), "don't match the manifest"),
    "an older schema": (_in_manifest("schema", "0011"), "older than 0012"),
    "another format": (_in_manifest("format", 2), "upgrade the program"),
    "another format with other members": (
        lambda m: m.update({MANIFEST: b'{"format": 2, "hitherto": "unknown"}'}), "upgrade the program"),
    "other counts": (_in_manifest("rows", {"users": 7}), "don't match the manifest"),
    "other heads": (_in_manifest("chains", {"0": [1, "0" * 64]}), "don't match the manifest"),
    "rows taken out": (_forged, "don't match the manifest"),
    "not even a manifest": (lambda m: m.update({MANIFEST: b"[]"}), MANIFEST),
}  # fmt: skip


@matrix("name", SPOILT)
def test_what_was_altered_is_rejected_and_leaves_nothing(
    name: str, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    alter, reason = SPOILT[name]
    archive = tmp_path / "saved.tar"
    shutil.copy(saved, archive)
    change(archive, alter)
    with pytest.raises((NotPossible, migrate.SchemaRefused), match=reason):
        restore(settings_of(tmp_path), archive, quiet)
    assert not [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert not Path("../evil").exists()


def test_a_header_is_not_taken_into_memory(saved: Path, tmp_path: Path) -> None:
    """An extended header declares its own size; here it's 3 GB, in a sparse file."""
    archive = tmp_path / "saved.tar"
    head = tarfile.TarInfo("x")
    head.type, head.size = tarfile.XHDTYPE, 3 * 10**9
    with archive.open("wb") as made:
        made.write(head.tobuf(tarfile.USTAR_FORMAT))
        made.seek(head.size + (-head.size) % 512, 1)
        made.write(saved.read_bytes())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(NotPossible, match="header of more than 1 MiB"):
        restore(settings_of(tmp_path), archive, quiet)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


def test_a_store_of_more_than_8_gib_has_such_a_header_and_is_read(saved: Path, tmp_path: Path) -> None:
    with tarfile.open(saved) as tar:
        members = {m.name: tar.extractfile(m).read() for m in tar}  # type: ignore[union-attr]
    with tarfile.open(tmp_path / "saved.tar", "w") as tar:
        for name, data in members.items():
            head = tarfile.TarInfo(name)
            head.size, head.pax_headers = len(data), {"size": str(len(data))}
            tar.addfile(head, io.BytesIO(data))
    restore(settings_of(tmp_path), tmp_path / "saved.tar", quiet)


def test_what_cannot_be_restored_is_not_backed_up(
    made: Path, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have the same limit, which is checked before the expensive part, so no file is copied."""
    monkeypatch.setattr(backup, "MOST_FILES", 1)
    monkeypatch.setattr(backup, "_add_files", None)
    with pytest.raises(NotPossible, match="2 uploaded files exceed the limit of 1 for one backup"):
        backup.back_up(settings_of(made), tmp_path / "x.tar", quiet)
    monkeypatch.undo()
    for module in (backup, archive_read):
        monkeypatch.setattr(module, "MOST_MANIFEST", 100)
    with pytest.raises(NotPossible, match="more than 100"):
        backup.back_up(settings_of(made), tmp_path / "x.tar", quiet)
    with pytest.raises(NotPossible, match="more than 100"):
        restore(settings_of(tmp_path), saved, quiet)
    assert not (tmp_path / "data").exists()
    assert not list(tmp_path.glob("*.tar"))
    longest = len(f' "files/zz/{"z" * 64}": {{\n   "size": {10**13},\n   "sha256": "{"0" * 64}"\n  }},\n')
    assert 320 * MOST_FILES <= MOST_MANIFEST
    assert longest + 80 < 320


@matrix("share", [0.0, 0.3, 0.99])
def test_what_was_cut_off_is_rejected(share: float, saved: Path, tmp_path: Path) -> None:
    archive = tmp_path / "saved.tar"
    data = saved.read_bytes()
    archive.write_bytes(data[: int(len(data.rstrip(b"\0")) * share)])
    with pytest.raises(NotPossible, match="incomplete"):
        restore(settings_of(tmp_path), archive, quiet)
    assert not [path for path in (tmp_path / "data").rglob("*") if path.is_file()]


def test_a_row_whose_owner_is_gone_is_damage(tmp_path: Path) -> None:
    store = fresh_store(tmp_path / "store.db")
    path = Path(store.removeprefix("sqlite:///"))
    with contextlib.closing(sqlite3.connect(path)) as raw:
        raw.execute("INSERT INTO file_totals (tenant_id, bytes) VALUES (7, 1)")
        raw.commit()
    [found] = sqlite_copy.damage(path)
    assert found.startswith("file_totals: row 7 ")
    assert sqlite_copy.damage(path, quick=True) == []
