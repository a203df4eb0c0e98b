"""Clock and random numbers as objects: tests replace them, and a lint rule bans the originals everywhere else."""

from __future__ import annotations

import secrets
import threading
import time

from manifest_auth.text.base64url import encode

_PAGE = 1024
_TEXTS = 64  # kept ready for the next callers


class Clock:
    """The current time, in whole milliseconds since 1970 UTC."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000


class Random:
    """The operating system's random numbers, read in pages. A system call for every few bytes would cost more than the
    rest of a refresh, and would release the interpreter lock each time."""

    def __init__(self) -> None:
        self._pages = threading.local()
        self._texts: dict[int, list[str]] = {}

    def bytes(self, count: int) -> bytes:
        """Returns ``count`` random bytes, never the same ones twice."""
        pages = self._pages
        start = getattr(pages, "used", _PAGE)
        if start + count > _PAGE:
            if count > _PAGE:
                return secrets.token_bytes(count)
            pages.page, start = secrets.token_bytes(_PAGE), 0
        pages.used = start + count
        page: bytes = pages.page
        return page[start : start + count]

    def text(self, count: int = 16) -> str:
        """Returns ``count`` random bytes (16: 128 bits) as URL-safe base64 without padding."""
        ready = self._texts.setdefault(count, [])
        try:
            return ready.pop()
        except IndexError:  # also if other threads took the last ones
            ready += [encode(self.bytes(count)) for _ in range(_TEXTS)]
            return encode(self.bytes(count))
