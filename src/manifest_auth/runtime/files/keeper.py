"""The interface of a place for files, and what its kinds share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from pathlib import Path

from manifest_auth.runtime.settings import Settings


class FilesUnavailable(Exception):
    """The place for files cannot be reached or refuses to work; the text is for the log."""


class Keeper(ABC):
    """A place for files. Keys are made here, of random letters; nobody outside chooses one."""

    @abstractmethod
    async def keep(self, source: Path, key: str) -> None:
        """Takes over a finished file of this machine, durable on return. Raises :class:`FilesUnavailable`."""

    @abstractmethod
    async def open(self, key: str) -> AsyncIterator[bytes]:
        """The bytes, in parts. Raises :class:`FilesUnavailable`, also when there are none under the key."""

    @abstractmethod
    async def drop(self, key: str) -> None:
        """Forgets the bytes. No error when they are gone already. Raises :class:`FilesUnavailable`."""

    @abstractmethod
    async def tidy(self, before: float) -> None:
        """Drops what was begun before that time (seconds of the epoch) and never finished, since a process was killed.
        Raises :class:`FilesUnavailable`."""

    @abstractmethod
    async def check(self) -> str:
        """For ``doctor``: where it is, in words. Raises :class:`FilesUnavailable`."""


def arriving(settings: Settings) -> Path:
    """Where uploads lie on this machine until they are whole."""
    return Path(settings.data_dir) / "uploads"


def drop_older(folder: Path, before: float) -> None:
    """Drops the files in a folder that were last written before that time."""
    for path in folder.glob("*"):
        try:
            if path.stat().st_mtime < before:
                path.unlink()
        except FileNotFoundError:  # finished meanwhile
            continue


def path_of(folder: Path, key: str) -> Path:
    """Where the bytes of a key lie: in one of many folders below the given one."""
    return folder / key[:2].lower() / key
