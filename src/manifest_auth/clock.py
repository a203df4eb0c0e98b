"""Time and chance, as arguments: tests hand in others, and a lint bans the originals everywhere else."""

from __future__ import annotations

import base64
import secrets
import time


class Clock:
    """Now, in whole milliseconds since 1970 UTC."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000


class Random:
    """The operating system's random numbers."""

    def bytes(self, count: int) -> bytes:
        return secrets.token_bytes(count)

    def text(self, count: int = 16) -> str:
        """``count`` random bytes (16: 128 bits) as URL-safe base64 without padding."""
        return base64.urlsafe_b64encode(self.bytes(count)).rstrip(b"=").decode()
