"""Detects, without a system call, whether any process committed to an SQLite file since the last check.

In WAL mode the ``-shm`` file starts with a header that every commit of every process rewrites before it returns: 48
bytes with a counter of transactions, in two equal copies (sqlite.org, "WAL-mode File Format", section 2.1). The header
is mapped into memory; equal bytes mean that nothing was committed. Two different copies mean that a process is writing
the header now, which counts as a change.

The descriptor is never closed: POSIX drops all locks of a process on a file when any descriptor of it is closed, and
SQLite locks this one. A process has one for each file, and while it is mapped its inode is not reused.
"""

from __future__ import annotations

import mmap
import os

_COPY = 48
_maps: dict[tuple[int, int], mmap.mmap] = {}


class WalIndex:
    """The header of one store. A connection must have read something before: SQLite then creates the file."""

    def __init__(self, database: str) -> None:
        self._map = _mapped(f"{database}-shm")

    def version(self) -> bytes | None:
        """Bytes that stay equal while nothing is committed; None when that is unknown now."""
        if self._map is None:
            return None
        first = self._map[:_COPY]
        return first if first == self._map[_COPY : 2 * _COPY] else None


def _mapped(path: str) -> mmap.mmap | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        found = os.fstat(descriptor)
        key = (found.st_dev, found.st_ino)
        if key not in _maps:
            _maps[key] = mmap.mmap(descriptor, 2 * _COPY, mmap.MAP_SHARED, mmap.PROT_READ)
        return _maps[key]
    except (OSError, ValueError):  # no such file, or too short: then every read uses the store
        return None
