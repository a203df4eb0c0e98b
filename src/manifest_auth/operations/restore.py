"""Restores a backup into an empty place, and proves that it is what was backed up."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from manifest_auth.clock import Clock
from manifest_auth.files import folder_of, path_of
from manifest_auth.last_backup import RESTORED
from manifest_auth.operations.archive import FILES, KEY, STORE, Manifest, Member, NotPossible, Progress
from manifest_auth.operations.backup import ON_POSTGRES
from manifest_auth.operations.unpacking import Archive, opened
from manifest_auth.sealing import KEY_FILE
from manifest_auth.settings import Settings
from manifest_auth.store import copying
from manifest_auth.store.migrate import check


class Proof(NamedTuple):
    """What was found in the restored store; equal to the manifest, or nothing was restored."""

    manifest: Manifest
    contents: copying.Contents
    ended_sessions: int
    needs_key: bool


class _Places(NamedTuple):
    """Where the parts of an installation lie, and where they wait until all is proved. Each waits beside or inside the
    place that it is for, which may be a mount point of its own."""

    store: Path
    key: Path
    files: Path | None

    @property
    def store_waits(self) -> Path:
        return self.store.with_name(f".{self.store.name}.restoring")

    @property
    def store_proved(self) -> Path:
        """The store's name while the other parts are put into their places. Who finds it knows that this was broken
        off: the store comes last."""
        return self.store.with_name(f".{self.store.name}.proved")

    @property
    def key_waits(self) -> Path:
        return self.key.with_name(f".{self.key.name}.restoring")

    @property
    def files_wait(self) -> Path | None:
        return None if self.files is None else self.files / ".restoring"


def restore(settings: Settings, source: Path, progress: Progress, *, end_sessions: bool = False) -> Proof:
    """Unpacks, verifies every hash, the schema, the integrity and the counts, and only then puts all into its place.

    Raises NotPossible, SchemaRefused, StoreUnavailable, OSError; then nothing is there that was not there before. What
    a restore left that was killed, at any moment, is cleared by the next one.
    """
    if settings.on_postgres:
        raise NotPossible(ON_POSTGRES)
    data = Path(settings.data_dir)
    places = _Places(Path(settings.database.removeprefix("sqlite:///")), data / KEY_FILE, folder_of(settings))
    _check_no_store(places.store)
    with opened(source, progress) as archive, _unpacking(places):
        manifest = archive.manifest
        check(manifest.schema, "the backup's schema")
        archive.put(STORE, places.store_waits)
        progress("checking the store", 0, None)
        found = _prove(manifest, places.store_waits)
        if KEY in manifest.members:
            archive.put(KEY, places.key_waits)
            if places.key.exists() and places.key.read_bytes() != places.key_waits.read_bytes():
                raise NotPossible(f"{places.key} is there already and is another key")
        _unpack_files(archive, places.files_wait, progress)
        ended = copying.end_sessions(places.store_waits) if end_sessions else 0
        told = {
            "at": Clock().now_ms(),
            "backup_of": manifest.made_at,
            "sessions_ended": ended if end_sessions else None,
        }
        copying.note(places.store_waits, RESTORED, json.dumps(told))
        _put_into_place(places)
    needs_key = settings.secret_key is None and not places.key.exists()
    return Proof(manifest, found, ended, needs_key)


def _check_no_store(store: Path) -> None:
    for path in (store, Path(f"{store}-wal"), Path(f"{store}-shm")):
        if path.exists():
            raise NotPossible(f"{path} is there already: a backup is restored into an empty place only")


@contextlib.contextmanager
def _unpacking(places: _Places) -> Iterator[None]:
    """Whatever waits is gone afterwards; what an earlier restore left that was killed, before."""
    made = [path for path in (places.store.parent, places.key.parent, places.files) if path is not None]
    new = [path for path in made if not path.exists()]
    for path in made:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in new:
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
    if places.files_wait is not None and places.files_wait.exists():
        shutil.rmtree(places.files_wait)


def _take_back(places: _Places) -> None:
    """Takes out of their places what was put there before the store: nothing but that."""
    if places.files is not None:
        for row in copying.files(places.store_proved):
            path = path_of(places.files, row.key)
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                path.parent.rmdir()  # it is empty, or not there
    if places.key_waits.exists() and places.key.exists() and places.key.samefile(places.key_waits):
        places.key.unlink()


def _unpack_files(archive: Archive, folder: Path | None, progress: Progress) -> None:
    names = [name for name in archive.manifest.members if name.startswith(f"{FILES}/")]
    if names and folder is None:
        raise NotPossible("the backup holds uploaded files, and MANIFEST_FILES names no folder to put them into")
    for number, name in enumerate(names):
        assert folder is not None
        progress("unpacking uploaded files", number, len(names))
        archive.put(name, folder.joinpath(*name.removeprefix(f"{FILES}/").split("/")))


def _put_into_place(places: _Places) -> None:
    """Each step is on the disk before the next one begins."""
    _hand_over(places)
    places.store_waits.rename(places.store_proved)
    _sync(places.store.parent)
    if places.files is not None and places.files_wait is not None and places.files_wait.exists():
        for shelf in list(places.files_wait.iterdir()):
            _sync(shelf)
            shelf.rename(places.files / shelf.name)
        _sync(places.files)
    if places.key_waits.exists() and not places.key.exists():
        os.link(places.key_waits, places.key)  # both names: a broken-off restore knows that it is its own
        _sync(places.key.parent)
    places.store_proved.rename(places.store)
    _sync(places.store.parent)


def _hand_over(places: _Places) -> None:
    """Whoever the folders belong to gets what is put into them."""
    _give(places.store_waits, places.store.parent)
    if places.key_waits.exists():
        _give(places.key_waits, places.key.parent)
    if places.files is not None and places.files_wait is not None and places.files_wait.exists():
        for path in places.files_wait.rglob("*"):
            _give(path, places.files)


def _give(path: Path, like: Path) -> None:
    """Root restores for the user that the server runs as, who must be able to read it."""
    if os.geteuid() == 0:
        owner = like.stat()
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _prove(manifest: Manifest, store: Path) -> copying.Contents:
    if found := copying.damage(store):
        raise NotPossible(f"integrity_check: {found[0]}")
    contents = copying.contents(store)
    if contents != manifest.contents:
        raise NotPossible("schema, counts of rows or heads of audit chains are not those of the manifest")
    if manifest.files == "here":
        there = {name.rpartition("/")[2]: member for name, member in manifest.members.items()}
        for row in copying.files(store):
            named = row.key in manifest.lost or (not row.is_used and row.key not in there)
            if not named and there.get(row.key) != Member(row.size, row.sha256):
                raise NotPossible(f"the uploaded file {row.key} is not in the backup as the store names it")
    return contents
