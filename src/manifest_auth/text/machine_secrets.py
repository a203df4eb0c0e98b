"""Secrets that this server makes for machines: one shape, which scanners of leaked secrets find, with a checksum.

``mfst_``, the kind, ``_``, 43 characters of base62 (256 random bits), and 6 of base62: the CRC-32 of all before them.
The checksum is no protection: it lets a caller's junk be rejected without asking the store.
"""

from __future__ import annotations

import enum
import hashlib
import re
from zlib import crc32

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM, _CHECKSUM = 43, 6
#: For scanners: finds every secret of this server in a text.
PATTERN = re.compile(r"mfst_(key|sec)_[0-9A-Za-z]{49}")
#: How every secret of this server begins; no token of another make does.
PREFIX = "mfst_"
RANDOM_BYTES = 32


class SecretKind(enum.Enum):
    """Value: as it stands in the secret."""

    API_KEY = "key"
    CLIENT_SECRET = "sec"  # noqa: S105 - a part of the shape


def make(kind: SecretKind, random: bytes) -> str:
    """A new secret. ``random``: :data:`RANDOM_BYTES` random bytes."""
    assert len(random) == RANDOM_BYTES
    text = f"{PREFIX}{kind.value}_{_base62(int.from_bytes(random, 'big'), _RANDOM)}"
    return text + _checksum(text)


def kind_of(text: str) -> SecretKind | None:
    """The kind of a secret; None where shape or checksum is wrong, so that no secret of this server reads so."""
    found = PATTERN.fullmatch(text)
    if found is None or _checksum(text[:-_CHECKSUM]) != text[-_CHECKSUM:]:
        return None
    return SecretKind(found[1])


def hash_of(secret: str) -> str:
    """The stored form: SHA-256, which is enough for 256 random bits."""
    return hashlib.sha256(secret.encode("ascii")).hexdigest()


def hint_of(secret: str) -> str:
    """The last four characters, by which people tell secrets apart."""
    return secret[-4:]


def _checksum(text: str) -> str:
    return _base62(crc32(text.encode("ascii")), _CHECKSUM)


def _base62(number: int, width: int) -> str:
    """The number in base62, padded with ``0``."""
    digits = ""
    for _ in range(width):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
