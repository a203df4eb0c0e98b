"""Storage of uploaded files: a folder, or an S3-compatible service.

Stores and reads bytes under random keys; owns no table and knows no client. The caller writes a file's row afterward,
so that a row never names bytes that are missing; bytes without a row are dropped.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from manifest_auth.errors import ValidationError
from manifest_auth.runtime.os_process import sync
from manifest_auth.runtime.settings import Settings, SettingsError, variable
from manifest_auth.runtime.tracing import spanned


class FilesUnavailable(Exception):
    """The file storage cannot be reached or rejects the operation; the message is for the log."""


class FileStorage(ABC):
    """File storage. The server creates the keys from random letters. Callers never choose one."""

    @abstractmethod
    async def store(self, source: Path, key: str) -> None:
        """Stores a complete local file, durable on return. Raises :class:`FilesUnavailable`."""

    @abstractmethod
    async def open(self, key: str) -> AsyncIterator[bytes]:
        """Yields the bytes in parts. Raises :class:`FilesUnavailable`, also for an unknown key."""

    @abstractmethod
    async def drop(self, key: str) -> None:
        """Deletes the bytes. No error for an unknown key. Raises :class:`FilesUnavailable`."""

    @abstractmethod
    async def tidy(self, before: float) -> None:
        """Deletes unfinished uploads that were started before that time (seconds since 1970), because their process was
        killed. Raises :class:`FilesUnavailable`."""

    @abstractmethod
    async def check(self) -> str:
        """Returns a description of the storage, for ``doctor``. Raises :class:`FilesUnavailable`."""


def upload_folder(settings: Settings) -> Path:
    """Returns the local folder of incomplete uploads."""
    return Path(settings.data_dir) / "uploads"


def drop_older(folder: Path, before: float) -> None:
    """Deletes the files in a folder that were last written before that time (seconds since 1970)."""
    for path in folder.glob("*"):
        try:
            if path.stat().st_mtime < before:
                path.unlink()
        except FileNotFoundError:  # finished in the meantime
            continue


def path_of(folder: Path, key: str) -> Path:
    """Returns the path of a key's file, in one of many folders below ``folder``."""
    return folder / key[:2].lower() / key


# Names and headers of evidence are not trusted, so each accepted media type has known first bytes.


def _starts_with(*starts: bytes) -> Callable[[bytes], bool]:
    return lambda start: start.startswith(starts)


def _at(offset: int, *words: bytes) -> Callable[[bytes], bool]:
    return lambda start: start[offset:].startswith(words)


def _is_text(start: bytes) -> bool:
    """Whether it is UTF-8 without control characters except tabs and line ends. The last character can be cut off if
    more follows."""
    try:
        text = start.decode("utf-8")
    except UnicodeDecodeError as error:
        if len(start) < START or error.start < len(start) - 3:
            return False
        text = start[: error.start].decode("utf-8")
    return not any(c < " " and c not in "\t\r\n" for c in text)


