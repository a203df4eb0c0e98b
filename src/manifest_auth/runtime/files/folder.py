"""Files in a folder of this machine, or of a share that all nodes mount."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

from manifest_auth.runtime.files.storage import FileStorage, FilesUnavailable, drop_older, path_of
from manifest_auth.runtime.temp_folder import sync

T = TypeVar("T")

_PART = 256 * 1024


class FolderStorage(FileStorage):
    """One file for each key, in 256 folders below ``folder``, readable by the process's user only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._partial = folder / "half"

    async def store(self, source: Path, key: str) -> None:
        await self._in_a_thread(self._store, source, key)

    async def open(self, key: str) -> AsyncIterator[bytes]:
        handle = await self._in_a_thread(lambda: self._path(key).open("rb"))

        async def parts() -> AsyncIterator[bytes]:
            try:
                while part := await asyncio.to_thread(handle.read, _PART):
                    yield part
            finally:
                handle.close()

        return parts()

    async def drop(self, key: str) -> None:
        await self._in_a_thread(self._path(key).unlink, True)

    async def tidy(self, before: float) -> None:
        await self._in_a_thread(drop_older, self._partial, before)

    async def check(self) -> str:
        there = next(path for path in (self._folder, *self._folder.absolute().parents) if path.exists())
        if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
            raise FilesUnavailable(f"{there} is no folder that can be written")
        return f"the folder {self._folder}, {shutil.disk_usage(there).free // 2**20} MiB free"

    def _path(self, key: str) -> Path:
        return path_of(self._folder, key)

    def _make(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _store(self, source: Path, key: str) -> None:
        """Copies, syncs, then renames: under its key there is a complete file or none."""
        path = self._path(key)
        self._make(self._folder)
        self._make(path.parent)
        self._make(self._partial)
        partial = self._partial / key
        try:
            with source.open("rb") as original, partial.open("xb") as copy:
                shutil.copyfileobj(original, copy, _PART)
                copy.flush()
                os.fsync(copy.fileno())
            partial.rename(path)
        except OSError:
            partial.unlink(missing_ok=True)  # on a full disk it would block the next file as well
            raise
        sync(path.parent)

    @staticmethod
    async def _in_a_thread(work: Callable[..., T], *arguments: Any) -> T:
        try:
            return await asyncio.to_thread(work, *arguments)
        except OSError as error:
            raise FilesUnavailable(str(error)) from error
