"""Tells whether anybody committed to an SQLite file since the last look, without a system call.

In WAL mode the ``-shm`` file begins with a header that every commit of every process rewrites before it returns: 48
bytes with a counter of transactions, in two equal copies (sqlite.org, "WAL-mode File Format", section 2.1). The header
is mapped here; equal bytes mean that nothing was committed. Two copies that differ mean that somebody is writing it
just now, which counts as a change.

The descriptor is never closed: POSIX drops all locks of a process on a file when any descriptor of it is closed, and
SQLite locks this one. There is one for each file in a process, and as long as it is mapped its inode is not used again.
"""

from __future__ import annotations

import mmap
import os

_COPY = 48
_maps: dict[tuple[int, int], mmap.mmap] = {}


class WalIndex:
    """The header of one store. Open a connection that has read something first: SQLite makes the file then."""

    def __init__(self, database: str) -> None:
        self._map = _mapped(f"{database}-shm")

    def version(self) -> bytes | None:
        """Bytes that stay equal while nothing is committed; None when that cannot be told now."""
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
    except (OSError, ValueError):  # no such file, or too short: every read asks the store then
        return None
