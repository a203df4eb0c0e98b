"""Detection, without a system call, of whether any process committed to an SQLite file since the last check.

In WAL mode the ``-shm`` file starts with a header that every commit of every process rewrites before it returns: 48
bytes with a counter of transactions, in two equal copies (sqlite.org, "WAL-mode File Format", section 2.1). The header
is mapped into memory; equal bytes mean that nothing was committed. Two different copies mean that a process is writing
the header now, which counts as a change.

The descriptor is never closed, because POSIX drops all locks of a process on a file when any descriptor of it is
closed, and SQLite locks this one. A process has one descriptor for each file, and while it is mapped its inode is not
reused.
"""

from __future__ import annotations

import mmap
import os
import sys
from typing import NamedTuple

_COPY = 48
_CHANGES = slice(8, 12)  # the counter of transactions, in the machine's byte order
_maps: dict[tuple[int, int], mmap.mmap] = {}


class WalIndex:
    """The header of one database. A connection must have read something first, because SQLite then creates the file."""

    def __init__(self, database: str) -> None:
        self._map = _mapped(f"{database}-shm")

    def version(self) -> bytes | None:
        """Returns bytes that stay equal while nothing is committed; None while that is unknown."""
        if self._map is None:
            return None
        first = self._map[:_COPY]
        return first if first == self._map[_COPY : 2 * _COPY] else None


class Change(NamedTuple):
    """The header before and after one transaction: its bytes when the transaction got the lock, and after its
    commit."""

    before: bytes | None
    after: bytes | None

    def is_one_commit(self) -> bool:
        """Whether no other process committed between this commit and the read of the header after it."""
        if self.before is None or self.after is None:
            return False
        return _count(self.after) == (_count(self.before) + 1) % 2**32


def _count(header: bytes) -> int:
    return int.from_bytes(header[_CHANGES], sys.byteorder)


class KnownCommits:
    """Distinguishes this process's commits, whose changes it announces to itself, from other processes' commits, which
    announce nothing.

    All methods but :meth:`begin` run on the event loop.
    """

    def __init__(self, index: WalIndex) -> None:
        self._index = index
        self._known = index.version()
        self._others = 0  # how often commits of other processes were noticed
        self._begun = self._ended = 0
        self._changes: list[Change] = []

    def header(self) -> bytes | None:
        """Returns the header, for a transaction that has the lock or has just committed, in any thread."""
        return self._index.version()

    def begin(self) -> None:
        """Starts a transaction of the writer thread, which ends with :meth:`end`."""
        self._begun += 1

    def end(self) -> None:
        """Ends the transaction: commit or rollback, and its announcements, are known on the event loop."""
        self._ended += 1

    def add(self, change: Change) -> None:
        """Adds a commit of this process, after its announcements were delivered. Two commits can arrive out of
        order."""
        self._changes.append(change)
        while follows := next((each for each in self._changes if each.before == self._known), None):
            self._changes.remove(follows)
            if not follows.is_one_commit():
                return
            self._known = follows.after

    def version(self) -> int | None:
        """Returns a version: equal values mean that only this process committed, and that its changes were announced.
        None means unknown."""
        now = self._index.version()
        if now is not None and now == self._known:
            return self._others
        if now is None or self._begun != self._ended:
            return None
        self._changes.clear()
        self._known = now
        self._others += 1
        return self._others


def _mapped(path: str) -> mmap.mmap | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        found = os.fstat(descriptor)
        key = (found.st_dev, found.st_ino)
        if key not in _maps:
            _maps[key] = mmap.mmap(descriptor, 2 * _COPY, mmap.MAP_SHARED, mmap.PROT_READ)
        return _maps[key]
    except (OSError, ValueError):  # no such file, or too short: every read uses the database
        return None
