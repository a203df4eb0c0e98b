"""Restores a backup into an empty installation, and verifies that it matches the backup."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from manifest_auth.maintenance.backup import (
    FILES,
    KEY,
    ON_POSTGRES,
    STORE,
    Archive,
    Manifest,
    Member,
    NotPossible,
    Progress,
)
from manifest_auth.maintenance.files_place import FILES_MARK
from manifest_auth.maintenance.last_backup import RESTORED
from manifest_auth.runtime.clock import Clock
from manifest_auth.runtime.files import folder_of, path_of
from manifest_auth.runtime.os_process import sync, who_runs_this
from manifest_auth.runtime.sealing import KEY_FILE
from manifest_auth.runtime.settings import Settings
from manifest_auth.store import sqlite_copy


class RestoreProof(NamedTuple):
    """The result of a restore."""

    manifest: Manifest
    ended_sessions: int
    needs_key: bool


class _Paths(NamedTuple):
    """The final paths of an installation's parts, and temporary paths for unpacking. Each temporary path is on the same
    file system as the final path, which can be a mount point. ``verified_store`` is the store's name while the other
    parts are moved. The store is moved last, so if this name exists later, the restore was interrupted."""

    store: Path
    unpacked_store: Path
    verified_store: Path
    key: Path
    unpacked_key: Path
    files: Path | None
    unpacked_files: Path

    @property
    def folders(self) -> list[Path]:
        """The folders that receive files."""
        return [self.store.parent, self.key.parent, *([self.files] if self.files else [])]


def _paths(settings: Settings) -> _Paths:
    def beside(path: Path, how: str) -> Path:
        return path.with_name(f".{path.name}.{how}")

    store, key = Path(settings.database.removeprefix("sqlite:///")), Path(settings.data_dir) / KEY_FILE
    files = folder_of(settings)
    waits = (files or key.parent) / ".restoring"
    return _Paths(
        store=store,
        unpacked_store=beside(store, "restoring"),
        verified_store=beside(store, "proved"),
        key=key,
        unpacked_key=beside(key, "restoring"),
        files=files,
        unpacked_files=waits,
    )


def restore(settings: Settings, source: Path, progress: Progress, *, end_sessions: bool = False) -> RestoreProof:
    """Unpacks, and verifies hashes, schema, integrity, and row counts. Only then moves everything into place.

    Raises NotPossible, SchemaRefused, StoreUnavailable, or OSError; then nothing was changed. The next restore removes
    the files of one that was killed.
    """
    if settings.on_postgres:
        raise NotPossible(ON_POSTGRES)
    paths = _paths(settings)
    for path in (paths.store, Path(f"{paths.store}-wal"), Path(f"{paths.store}-shm")):
        if path.exists():
            raise NotPossible(f"{path} already exists; a backup can be restored only into an empty installation")
    with source.open("rb") as raw:
        archive = Archive(raw, progress)
        manifest = archive.manifest
        manifest.contents[0].check("schema of the backup")
        with _unpacking(paths):
            _unpack(archive, paths, progress)
            ended = sqlite_copy.end_sessions(paths.unpacked_store) if end_sessions else None
            detail = {"at": Clock().now_ms(), "backup_of": manifest.made_at, "sessions_ended": ended, **who_runs_this()}
            sqlite_copy.change_values(paths.unpacked_store, put={RESTORED: json.dumps(detail)}, drop=FILES_MARK)
            _move_into_place(paths)
    return RestoreProof(manifest, ended or 0, settings.secret_key is None and not paths.key.exists())


@contextlib.contextmanager
def _unpacking(paths: _Paths) -> Iterator[None]:
    """Removes temporary files: before a restore, the files of an earlier one that was killed; afterward, its own."""
    new = [path for path in paths.folders if not path.exists()]
    for path in new:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        _set_owner(path, path.parent)
    _clear(paths)
    try:
        if paths.files is not None and any(path.name != "lost+found" for path in paths.files.iterdir()):
            raise NotPossible(f"{paths.files} isn't empty; a backup can be restored only into an empty installation")
        yield
    finally:
        _clear(paths)
        for path in reversed(new):
            with contextlib.suppress(OSError):
                path.rmdir()  # if it stayed empty


def _clear(paths: _Paths) -> None:
    if paths.verified_store.exists() and not paths.store.exists():
        _undo(paths)
    for path in (paths.unpacked_store, paths.unpacked_key, paths.verified_store):
        path.unlink(missing_ok=True)
    if paths.unpacked_files.exists():
        shutil.rmtree(paths.unpacked_files)


def _undo(paths: _Paths) -> None:
    """Removes only the files and the key that an interrupted restore moved."""
    if paths.files is not None:
        for row in sqlite_copy.files(paths.verified_store):
            path = path_of(paths.files, row.key)
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                path.parent.rmdir()  # it is empty, or missing
    if paths.unpacked_key.exists() and paths.key.exists() and paths.key.samefile(paths.unpacked_key):
        paths.key.unlink()


def _unpack(archive: Archive, paths: _Paths, progress: Progress) -> None:
    archive.put(STORE, paths.unpacked_store)
    progress("checking the database", 0, None)
    _verify(archive.manifest, paths.unpacked_store)
    if KEY in archive.manifest.members:
        archive.put(KEY, paths.unpacked_key)
        if paths.key.exists() and paths.key.read_bytes() != paths.unpacked_key.read_bytes():
            raise NotPossible(f"{paths.key} already exists and is a different key")
    names = [name for name in archive.manifest.members if name.startswith(f"{FILES}/")]
    if names and paths.files is None:
        raise NotPossible("the backup contains uploaded files, but MANIFEST_FILES isn't a folder")
    for number, name in enumerate(names):
        progress("unpacking uploaded files", number, len(names))
        archive.put(name, paths.unpacked_files / name.removeprefix(f"{FILES}/"))


def _verify(manifest: Manifest, store: Path) -> None:
    if found := sqlite_copy.damage(store):
        raise NotPossible(f"integrity_check: {found[0]}")
    if sqlite_copy.contents(store) != manifest.contents:
        raise NotPossible("schema, row counts, or audit chains don't match the manifest")
    if manifest.files == "here":
        there = {name.rpartition("/")[2]: member for name, member in manifest.members.items()}
        for row in sqlite_copy.files(store):
            named = row.key in manifest.lost or (not row.is_used and row.key not in there)
            if not named and there.get(row.key) != Member(row.size, row.sha256):
                raise NotPossible(f"the backup doesn't contain the uploaded file {row.key} as recorded in the database")


def _move_into_place(paths: _Paths) -> None:
    """Moves the parts. Each step is synced to the disk before the next one starts. The folders' owners get the
    files."""
    _set_owner(paths.unpacked_store, paths.store.parent)
    paths.unpacked_store.rename(paths.verified_store)
    sync(paths.store.parent)
    if paths.files is not None and paths.unpacked_files.exists():
        for path in paths.unpacked_files.rglob("*"):
            _set_owner(path, paths.files)
        for shelf in list(paths.unpacked_files.iterdir()):
            sync(shelf)
            shelf.rename(paths.files / shelf.name)
        sync(paths.files)
    if paths.unpacked_key.exists() and not paths.key.exists():
        _set_owner(paths.unpacked_key, paths.key.parent)
        os.link(paths.unpacked_key, paths.key)  # a hard link, by which an interrupted restore recognizes its own key
        sync(paths.key.parent)
    paths.verified_store.rename(paths.store)
    sync(paths.store.parent)


def _set_owner(path: Path, like: Path) -> None:
    """Gives the files the owner of the folder if root restores, so that the server's user can read them."""
    if os.geteuid() == 0:
        owner = like.stat()
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
