"""A small disk that tests fill to the last byte, as a file system in memory; requires root."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

_PART = b"\0" * 65536


class Disk:
    """A disk at the empty ``folder``, until the end of :func:`mounted`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self) -> None:
        """Fill the disk to the last byte."""
        with self._filler.open("ab", buffering=0) as file:
            for size in (len(_PART), 4096, 1):
                with contextlib.suppress(OSError):
                    while file.write(_PART[:size]):
                        pass

    def make_space(self) -> None:
        self._filler.unlink()

    @property
    def is_full(self) -> bool:
        return os.statvfs(self.folder).f_bavail == 0


@contextlib.contextmanager
def mounted(folder: Path, megabytes: int) -> Iterator[Disk]:
    """Mount a disk of that size. Raises AssertionError if this process can't mount one."""
    folder.mkdir(exist_ok=True)
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "manifest-auth-test", str(folder)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert made.returncode == 0, f"a disk of the test's own needs root: {made.stderr}"
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
