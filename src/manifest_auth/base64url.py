"""base64url without padding (RFC 4648, section 5; RFC 7515, appendix C), strict in reading."""

from __future__ import annotations

import binascii

_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = str.maketrans("-_", "+/")


def encode(raw: bytes) -> str:
    """The text, without padding."""
    return binascii.b2a_base64(raw, newline=False).translate(_TO_URL, b"=").decode()


def decode(text: str) -> bytes:
    """The bytes. Raises ValueError for padding, white space, a foreign alphabet or spare bits that are not zero."""
    if "+" in text or "/" in text or "=" in text:
        raise ValueError("not base64url")
    raw = binascii.a2b_base64(text.translate(_FROM_URL) + "=" * (-len(text) % 4), strict_mode=True)
    if len(text) % 4 and encode(raw) != text:
        raise ValueError("not base64url: spare bits")
    return raw
