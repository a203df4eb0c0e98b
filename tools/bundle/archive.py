"""Writes and reads a bundle's single file: a tar archive that depends only on the names and contents of its files."""

from __future__ import annotations

import hashlib
import tarfile
from io import BytesIO
from pathlib import Path

SUMS, SIGNATURE = "SHA256SUMS", "SHA256SUMS.sig"
_PROGRAMS = {"install"}


def sums(folder: Path) -> str:
    """One line per file of the folder except the checksum file, in the format of ``sha256sum``."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return "".join(f"{_digest(folder / name)}  {name}\n" for name in names if name not in (SUMS, SIGNATURE))


def pack(folder: Path, file: Path, at: int) -> None:
    """Archives the folder with sorted names, owner 0, and fixed modes. ``at`` is every file's time, in seconds since
    1970."""
    making = file.with_name(f"{file.name}.making")
    with tarfile.open(making, "w", format=tarfile.GNU_FORMAT) as archive:
        for path in [folder, *sorted(folder.rglob("*"))]:
            entry = tarfile.TarInfo(path.relative_to(folder.parent).as_posix())
            entry.mtime = at
            if path.is_dir():
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(entry)
            else:
                data = path.read_bytes()
                entry.size, entry.mode = len(data), 0o755 if path.name in _PROGRAMS else 0o644
                archive.addfile(entry, BytesIO(data))
    making.replace(file)


def unpack(file: Path, folder: Path) -> tuple[Path, int]:
    """Unpacks an archive. Returns the folder in it, and the time of its files."""
    with tarfile.open(file) as archive:
        at = int(archive.next().mtime)  # type: ignore[union-attr]
        archive.extractall(folder, filter="data")
    [found] = folder.iterdir()
    return found, at


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
