"""Codes that people let a device scan, and letters that they type instead.

A code to scan names its kind, the client and 128 random bits in base32 (RFC 4648, section 6).
"""

from __future__ import annotations

import base64
import enum
import hashlib
import re
from typing import Final, NamedTuple

RANDOM_BYTES: Final = 16
_SHAPE = re.compile(r"(M[BD]1):([a-z0-9-]{1,63}):([A-Z2-7]{26})", re.IGNORECASE | re.ASCII)


class ScanKind(enum.Enum):
    """Value: how a code of the kind begins."""

    BADGE = "MB1"
    DEVICE = "MD1"


class ScanCode(NamedTuple):
    """``client``: the identifier that the code names; ``hash``: what the store keeps, SHA-256 of the whole code."""

    client: str
    hash: str


def make(kind: ScanKind, client: str, random: bytes) -> str:
    """A new code. ``random``: :data:`RANDOM_BYTES` random bytes."""
    assert len(random) == RANDOM_BYTES
    return f"{kind.value}:{client}:{base64.b32encode(random).decode().rstrip('=')}"


def read(kind: ScanKind, text: str) -> ScanCode | None:
    """A code that was scanned; None for a text that is no code of the kind."""
    found = _SHAPE.fullmatch(text.strip())  # scanners end with Enter
    if found is None or found[1].upper() != kind.value:
        return None
    client = found[2].lower()
    return ScanCode(client, hash_of(f"{kind.value}:{client}:{found[3].upper()}"))


def hash_of(code: str) -> str:
    """What the store keeps of a code as :func:`make` wrote it."""
    return hashlib.sha256(code.encode("ascii")).hexdigest()


def hash_of_any(text: str) -> str:
    """The same of a text that is no code, which is counted as one."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
