"""Backs up an installation on SQLite while it serves, to one archive that :mod:`.restore` reads.

The archive is a tar file with a copy of the store, the files that it names, and a manifest of their contents.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import msgspec

from manifest_auth import __version__
from manifest_auth.context import Acting
from manifest_auth.maintenance import last_backup
from manifest_auth.maintenance.last_backup import DAY_MS, OLD_MS
from manifest_auth.runtime.clock import Clock
from manifest_auth.runtime.files import folder_of, path_of
from manifest_auth.runtime.os_process import own_folder, sync
from manifest_auth.runtime.revisions import HEAD
from manifest_auth.runtime.sealing import Macs, secret_keys
from manifest_auth.runtime.settings import Settings, SettingsError
from manifest_auth.store import Store, open_store, sqlite_copy
from manifest_auth.store.migrate import Schema, find_schema
from manifest_auth.store.sqlite_copy import Contents, Head
from manifest_auth.text.canonical import when

FORMAT = 1
#: The maximum size of the manifest. Larger backups aren't created, and larger archives aren't read.
MOST_MANIFEST = 1024 * 1024 * 1024
MOST_FILES = MOST_MANIFEST // 320  # a file takes 200 bytes of it, and 80 more if it was lost
STORE, MANIFEST, KEY, FILES = "manifest-auth.db", "manifest.json", "secret.key", "files"
NAME = re.compile(rf"{STORE}|{MANIFEST}|{KEY}|{FILES}/[a-z0-9_-]{{2}}/[A-Za-z0-9_-]{{8,64}}")

Progress = Callable[[str, int, int | None], None]


class NotPossible(Exception):
    """A backup or restore isn't possible. The text says why. Nothing was changed."""