#: Checks by media type. No type that a browser would run as a page is accepted: no HTML, no SVG.
KINDS: dict[str, Callable[[bytes], bool]] = {
    "image/jpeg": _starts_with(b"\xff\xd8\xff"),
    "image/png": _starts_with(b"\x89PNG\r\n\x1a\n"),
    "image/webp": lambda start: start.startswith(b"RIFF") and start[8:12] == b"WEBP",
    "image/heic": _at(4, b"ftypheic", b"ftypheix", b"ftypmif1", b"ftyphevc"),
    "video/mp4": _at(4, b"ftyp"),
    "video/webm": _starts_with(b"\x1aE\xdf\xa3"),
    "audio/mpeg": _starts_with(b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2"),
    "application/pdf": _starts_with(b"%PDF-"),
    "text/plain": _is_text,
    "text/csv": _is_text,
}
START = 512  # number of bytes to check


def check_start(media_type: str, start: bytes) -> None:
    """Checks that the first bytes fit the accepted media type. Raises ValidationError."""
    if not KINDS[media_type](start):
        raise ValidationError(details=[("Content-Type", f"The body isn't {media_type}")])


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
            raise FilesUnavailable(f"{there} isn't a folder that can be written to")
        return f"the folder {self._folder}, {shutil.disk_usage(there).free // 2**20} MiB free"

    def _path(self, key: str) -> Path:
        return path_of(self._folder, key)

    def _make(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _store(self, source: Path, key: str) -> None:
        """Copies, syncs, then renames, so that a key always has a complete file or none."""
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
            partial.unlink(missing_ok=True)  # on a full disk it would also block the next file
            raise
        sync(path.parent)

    @staticmethod
    @spanned("files")
    async def _in_a_thread(work: Callable[..., T], *arguments: Any) -> T:
        try:
            return await asyncio.to_thread(work, *arguments)
        except OSError as error:
            raise FilesUnavailable(str(error)) from error


# Files in a bucket of an S3-compatible service, through boto3 in threads.
#
# Needs the extra ``s3`` (``pip install 'manifest-auth[s3]'``). Credentials come from the settings or, if these are
# empty, from boto3's own sources: the machine's role, environment variables and files.


#: Separate threads, so that work on the event loop's threads continues if the service hangs.
_THREADS = 16
#: Calls to a service that hangs end within 10 s: waiting for a turn, and two attempts with a pause.
_TURN_S, _CONNECT_S, _READ_S, _ATTEMPTS = 1.0, 2.0, 3.5, 2


class S3Storage(FileStorage):
    """Objects under ``s3://BUCKET/PREFIX``."""

    def __init__(self, settings: Settings) -> None:
        try:
            import boto3
            from boto3.exceptions import Boto3Error
            from botocore.config import Config
            from botocore.exceptions import BotoCoreError, ClientError
        except ImportError:
            text = f"{variable('files')}: s3:// requires an extra: pip install 'manifest-auth[s3]'"
            raise SettingsError(text) from None
        self._bucket, _, prefix = settings.files.removeprefix("s3://").partition("/")
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._failures = (BotoCoreError, Boto3Error, ClientError, OSError)
        self._client: Any = boto3.client(
            "s3",
            endpoint_url=settings.files_endpoint or None,
            region_name=settings.files_region or None,
            aws_access_key_id=settings.files_access_key or None,
            aws_secret_access_key=settings.files_secret_key.reveal() if settings.files_secret_key else None,
            config=Config(
                connect_timeout=_CONNECT_S,
                read_timeout=_READ_S,
                retries={"total_max_attempts": _ATTEMPTS, "mode": "standard"},
                max_pool_connections=_THREADS,
            ),
        )
        self._threads = ThreadPoolExecutor(_THREADS, "files")
        self._turns = asyncio.Semaphore(_THREADS)

    async def store(self, source: Path, key: str) -> None:
        await self._in_a_thread(self._client.upload_file, str(source), self._bucket, self._prefix + key)

    async def open(self, key: str) -> AsyncIterator[bytes]:
        found = await self._in_a_thread(lambda: self._client.get_object(Bucket=self._bucket, Key=self._prefix + key))
        body = found["Body"]

        async def parts() -> AsyncIterator[bytes]:
            try:
                while part := await self._in_a_thread(body.read, _PART):
                    yield part
            finally:
                body.close()

        return parts()

    async def drop(self, key: str) -> None:
        await self._in_a_thread(lambda: self._client.delete_object(Bucket=self._bucket, Key=self._prefix + key))

    async def tidy(self, before: float) -> None:
        """Does nothing: an S3 service shows no incomplete object, and drops parts by a rule of the bucket."""

    async def check(self) -> str:
        await self._in_a_thread(lambda: self._client.head_bucket(Bucket=self._bucket))
        return f"the bucket {self._bucket}"

    @spanned("files")
    async def _in_a_thread(self, work: Callable[..., T], *arguments: Any) -> T:
        try:
            async with asyncio.timeout(_TURN_S):
                await self._turns.acquire()
        except TimeoutError:
            raise FilesUnavailable("the service does not answer those who asked before") from None
        running = asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)
        running.add_done_callback(self._ended)  # the caller might be gone before the thread is free
        try:
            return await asyncio.shield(running)
        except self._failures as error:
            raise FilesUnavailable(f"{type(error).__name__}: {error}") from error

    def _ended(self, running: asyncio.Future[Any]) -> None:
        self._turns.release()
        if not running.cancelled():
            running.exception()  # marks it as seen


def folder_of(settings: Settings) -> Path | None:
    """Returns the folder of the file storage; None for a bucket."""
    if settings.files.startswith("s3://"):
        return None
    return Path(settings.files or Path(settings.data_dir) / "files")


def open_storage(settings: Settings) -> FileStorage:
    """Opens the file storage that the settings name. The S3 library is loaded only when it is used."""
    folder = folder_of(settings)
    if folder is None:
        return S3Storage(settings)
    return FolderStorage(folder)
