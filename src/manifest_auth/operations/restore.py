"""Restores a backup into an empty place, and proves that it is what was backed up."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from manifest_auth.operations.archive import FILES, KEY, STORE, Manifest, Member, NotPossible, Progress
from manifest_auth.operations.archive_read import Archive
from manifest_auth.operations.backup import ON_POSTGRES
from manifest_auth.operations.last_backup import RESTORED
from manifest_auth.runtime.clock import Clock
from manifest_auth.runtime.files import folder_of, path_of
from manifest_auth.runtime.sealing import KEY_FILE
from manifest_auth.runtime.settings import Settings
from manifest_auth.runtime.temp_folder import sync
from manifest_auth.store import sqlite_copy
from manifest_auth.store.migrate import check


class Proof(NamedTuple):
    """What was restored: all that the manifest says."""

    manifest: Manifest
    ended_sessions: int
    needs_key: bool


class _Places(NamedTuple):
    """Where the parts of an installation lie, and where they wait until all is proved: beside or inside the place that
    each is for, which may be a mount point of its own. ``store_proved``: the store's name while the other parts are put
    into their places. Who finds it knows that this was broken off: the store comes last."""

    store: Path
    store_waits: Path
    store_proved: Path
    key: Path
    key_waits: Path
    files: Path | None
    files_wait: Path

    @property
    def folders(self) -> list[Path]:
        """That something is put into."""
        return [self.store.parent, self.key.parent, *([self.files] if self.files else [])]


def _places(settings: Settings) -> _Places:
    def beside(path: Path, how: str) -> Path:
        return path.with_name(f".{path.name}.{how}")

    store, key = Path(settings.database.removeprefix("sqlite:///")), Path(settings.data_dir) / KEY_FILE
    files = folder_of(settings)
    waits = (files or key.parent) / ".restoring"
    return _Places(
        store=store,
        store_waits=beside(store, "restoring"),
        store_proved=beside(store, "proved"),
        key=key,
        key_waits=beside(key, "restoring"),
        files=files,
        files_wait=waits,
    )


def restore(settings: Settings, source: Path, progress: Progress, *, end_sessions: bool = False) -> Proof:
    """Unpacks, verifies every hash, the schema, the integrity and the counts, and only then puts all into its place.

    Raises NotPossible, SchemaRefused, StoreUnavailable, OSError; then nothing is there that was not there before. What
    a restore left that was killed, at any moment, is cleared by the next one.
    """
    if settings.on_postgres:
        raise NotPossible(ON_POSTGRES)
    places = _places(settings)
    for path in (places.store, Path(f"{places.store}-wal"), Path(f"{places.store}-shm")):
        if path.exists():
            raise NotPossible(f"{path} is there already: a backup is restored into an empty place only")
    with source.open("rb") as raw:
        archive = Archive(raw, progress)
        manifest = archive.manifest
        check(manifest.schema, "the backup's schema")
        with _unpacking(places):
            _unpack(archive, places, progress)
            ended = sqlite_copy.end_sessions(places.store_waits) if end_sessions else None
            told = {"at": Clock().now_ms(), "backup_of": manifest.made_at, "sessions_ended": ended}
            sqlite_copy.write_value(places.store_waits, RESTORED, json.dumps(told))
            _put_into_place(places)
    return Proof(manifest, ended or 0, settings.secret_key is None and not places.key.exists())


@contextlib.contextmanager
def _unpacking(places: _Places) -> Iterator[None]:
    """Whatever waits is gone afterwards; what an earlier restore left that was killed, before."""
    new = [path for path in places.folders if not path.exists()]
    for path in new:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        _give(path, path.parent)
    _clear(places)
    try:
        if places.files is not None and any(path.name != "lost+found" for path in places.files.iterdir()):
            raise NotPossible(f"{places.files} is not empty: a backup is restored into an empty place only")
        yield
    finally:
        _clear(places)
        for path in reversed(new):
            with contextlib.suppress(OSError):
                path.rmdir()  # where nothing was put into it


def _clear(places: _Places) -> None:
    if places.store_proved.exists() and not places.store.exists():
        _take_back(places)
    for path in (places.store_waits, places.key_waits, places.store_proved):
        path.unlink(missing_ok=True)
    if places.files_wait.exists():
        shutil.rmtree(places.files_wait)


def _take_back(places: _Places) -> None:
    """Takes out of their places what was put there before the store: nothing but that."""
    if places.files is not None:
        for row in sqlite_copy.files(places.store_proved):
            path = path_of(places.files, row.key)
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                path.parent.rmdir()  # it is empty, or not there
    if places.key_waits.exists() and places.key.exists() and places.key.samefile(places.key_waits):
        places.key.unlink()


def _unpack(archive: Archive, places: _Places, progress: Progress) -> None:
    archive.put(STORE, places.store_waits)
    progress("checking the store", 0, None)
    _prove(archive.manifest, places.store_waits)
    if KEY in archive.manifest.members:
        archive.put(KEY, places.key_waits)
        if places.key.exists() and places.key.read_bytes() != places.key_waits.read_bytes():
            raise NotPossible(f"{places.key} is there already and is another key")
    names = [name for name in archive.manifest.members if name.startswith(f"{FILES}/")]
    if names and places.files is None:
        raise NotPossible("the backup holds uploaded files, and MANIFEST_FILES names no folder to put them into")
    for number, name in enumerate(names):
        progress("unpacking uploaded files", number, len(names))
        archive.put(name, places.files_wait / name.removeprefix(f"{FILES}/"))


def _prove(manifest: Manifest, store: Path) -> None:
    if found := sqlite_copy.damage(store):
        raise NotPossible(f"integrity_check: {found[0]}")
    if sqlite_copy.contents(store) != manifest.contents:
        raise NotPossible("schema, counts of rows or heads of audit chains are not those of the manifest")
    if manifest.files == "here":
        there = {name.rpartition("/")[2]: member for name, member in manifest.members.items()}
        for row in sqlite_copy.files(store):
            named = row.key in manifest.lost or (not row.is_used and row.key not in there)
            if not named and there.get(row.key) != Member(row.size, row.sha256):
                raise NotPossible(f"the uploaded file {row.key} is not in the backup as the store names it")


def _put_into_place(places: _Places) -> None:
    """Each step is on the disk before the next one begins. Who the folders belong to gets what is put into them."""
    _give(places.store_waits, places.store.parent)
    places.store_waits.rename(places.store_proved)
    sync(places.store.parent)
    if places.files is not None and places.files_wait.exists():
        for path in places.files_wait.rglob("*"):
            _give(path, places.files)
        for shelf in list(places.files_wait.iterdir()):
            sync(shelf)
            shelf.rename(places.files / shelf.name)
        sync(places.files)
    if places.key_waits.exists() and not places.key.exists():
        _give(places.key_waits, places.key.parent)
        os.link(places.key_waits, places.key)  # both names: a broken-off restore knows that it is its own
        sync(places.key.parent)
    places.store_proved.rename(places.store)
    sync(places.store.parent)


def _give(path: Path, like: Path) -> None:
    """Root restores for the user that the server runs as, who must be able to read it."""
    if os.geteuid() == 0:
        owner = like.stat()
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
