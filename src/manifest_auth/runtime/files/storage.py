"""The interface of file storage, and functions for its implementations."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from pathlib import Path

from manifest_auth.runtime.settings import Settings


class FilesUnavailable(Exception):
    """The file storage cannot be reached or refuses the operation; the text is for the log."""


class FileStorage(ABC):
    """File storage. The server makes the keys, of random letters; a caller never chooses one."""

    @abstractmethod
    async def store(self, source: Path, key: str) -> None:
        """Stores a complete local file, durable on return. Raises :class:`FilesUnavailable`."""

    @abstractmethod
    async def open(self, key: str) -> AsyncIterator[bytes]:
        """The bytes, in parts. Raises :class:`FilesUnavailable`, also for an unknown key."""

    @abstractmethod
    async def drop(self, key: str) -> None:
        """Deletes the bytes. No error for an unknown key. Raises :class:`FilesUnavailable`."""

    @abstractmethod
    async def tidy(self, before: float) -> None:
        """Deletes what was started before that time (seconds since 1970) and not finished, since the process was
        killed. Raises :class:`FilesUnavailable`."""

    @abstractmethod
    async def check(self) -> str:
        """For ``doctor``: describes the storage. Raises :class:`FilesUnavailable`."""


def upload_folder(settings: Settings) -> Path:
    """The local folder of uploads that are not complete."""
    return Path(settings.data_dir) / "uploads"


def drop_older(folder: Path, before: float) -> None:
    """Deletes the files in a folder that were last written before that time (seconds since 1970)."""
    for path in folder.glob("*"):
        try:
            if path.stat().st_mtime < before:
                path.unlink()
        except FileNotFoundError:  # finished meanwhile
            continue


def path_of(folder: Path, key: str) -> Path:
    """The path of a key's file: in one of many folders below ``folder``."""
    return folder / key[:2].lower() / key
