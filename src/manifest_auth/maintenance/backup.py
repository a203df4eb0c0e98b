"""Backs up an installation on SQLite while it serves: a copy of the store, the files that it names, and a manifest."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from pathlib import Path
from typing import Any

import msgspec

from manifest_auth import __version__
from manifest_auth.context import Acting
from manifest_auth.maintenance import last_backup
from manifest_auth.maintenance.archive import (
    FILES,
    FORMAT,
    KEY,
    MANIFEST,
    MOST_FILES,
    MOST_MANIFEST,
    STORE,
    Manifest,
    Member,
    NotPossible,
    Progress,
    add,
)
from manifest_auth.maintenance.last_backup import DAY_MS, OLD_MS
from manifest_auth.runtime.clock import Clock
from manifest_auth.runtime.files import folder_of, path_of
from manifest_auth.runtime.os_process import own_folder, sync
from manifest_auth.runtime.sealing import Macs, secret_keys
from manifest_auth.runtime.settings import Settings, SettingsError
from manifest_auth.store import Store, open_store, sqlite_copy
from manifest_auth.store.migrate import HEAD, find_schema
from manifest_auth.text.canonical import when

_HALF = ".manifest-auth-backup-"
ON_POSTGRES = (
    "the store is a PostgreSQL database: back it up with pg_dump and restore it with pg_restore, "
    "see docs/operations/backup.md, Backup"
)


def back_up(settings: Settings, target: Path, progress: Progress, *, with_secret_key: bool = False) -> Manifest:
    """Creates ``target``, readable by this user alone, complete or not at all.

    Raises NotPossible, SchemaRefused (for a schema that could not be restored), StoreUnavailable, OSError.

    The store is copied first, then the files that it names. A file is stored before its row, so all of them exist,
    except unused ones that were deleted meanwhile.
    """
    source = _source(settings)
    if target.exists():
        raise NotPossible(f"{target} is there already")
    _check_space(settings, source, target)
    began = Clock().now_ms()
    with own_folder(_HALF, target.absolute().parent) as folder:
        copy = folder / STORE
        sqlite_copy.copy(source, copy, lambda done, of: progress("copying the store, pages", done, of))
        progress("checking the copy", 0, None)
        if found := sqlite_copy.damage(copy):
            raise NotPossible(f"the store is damaged: {found[0]}; see docs/operations/backup.md, Backup")
        (folder / "tar").touch(mode=0o600)
        with (folder / "tar").open("wb") as made:
            manifest = _write(settings, made, copy, folder, progress, began, with_secret_key)
            made.flush()
            os.fsync(made.fileno())
        (folder / "tar").rename(target)
    sync(target.absolute().parent)
    return manifest


def _source(settings: Settings) -> Path:
    if settings.on_postgres:
        raise NotPossible(ON_POSTGRES)
    source = Path(settings.database.removeprefix("sqlite:///"))
    if not source.exists():
        raise NotPossible(f"there is no store at {source}")
    return source


def _check_space(settings: Settings, source: Path, target: Path) -> None:
    """Checks the disk: copy and archive exist together for a while."""
    log = Path(f"{source}-wal")
    needed = 2 * (source.stat().st_size + (log.stat().st_size if log.exists() else 0))
    folder = folder_of(settings)
    if folder is not None and folder.exists():
        needed += sum(path.stat().st_size for path in folder.glob("*/*"))
    free = shutil.disk_usage(target.absolute().parent).free
    if free < needed:
        raise NotPossible(f"{target.parent}: {needed // 2**20} MiB are needed, {free // 2**20} MiB are free")


def _write(
    settings: Settings,
    made: io.BufferedWriter,
    copy: Path,
    folder: Path,
    progress: Progress,
    began: int,
    with_secret_key: bool,
) -> Manifest:
    found = sqlite_copy.contents(copy)
    found.schema.check()
    members: dict[str, Member] = {}
    lost: list[str] = []
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as archive:
        size = copy.stat().st_size
        members[STORE] = add(archive, STORE, copy, lambda done: progress("writing the store, bytes", done, size))
        place = folder_of(settings)
        if place is not None:
            rows = sqlite_copy.files(copy)
            if len(rows) > MOST_FILES:
                raise NotPossible(f"{len(rows):,} uploaded files are more than the {MOST_FILES:,} of one backup")
            _add_files(archive, place, rows, members, lost, progress)
        if with_secret_key:
            (folder / KEY).write_text("".join(f"{text}\n" for text in secret_keys(settings).texts), "ascii")
            members[KEY] = add(archive, KEY, folder / KEY)
        manifest = Manifest(
            format=FORMAT,
            release=__version__,
            made_at=began,
            schema=found.schema.number,
            rows=found.rows,
            chains=found.chains,
            files="here" if place is not None else settings.files,
            lost=lost,
            members=members,
            readable_by=found.schema.readable_by,
        )
        text = msgspec.json.format(msgspec.json.encode(manifest, order="deterministic"), indent=1)
        if len(text) > MOST_MANIFEST:
            raise NotPossible(f"the manifest has {len(text):,} bytes, more than {MOST_MANIFEST:,}")
        head = tarfile.TarInfo(MANIFEST)
        head.size, head.mode = len(text), 0o600
        archive.addfile(head, io.BytesIO(text))
    return manifest


def _add_files(
    archive: tarfile.TarFile,
    place: Path,
    rows: list[sqlite_copy.FileRow],
    members: dict[str, Member],
    lost: list[str],
    progress: Progress,
) -> None:
    for number, row in enumerate(rows):
        progress("writing uploaded files", number, len(rows))
        path = path_of(place, row.key)
        name = f"{FILES}/{path.parent.name}/{row.key}"
        try:
            members[name] = add(archive, name, path)
        except FileNotFoundError:
            if row.is_used:
                lost.append(row.key)
            continue
        if members[name] != Member(row.size, row.sha256):
            lost.append(row.key)  # included as it is: what is left may be useful


# Records in the store that it was backed up, and reports how long ago that was.


_MAKE = "make one with manifest-auth backup, or note it with backup --note"


async def record_backup(settings: Settings, acting: Acting, at: int, **detail: Any) -> None:
    """Records a backup. ``at``: its moment, milliseconds. A store with an older schema is not changed, since backups
    precede upgrades.

    Raises NotPossible, SchemaRefused, StoreUnavailable; the backup itself is still valid.
    """
    schema = await find_schema(settings.database)
    if schema is None:
        raise NotPossible("there is no store here")
    schema.check()
    if schema.number < HEAD:
        raise NotPossible(f"its schema is {schema.number}; after the upgrade, backup --note records it")
    try:
        macs = Macs(secret_keys(settings))
    except SettingsError as error:
        raise NotPossible(str(error)) from error
    store = open_store(settings.database, 1, macs=macs)
    await store.open()
    try:
        await store.write(lambda unit: last_backup.record(unit, acting, at, **detail))
    finally:
        await store.close()


async def backup_finding(store: Store) -> tuple[str, str]:
    """Level and text for ``manifest-auth doctor``."""
    at = await last_backup.read_time(store)
    if at is None:
        return "note", f"backup: none was ever noted; {_MAKE}"
    age = Clock().now_ms() - at
    if age > OLD_MS:
        return "note", f"backup: none for {age // DAY_MS} days; {_MAKE}"
    return "ok", f"backup: the last one is of {when(at)}"
