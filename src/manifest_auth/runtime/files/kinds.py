"""The media types that are accepted as evidence, and the first bytes that each must have.

Names and headers are not trusted.
"""

from __future__ import annotations

from collections.abc import Callable

from manifest_auth.errors import ValidationError


def _starts_with(*starts: bytes) -> Callable[[bytes], bool]:
    return lambda start: start.startswith(starts)


def _at(offset: int, *words: bytes) -> Callable[[bytes], bool]:
    return lambda start: start[offset:].startswith(words)


def _is_text(start: bytes) -> bool:
    """UTF-8 without control characters but tabs and line ends. The last character may be cut where more follows."""
    try:
        text = start.decode("utf-8")
    except UnicodeDecodeError as error:
        if len(start) < START or error.start < len(start) - 3:
            return False
        text = start[: error.start].decode("utf-8")
    return not any(c < " " and c not in "\t\r\n" for c in text)


#: Checks by media type. No type that a browser would run as a page: no HTML, no SVG.
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
START = 512  # bytes that are checked


def check_start(media_type: str, start: bytes) -> None:
    """Raises ValidationError unless the first bytes fit the accepted media type."""
    if not KINDS[media_type](start):
        raise ValidationError(details=[("Content-Type", f"The body is not {media_type}")])