class Member(msgspec.Struct, frozen=True):
    """A file in the archive."""

    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The manifest. ``lost`` contains keys of uploaded files whose bytes were missing or different."""

    format: int
    release: str
    made_at: int
    schema: str
    readable_by: str
    rows: dict[str, int]
    chains: dict[str, Head]
    files: str  # `here`, or the other place where they are stored
    lost: list[str]
    members: dict[str, Member]

    @property
    def contents(self) -> Contents:
        return Schema(self.schema, self.readable_by), self.rows, self.chains


class Hashed:
    """Reads ``size`` bytes of a file, and hashes them."""

    def __init__(self, source: IO[bytes], size: int, progress: Callable[[int], None] = lambda _: None) -> None:
        self._source, self._left, self._progress = source, size, progress
        self._digest, self._read = hashlib.sha256(), 0

    def read(self, size: int = 2**20, /) -> bytes:
        part = self._source.read(min(size, self._left))
        self._digest.update(part)
        self._left -= len(part)
        self._read += len(part)
        self._progress(self._read)
        return part

    @property
    def member(self) -> Member:
        """The size and hash of the bytes read so far."""
        return Member(self._read, self._digest.hexdigest())


def add(archive: tarfile.TarFile, name: str, path: Path, progress: Callable[[int], None] = lambda _: None) -> Member:
    """Adds a file to the archive. Raises OSError, also if the file shrinks in the meantime."""
    with path.open("rb") as source:
        head = tarfile.TarInfo(name)
        head.size, head.mode, head.mtime = os.fstat(source.fileno()).st_size, 0o600, 0
        reader = Hashed(source, head.size, progress)
        archive.addfile(head, reader)
        return reader.member


# Backups are read carefully. Problems that can be found without unpacking are rejected first: unexpected members,
# another format, or a manifest that doesn't match. Memory use is limited, because an attacker might have created the
# archive.


_MOST_AT_ONCE = 1024 * 1024  # the library reads an extended header as a whole; valid ones have a few bytes


class _Bounded:
    """A file that rejects large reads."""

    def __init__(self, raw: IO[bytes]) -> None:
        self.seek, self.tell, self._raw = raw.seek, raw.tell, raw

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MOST_AT_ONCE:
            raise NotPossible("this isn't a backup of this server: it has a header of more than 1 MiB")
        return self._raw.read(size)


class _Format(msgspec.Struct, frozen=True):
    format: int


class Archive:
    """A backup whose manifest matches its members by name and size. Raises NotPossible or OSError."""

    def __init__(self, raw: IO[bytes], progress: Progress) -> None:
        if not raw.seekable():
            raise NotPossible(f"{raw.name} can't be read twice; use a file")
        self._raw = raw
        self._where = dict(_index(raw, progress))
        self.manifest = self._manifest()
        for name in sorted(self._where.keys() | self.manifest.members.keys()):
            member, place = self.manifest.members.get(name), self._where.get(name)
            if member is None or place is None or member.size != place[1]:
                raise _different(name)

    def put(self, name: str, target: Path) -> None:
        """Unpacks a member into a new file, and syncs it to the disk. Raises NotPossible if its hash differs."""
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(target, "xb", opener=lambda path, flags: os.open(path, flags, 0o600)) as made:
            at, size = self._where[name]
            self._raw.seek(at)
            reader = Hashed(self._raw, size)
            shutil.copyfileobj(reader, made, _MOST_AT_ONCE)
            made.flush()
            os.fsync(made.fileno())
        if reader.member != self.manifest.members[name]:
            raise _different(name)

    def _manifest(self) -> Manifest:
        at, size = self._where.pop(MANIFEST, (0, -1))
        if size < 0 or STORE not in self._where:
            raise NotPossible("this isn't a backup, or it is incomplete: it has no manifest")
        if size > MOST_MANIFEST:
            raise NotPossible(f"{MANIFEST}: more than {MOST_MANIFEST} bytes")
        self._raw.seek(at)
        text = self._raw.read(size)
        try:
            found = msgspec.json.decode(text, type=_Format).format  # read first: other formats have other members
            if found != FORMAT:
                raise NotPossible(
                    f"the backup has format {found}, and this version knows {FORMAT}; upgrade the program"
                )
            return msgspec.json.decode(text, type=Manifest)
        except msgspec.MsgspecError as error:
            raise NotPossible(f"{MANIFEST}: {error}") from error


def _index(raw: IO[bytes], progress: Progress) -> Iterator[tuple[str, tuple[int, int]]]:
    """The position and size of each member."""
    seen: set[str] = set()
    try:
        with tarfile.open(fileobj=_Bounded(raw), mode="r:") as archive:  # type: ignore[call-overload]  # it only has read()
            while (member := archive.next()) is not None:
                archive.members.clear()  # the library would keep all of them in memory
                name = member.name
                is_plain = member.isreg() and not member.issparse()
                if not NAME.fullmatch(name) or not is_plain or name in seen or MANIFEST in seen:
                    raise NotPossible(f"this isn't a backup of this server: it contains {name!r}")
                seen.add(name)
                progress("reading the file list", len(seen), None)
                yield name, (member.offset_data, member.size)
    except tarfile.TarError as error:
        raise NotPossible(f"this isn't a backup, or it is incomplete: {error}") from error


def _different(name: str) -> NotPossible:
    return NotPossible(f"{name} is damaged or missing: its SHA-256 hash or size doesn't match the manifest")


_HALF = ".manifest-auth-backup-"
ON_POSTGRES = (
    "the database is PostgreSQL; back it up with pg_dump and restore it with pg_restore, see "
    "docs/operations/backup.md, Backup"
)


def back_up(settings: Settings, target: Path, progress: Progress, *, with_secret_key: bool = False) -> Manifest:
    """Creates ``target``, readable only by this user, either completely or not at all.

    Raises NotPossible, SchemaRefused (for a schema that could not be restored), StoreUnavailable, or OSError.

    The store is copied first, and then the files that it names. Files are stored before their rows, so all of them
    exist, except unused files that were deleted in the meantime.
    """
    source = _source(settings)
    if target.exists():
        raise NotPossible(f"{target} already exists")
    _check_space(settings, source, target)
    began = Clock().now_ms()
    with own_folder(_HALF, target.absolute().parent) as folder:
        copy = folder / STORE
        sqlite_copy.copy(source, copy, lambda done, of: progress("copying the database, pages", done, of))
        progress("checking the copy", 0, None)
        if found := sqlite_copy.damage(copy):
            raise NotPossible(f"the database is damaged: {found[0]}; see docs/operations/backup.md, Backup")
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
        raise NotPossible(f"there is no database at {source}")
    return source


def _check_space(settings: Settings, source: Path, target: Path) -> None:
    """Checks the disk space. The copy and the archive exist together for a while."""
    log = Path(f"{source}-wal")
    needed = 2 * (source.stat().st_size + (log.stat().st_size if log.exists() else 0))
    folder = folder_of(settings)
    if folder is not None and folder.exists():
        needed += sum(path.stat().st_size for path in folder.glob("*/*"))
    free = shutil.disk_usage(target.absolute().parent).free
    if free < needed:
        raise NotPossible(f"{target.parent}: {needed // 2**20} MiB are required, and {free // 2**20} MiB are free")


def _write(
    settings: Settings,
    made: io.BufferedWriter,
    copy: Path,
    folder: Path,
    progress: Progress,
    began: int,
    with_secret_key: bool,
) -> Manifest:
    schema, counts, chains = sqlite_copy.contents(copy)
    schema.check()
    members: dict[str, Member] = {}
    lost: list[str] = []
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as archive:
        size = copy.stat().st_size
        members[STORE] = add(archive, STORE, copy, lambda done: progress("writing the database, bytes", done, size))
        place = folder_of(settings)
        if place is not None:
            rows = sqlite_copy.files(copy)
            if len(rows) > MOST_FILES:
                raise NotPossible(f"{len(rows):,} uploaded files exceed the limit of {MOST_FILES:,} for one backup")
            _add_files(archive, place, rows, members, lost, progress)
        if with_secret_key:
            (folder / KEY).write_text("".join(f"{text}\n" for text in secret_keys(settings).texts), "ascii")
            members[KEY] = add(archive, KEY, folder / KEY)
        manifest = Manifest(
            format=FORMAT,
            release=__version__,
            made_at=began,
            schema=schema.number,
            readable_by=schema.readable_by,
            rows=counts,
            chains=chains,
            files="here" if place is not None else settings.files,
            lost=lost,
            members=members,
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
            lost.append(row.key)  # included anyway, because the rest might be useful


_MAKE = "create one with manifest-auth backup, or record one with backup --note"


async def record_backup(settings: Settings, acting: Acting, at: int, **detail: Any) -> None:
    """Records a backup. ``at`` is its time, in milliseconds. Doesn't change a store with an older schema, because
    backups precede upgrades.

    Raises NotPossible, SchemaRefused, or StoreUnavailable; the backup itself is still valid.
    """
    schema = await find_schema(settings.database)
    if schema is None:
        raise NotPossible("there is no database here")
    schema.check()
    if schema.number < HEAD:
        raise NotPossible(f"its schema is {schema.number}; after the upgrade, record the backup with backup --note")
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
    """Returns the level and text for ``manifest-auth doctor``."""
    at = await last_backup.read_time(store)
    if at is None:
        return "note", f"backup: none is recorded; {_MAKE}"
    age = Clock().now_ms() - at
    if age > OLD_MS:
        return "note", f"backup: the last one is {age // DAY_MS} days old; {_MAKE}"
    return "ok", f"backup: last one at {when(at)}"
