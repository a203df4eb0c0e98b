"""The format of a backup: one tar with the store, the uploaded files, and a manifest of their contents."""

from __future__ import annotations

import hashlib
import os
import re
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

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
