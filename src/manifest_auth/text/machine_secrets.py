"""Secrets that this server creates for machines, in one format with a checksum, which secret scanners can find.

``mfst_``, the kind, ``_``, 43 characters of base62 (256 random bits), and 6 of base62: the CRC-32 of everything before
them. The checksum is no protection, but it lets a caller's junk be rejected without a query.
"""

from __future__ import annotations

import enum
import hashlib
import re
from zlib import crc32

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM, _CHECKSUM = 43, 6
#: For scanners: finds every secret of this server in a text.
PATTERN = re.compile(r"mfst_(key|scim|sec)_[0-9A-Za-z]{49}")
#: Prefix of every secret of this server; no other tokens have it.
PREFIX = "mfst_"
RANDOM_BYTES = 32


class SecretKind(enum.Enum):
    """The kind of a secret. Its value appears in the secret."""

    API_KEY = "key"
    SCIM = "scim"
    CLIENT_SECRET = "sec"  # noqa: S105 - a part of the shape


def make(kind: SecretKind, random: bytes) -> str:
    """Creates a secret. ``random``: :data:`RANDOM_BYTES` random bytes."""
    assert len(random) == RANDOM_BYTES
    text = f"{PREFIX}{kind.value}_{_base62(int.from_bytes(random, 'big'), _RANDOM)}"
    return text + _checksum(text)


def kind_of(text: str) -> SecretKind | None:
    """Returns the kind of a secret; None if format or checksum is wrong, which means that this server did not create
    it."""
    found = PATTERN.fullmatch(text)
    if found is None or _checksum(text[:-_CHECKSUM]) != text[-_CHECKSUM:]:
        return None
    return SecretKind(found[1])


def hash_of(secret: str) -> str:
    """Returns the stored form: SHA-256, which is enough for 256 random bits."""
    return hashlib.sha256(secret.encode("ascii")).hexdigest()


def hint_of(secret: str) -> str:
    """Returns the last four characters, by which people recognize a secret."""
    return secret[-4:]


def _checksum(text: str) -> str:
    return _base62(crc32(text.encode("ascii")), _CHECKSUM)


def _base62(number: int, width: int) -> str:
    """Returns the number in base62, padded with ``0``."""
    digits = ""
    for _ in range(width):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
