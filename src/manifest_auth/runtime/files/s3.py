"""Files in a bucket of an S3-compatible service, through boto3 in threads.

Needs the extra ``s3`` (``pip install 'manifest-auth[s3]'``). Credentials come from the settings, or, when these are
empty, from boto3's own sources: the machine's role, environment variables and files.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from manifest_auth.runtime.files.storage import FileStorage, FilesUnavailable
from manifest_auth.runtime.settings import Settings, SettingsError, variable

T = TypeVar("T")

_PART = 256 * 1024
#: Threads of their own: where the service hangs, work that needs the event loop's goes on.
_THREADS = 16
#: A service that hangs is given up within 10 s: a turn, and two attempts with a pause between.
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
            text = f"{variable('files')}: s3:// needs the extra: pip install 'manifest-auth[s3]'"
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

    async def _in_a_thread(self, work: Callable[..., T], *arguments: Any) -> T:
        try:
            async with asyncio.timeout(_TURN_S):
                await self._turns.acquire()
        except TimeoutError:
            raise FilesUnavailable("the service does not answer those who asked before") from None
        running = asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)
        running.add_done_callback(self._ended)  # the caller may be gone before the thread is free
        try:
            return await asyncio.shield(running)
        except self._failures as error:
            raise FilesUnavailable(f"{type(error).__name__}: {error}") from error

    def _ended(self, running: asyncio.Future[Any]) -> None:
        self._turns.release()
        if not running.cancelled():
            running.exception()  # marks it as seen
