"""Restores a backup into an empty place, and proves that it is what was backed up."""

from __future__ import annotations

import contextlib
import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from manifest_auth.files import folder_of
from manifest_auth.operations.archive import (
    FILES,
    FORMAT,
    KEY,
    MANIFEST,
    NAME,
    STORE,
    Manifest,
    Member,
    NotPossible,
    Progress,
    copied,
)
from manifest_auth.operations.backup import ON_POSTGRES
from manifest_auth.sealing import KEY_FILE
from manifest_auth.settings import Settings
from manifest_auth.store import copying
from manifest_auth.store.migrate import HEAD, SchemaTooNew


class Proof(NamedTuple):
    """What was found in the restored store; equal to the manifest, or nothing was restored."""

    manifest: Manifest
    contents: copying.Contents
    ended_sessions: int
    needs_key: bool


class _Place(NamedTuple):
    """Where a part of an installation lies, and where it waits until all is proved."""

    final: Path

    @property
    def waiting(self) -> Path:
        return self.final.with_name(f".{self.final.name}.restoring")


def restore(settings: Settings, source: Path, progress: Progress, *, end_sessions: bool = False) -> Proof:
    """Unpacks, verifies every hash, the schema, the integrity and the counts, and only then puts all into its place.

    Raises NotPossible, SchemaTooNew, StoreUnavailable, OSError; then nothing is there that was not there before.
    """
    if settings.on_postgres:
        raise NotPossible(ON_POSTGRES)
    store = _Place(Path(settings.database.removeprefix("sqlite:///")))
    folder, key = folder_of(settings), _Place(Path(settings.data_dir) / KEY_FILE)
    files = None if folder is None else _Place(folder)
    _check_empty(store.final, folder)
    for place in filter(None, (store, key, files)):
        place.final.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _unpacking(store, key, files):
        with source.open("rb") as raw:
            manifest = _unpack(raw, store, key, files, progress)
        progress("checking the store", 0, None)
        found = _prove(manifest, store.waiting)
        has_key = KEY in manifest.members
        if has_key and key.final.exists() and key.final.read_bytes() != key.waiting.read_bytes():
            raise NotPossible(f"{key.final} is there already and is another key")
        ended = copying.end_sessions(store.waiting) if end_sessions else 0
        if files is not None and files.waiting.exists():
            with contextlib.suppress(FileNotFoundError):
                files.final.rmdir()  # it is empty
            files.waiting.rename(files.final)
        if has_key:
            key.waiting.rename(key.final)
        store.waiting.rename(store.final)
    needs_key = settings.secret_key is None and not key.final.exists()
    return Proof(manifest, found, ended, needs_key)


def _check_empty(store: Path, files: Path | None) -> None:
    for path in (store, Path(f"{store}-wal"), Path(f"{store}-shm")):
        if path.exists():
            raise NotPossible(f"{path} is there already: a backup is restored into an empty place only")
    if files is not None and files.exists() and any(files.iterdir()):
        raise NotPossible(f"{files} is not empty: a backup is restored into an empty place only")


@contextlib.contextmanager
def _unpacking(*places: _Place | None) -> Iterator[None]:
    """Whatever waits is gone afterwards; what an earlier restore left that was killed, before."""

    def clear() -> None:
        for place in filter(None, places):
            if place.waiting.is_dir():
                shutil.rmtree(place.waiting)
            place.waiting.unlink(missing_ok=True)

    clear()
    try:
        yield
    finally:
        clear()


def _unpack(raw: object, store: _Place, key: _Place, files: _Place | None, progress: Progress) -> Manifest:
    found: dict[str, Member] = {}
    manifest = None
    try:
        with tarfile.open(fileobj=raw, mode="r|") as archive:  # type: ignore[call-overload]
            for member in archive:
                progress("unpacking", len(found), None)
                name = member.name
                if not NAME.fullmatch(name) or not member.isreg() or name in found or manifest is not None:
                    raise NotPossible(f"this is no backup of ours: {name!r} does not belong into one")
                source = archive.extractfile(member)
                assert source is not None
                if name == MANIFEST:
                    manifest = msgspec.json.decode(source.read(64 * 2**20), type=Manifest)
                else:
                    found[name] = _put(source, _target(name, store, key, files))
    except tarfile.TarError as error:
        raise NotPossible(f"this is no backup, or it was cut off: {error}") from error
    except msgspec.MsgspecError as error:
        raise NotPossible(f"{MANIFEST}: {error}") from error
    if manifest is None or STORE not in found:
        raise NotPossible("this is no backup, or it was cut off: it has no manifest")
    if manifest.format != FORMAT:
        raise NotPossible(f"the backup has format {manifest.format}, this release knows {FORMAT}: upgrade the program")
    if different := sorted(name for name in found | manifest.members if found.get(name) != manifest.members.get(name)):
        raise NotPossible(f"{different[0]} is not what was backed up: its SHA-256 or size differs, or it is not there")
    return manifest


def _target(name: str, store: _Place, key: _Place, files: _Place | None) -> Path:
    if name == STORE:
        return store.waiting
    if name == KEY:
        return key.waiting
    if files is None:
        raise NotPossible("the backup holds uploaded files, and MANIFEST_FILES names no folder to put them into")
    files.waiting.mkdir(mode=0o700, exist_ok=True)
    return files.waiting.joinpath(*name.removeprefix(f"{FILES}/").split("/"))


def _put(source: object, target: Path) -> Member:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(target, "xb", opener=lambda path, flags: os.open(path, flags, 0o600)) as made:
        member = copied(source, made)  # type: ignore[arg-type]
        made.flush()
        os.fsync(made.fileno())
    return member


def _prove(manifest: Manifest, store: Path) -> copying.Contents:
    if manifest.schema > HEAD:
        raise SchemaTooNew(
            f"the backup's schema is {manifest.schema}, this release knows up to {HEAD}: upgrade the program"
        )
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
