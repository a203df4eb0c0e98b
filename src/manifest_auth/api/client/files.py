"""``/api/client/files``: upload of evidence files for jobs, and download.

A file is uploaded before it is recorded in a job. Users who can read jobs can download it.

The request body is the file itself. It is streamed to the local disk, so that large files use no memory. The bytes are
stored before the row, so a row never names missing bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import msgspec

from manifest_auth.audit.acts import NOTHING
from manifest_auth.errors import (
    NotFound,
    Overloaded,
    PayloadTooLarge,
    RateLimited,
    Refusal,
    UnsupportedMediaType,
    ValidationError,
)
from manifest_auth.http import NO_STORE, Answer, Call, Head, Route, Time, Wire, stream
from manifest_auth.http.request import LEAST_RATE, RECEIVE_TIMEOUT_S
from manifest_auth.permissions import Permission
from manifest_auth.runtime.files import KINDS, START, FilesUnavailable, check_start, upload_folder
from manifest_auth.runtime.settings import MAX_FILE
from manifest_auth.services import RequestContext
from manifest_auth.store import StoreUnavailable
from manifest_auth.text import fields
from manifest_auth.work import files
from manifest_auth.work.actor import actor_of
from manifest_auth.work.files import PATH, File

#: A file's content must never run, neither in a browser that opens it nor in a page that frames it.
_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"
_STORING_S = 60.0  # maximum time from the last byte of an upload to its row


class NameQuery(msgspec.Struct, frozen=True):
    """``name``: the file's name on the user's device."""

    name: Annotated[str, fields.FILE_NAME.meta]


class FileData(Wire, frozen=True):
    id: int
    name: str
    media_type: str
    size: int
    sha256: str
    url: str
    uploaded_at: Time


async def _upload(ctx: RequestContext, call: Call[AsyncIterator[bytes]]) -> FileData:
    media_type = _media_type(call)
    name = _name(call.parameters.name)
    key = ctx.services.random.bytes(20).hex()
    limit = await _reserve(ctx, call.head, key)
    try:
        size, sha256 = await _take(ctx, call.body, media_type, key, limit)
    except BaseException as error:
        await _release(ctx, key)
        if isinstance(error, FilesUnavailable | OSError):  # the file storage, and the local disk
            ctx.services.file_outages.failed("write", str(error))
            raise Overloaded("Files can't be stored at the moment", retry_after=5, reason=f"files: {error}") from error
        raise
    ctx.services.file_outages.worked("write")
    try:
        added = await _add(ctx, key, name, media_type, size, sha256)
    except Refusal:
        await _drop(ctx, key)
        await _release(ctx, key)
        raise
    return FileData.of(added, url=added.path)


async def _reserve(ctx: RequestContext, head: Head, key: str) -> int:
    """Reserves quota for the file. Returns its maximum size in bytes. Raises PayloadTooLarge or RateLimited."""
    settings, by = ctx.services.settings, actor_of(ctx)
    declared = None if head.content_length is None else int(head.content_length)
    if declared is not None and declared > settings.file_limit:
        raise PayloadTooLarge
    longest_s = RECEIVE_TIMEOUT_S + (declared or settings.file_limit) / LEAST_RATE + _STORING_S
    return await ctx.store.write(
        lambda unit: files.reserve(
            unit,
            by,
            key=key,
            declared=declared,
            largest=settings.file_limit,
            quota=settings.upload_quota,
            expires_at=by.at + int(longest_s * 1000),
        )
    )


async def _release(ctx: RequestContext, key: str) -> None:
    with contextlib.suppress(StoreUnavailable):  # the reservation expires on its own
        await ctx.store.write(lambda unit: files.release(unit, key))


async def _add(ctx: RequestContext, key: str, name: str, media_type: str, size: int, sha256: str) -> File:
    by, quota = actor_of(ctx), ctx.services.settings.upload_quota
    return await ctx.store.write(
        lambda unit: files.add(
            unit, by, key=key, name=name, media_type=media_type, size=size, sha256=sha256, quota=quota
        )
    )


async def _drop(ctx: RequestContext, key: str) -> None:
    try:
        await ctx.services.files.drop(key)
    except FilesUnavailable as error:
        ctx.services.log.warning("file_left_over", request_id=ctx.request_id, key=key, error=str(error))


def _name(given: str) -> str:
    """Returns the name. Raises ValidationError for bidirectional control characters, which would display `gnp.exe` as
    `exe.png`."""
    if _BIDI_CONTROLS & set(given):
        raise ValidationError(details=[("name", "Characters that change the text direction aren't allowed")])
    return fields.FILE_NAME.check(given, "name")


def _media_type(call: Call[Any]) -> str:
    kind = (call.head.content_type or "").partition(";")[0].strip().lower()
    if call.head.content_encoding not in (None, "", "identity"):
        raise UnsupportedMediaType("Content-Encoding isn't supported")
    if kind not in KINDS:
        raise UnsupportedMediaType(f"Only these file types are accepted: {', '.join(KINDS)}")
    return kind


async def _take(
    ctx: RequestContext, body: AsyncIterator[bytes], media_type: str, key: str, limit: int
) -> tuple[int, str]:
    """Receives the whole body on the local disk, and then stores it under its key. Returns its size and SHA-256. Raises
    OSError or FilesUnavailable."""
    folder = upload_folder(ctx.services.settings)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, path = tempfile.mkstemp(dir=folder)
    partial = Path(path)
    try:
        with os.fdopen(handle, "wb") as out:
            arrived = await _receive(ctx, body, out, media_type, limit)
        await ctx.services.files.store(partial, key)
    finally:
        partial.unlink(missing_ok=True)
    return arrived


async def _receive(
    ctx: RequestContext, body: AsyncIterator[bytes], out: Any, media_type: str, limit: int
) -> tuple[int, str]:
    """Writes the parts as they arrive, and checks the size and media type."""
    digest, size, start, looked = hashlib.sha256(), 0, b"", False
    async for part in body:
        size += len(part)
        if size > limit:
            raise PayloadTooLarge(None if limit == ctx.services.settings.file_limit else files.QUOTA_EXCEEDED)
        if not looked:
            start += part
            if len(start) >= START:
                check_start(media_type, start[:START])
                looked = True
        digest.update(part)
        out.write(part)
    if size == 0:
        raise ValidationError("The file is empty")
    if not looked:
        check_start(media_type, start)
    return size, digest.hexdigest()


async def _download(ctx: RequestContext, call: Call[None]) -> Answer[None]:
    file_id = call.id("file")
    file = await ctx.store.read(lambda unit: files.get(unit, file_id))
    try:
        parts = await ctx.services.files.open(file.key)
    except FilesUnavailable as error:
        raise Overloaded("The file can't be read at the moment", retry_after=5, reason=f"files: {error}") from error
    name = quote(file.name, safe="")  # RFC 8187; as an attachment, it is never shown as a page
    headers = (
        (b"content-type", file.media_type.encode()),
        (b"content-disposition", f"attachment; filename*=UTF-8''{name}".encode()),
        (b"etag", f'"{file.sha256}"'.encode()),
        NO_STORE,
    )
    return stream(parts, file.size, headers, _POLICY)


ROUTES = (
    Route("POST", PATH, _upload, Permission.JOBS_EXECUTE, "Upload a file as evidence; the body is the file itself",
          query=NameQuery, status=201, streams=True, takes=tuple(KINDS),
          limit=MAX_FILE, refusals=(PayloadTooLarge, UnsupportedMediaType, RateLimited, Overloaded),
          operation="uploadFile", asks=NOTHING, is_recorded=False),
    Route("GET", f"{PATH}/{{file}}", _download, Permission.JOBS_READ, "Download a file", sends=tuple(KINDS),
          refusals=(NotFound, Overloaded), operation="downloadFile"),
)  # fmt: skip
