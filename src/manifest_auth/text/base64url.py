"""base64url without padding (RFC 4648, section 5; RFC 7515, appendix C), with strict decoding."""

from __future__ import annotations

import binascii

_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_+/", b"+/  ")  # characters of plain base64 become invalid ones


def encode(raw: bytes) -> str:
    """Returns the base64url text, without padding."""
    return binascii.b2a_base64(raw, newline=False).translate(_TO_URL, b"=").decode()


def decode(text: str) -> bytes:
    """Returns the bytes. Raises ValueError for padding, white space, another alphabet or spare bits that are not
    zero."""
    raw = text.encode("ascii").translate(_FROM_URL)
    spare = -len(raw) % 4
    if not spare:
        if raw[-1:] == b"=":
            raise ValueError("not base64url: padding")
        return binascii.a2b_base64(raw, strict_mode=True)
    decoded = binascii.a2b_base64(raw + b"=" * spare, strict_mode=True)
    if encode(decoded) != text:
        raise ValueError("not base64url: spare bits or padding")
    return decoded
