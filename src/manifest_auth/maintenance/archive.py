"""Archive of a backup: one tar with the store, the uploaded files, and a manifest of their contents."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

import msgspec

from manifest_auth.store.migrate import Schema
from manifest_auth.store.sqlite_copy import Contents, Head

FORMAT = 1
#: The largest manifest: larger backups are not made, and larger archives are not read.
MOST_MANIFEST = 1024 * 1024 * 1024
MOST_FILES = MOST_MANIFEST // 320  # a file takes 200 bytes of it, and 80 more when it was lost
STORE, MANIFEST, KEY, FILES = "manifest-auth.db", "manifest.json", "secret.key", "files"
NAME = re.compile(rf"{STORE}|{MANIFEST}|{KEY}|{FILES}/[a-z0-9_-]{{2}}/[A-Za-z0-9_-]{{8,64}}")

Progress = Callable[[str, int, int | None], None]


class NotPossible(Exception):
    """A backup or restore is not possible; the text says why. Nothing was changed."""


class Member(msgspec.Struct, frozen=True):
    """A file in the archive."""

    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The manifest. ``lost``: keys of uploaded files whose bytes were missing or different."""

    format: int
    release: str
    made_at: int
    schema: str
    rows: dict[str, int]
    chains: dict[str, Head]
    files: str  # `here`, or where they are stored otherwise
    lost: list[str]
    members: dict[str, Member]
    readable_by: str = ""  # the schema itself, where an older program made the backup

    @property
    def contents(self) -> Contents:
        return Contents(Schema(self.schema, self.readable_by or self.schema), self.rows, self.chains)


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
        """Size and hash of what was read so far."""
        return Member(self._read, self._digest.hexdigest())


def add(archive: tarfile.TarFile, name: str, path: Path, progress: Callable[[int], None] = lambda _: None) -> Member:
    """Adds a file to the archive. Raises OSError, also when the file shrinks meanwhile."""
    with path.open("rb") as source:
        head = tarfile.TarInfo(name)
        head.size, head.mode, head.mtime = os.fstat(source.fileno()).st_size, 0o600, 0
        reader = Hashed(source, head.size, progress)
        archive.addfile(head, reader)
        return reader.member


# Reads a backup.
#
# Faults that need no unpacking are refused first: unexpected members, another format, a manifest that does not match.
# Memory use is bounded, since an attacker may have made the archive.


_MOST_AT_ONCE = 1024 * 1024  # the library reads an extended header as a whole; valid ones have a few bytes


class _Bounded:
    """A file that refuses large reads."""

    def __init__(self, raw: IO[bytes]) -> None:
        self.seek, self.tell, self._raw = raw.seek, raw.tell, raw

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MOST_AT_ONCE:
            raise NotPossible("this is no backup of this server: it has a header of more than 1 MiB")
        return self._raw.read(size)


class _Location(NamedTuple):
    at: int
    size: int


class _Format(msgspec.Struct, frozen=True):
    format: int


class Archive:
    """A backup whose manifest matches its members, by name and size. Raises NotPossible, OSError."""

    def __init__(self, raw: IO[bytes], progress: Progress) -> None:
        if not raw.seekable():
            raise NotPossible(f"{raw.name} cannot be read twice: name a file")
        self._raw = raw
        self._where = dict(_index(raw, progress))
        self.manifest = self._manifest()
        for name in sorted(self._where.keys() | self.manifest.members.keys()):
            member, location = self.manifest.members.get(name), self._where.get(name)
            if member is None or location is None or member.size != location.size:
                raise _different(name)

    def put(self, name: str, target: Path) -> None:
        """Unpacks a member into a new file, synced to the disk. Raises NotPossible when its hash differs."""
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(target, "xb", opener=lambda path, flags: os.open(path, flags, 0o600)) as made:
            location = self._where[name]
            self._raw.seek(location.at)
            reader = Hashed(self._raw, location.size)
            shutil.copyfileobj(reader, made, _MOST_AT_ONCE)
            made.flush()
            os.fsync(made.fileno())
        if reader.member != self.manifest.members[name]:
            raise _different(name)

    def _manifest(self) -> Manifest:
        location = self._where.pop(MANIFEST, None)
        if location is None or STORE not in self._where:
            raise NotPossible("this is no backup, or it was cut off: it has no manifest")
        if location.size > MOST_MANIFEST:
            raise NotPossible(f"{MANIFEST}: more than {MOST_MANIFEST} bytes")
        self._raw.seek(location.at)
        text = self._raw.read(location.size)
        try:
            found = msgspec.json.decode(text, type=_Format).format  # read first: other formats have other members
            if found != FORMAT:
                raise NotPossible(f"the backup has format {found}, this release knows {FORMAT}: upgrade the program")
            return msgspec.json.decode(text, type=Manifest)
        except msgspec.MsgspecError as error:
            raise NotPossible(f"{MANIFEST}: {error}") from error


def _index(raw: IO[bytes], progress: Progress) -> Iterator[tuple[str, _Location]]:
    """The location of each member."""
    seen: set[str] = set()
    try:
        with tarfile.open(fileobj=_Bounded(raw), mode="r:") as archive:  # type: ignore[call-overload]  # it only has read()
            while (member := archive.next()) is not None:
                archive.members.clear()  # the library would keep all of them in memory
                name = member.name
                is_plain = member.isreg() and not member.issparse()
                if not NAME.fullmatch(name) or not is_plain or name in seen or MANIFEST in seen:
                    raise NotPossible(f"this is no backup of this server: {name!r} does not belong into one")
                seen.add(name)
                progress("reading the list", len(seen), None)
                yield name, _Location(member.offset_data, member.size)
    except tarfile.TarError as error:
        raise NotPossible(f"this is no backup, or it was cut off: {error}") from error


def _different(name: str) -> NotPossible:
    return NotPossible(f"{name} is not what was backed up: its SHA-256 or size differs, or it is not there")
