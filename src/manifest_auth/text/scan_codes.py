"""Codes that people type or let a device scan: letters, the texts of badges, and QR codes."""

from __future__ import annotations

import asyncio
import base64
import enum
import hashlib
import io
import re
from collections.abc import Callable
from typing import Final, NamedTuple

#: No vowels, so no words; no letters that look alike. Each letter is worth 4.3 bits.
ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"


def random_letters(random: Callable[[int], bytes], count: int) -> str:
    """Returns this many random letters, all equally likely: bytes above the last full round of the alphabet are
    skipped. ``random`` returns a given number of random bytes."""
    found = ""
    while len(found) < count:
        byte = random(1)[0]
        if byte < 256 - 256 % len(ALPHABET):
            found += ALPHABET[byte % len(ALPHABET)]
    return found


def plain_letters(typed: str) -> str:
    """Returns the typed text, without hyphens and blanks, in upper case."""
    return typed.replace("-", "").replace(" ", "").upper()


def grouped_letters(code: str, size: int = 4) -> str:
    """Returns the code with hyphens, for reading."""
    return "-".join(code[at : at + size] for at in range(0, len(code), size))


# A code to scan names its kind, the client and 128 random bits in base32 (RFC 4648, section 6).

RANDOM_BYTES: Final = 16
_SHAPE = re.compile(r"(M[BD]1):([a-z0-9-]{1,63}):([A-Z2-7]{26})", re.IGNORECASE | re.ASCII)


class ScanKind(enum.Enum):
    """The kind of a code. Its value is the prefix of the code."""

    BADGE = "MB1"
    DEVICE = "MD1"


class ScanCode(NamedTuple):
    """A code that was read. ``client``: the identifier that it names; ``hash``: the stored form, SHA-256 of the whole
    code."""

    client: str
    hash: str


def make_scan_code(kind: ScanKind, client: str, random: bytes) -> str:
    """Creates a code. ``random``: :data:`RANDOM_BYTES` random bytes."""
    assert len(random) == RANDOM_BYTES
    return f"{kind.value}:{client}:{base64.b32encode(random).decode().rstrip('=')}"


def read_scan_code(kind: ScanKind, text: str) -> ScanCode | None:
    """Reads a scanned code; None for text that is no code of the kind."""
    found = _SHAPE.fullmatch(text.strip())  # scanners end with Enter
    if found is None or found[1].upper() != kind.value:
        return None
    client = found[2].lower()
    return ScanCode(client, hash_of_scan_code(f"{kind.value}:{client}:{found[3].upper()}"))


def hash_of_scan_code(code: str) -> str:
    """Returns the stored form of a code that :func:`make_scan_code` wrote."""
    return hashlib.sha256(code.encode("ascii")).hexdigest()


def hash_of_any_scan_code(text: str) -> str:
    """Returns the stored form of text that is no code, which is counted like one."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


MODULE_PX = 6
QUIET_ZONE = 4  # white modules on each side: ISO/IEC 18004 requires four


async def qr_svg(text: str, title: str) -> str:
    """Returns a QR code of ``text`` as one ``<svg>`` element without declaration: 6 CSS pixels per module, black on
    white with its quiet zone, whatever colors are around it. ``title``: a description for people who can't see it;
    escaped here.

    Created in a thread, where the library is loaded with the first code. Raises ValueError for more than 2,953 bytes.
    """
    return await asyncio.to_thread(_draw_qr, text, title)


def _draw_qr(text: str, title: str) -> str:
    import segno  # loaded with the first code, since few requests create one

    made = io.BytesIO()
    # The lowest level of correction, because a screen is not scratched, and fewer modules are larger.
    segno.make(text, error="l", micro=False).save(
        made,
        kind="svg",
        xmldecl=False,
        nl=False,
        scale=MODULE_PX,
        border=QUIET_ZONE,
        unit="px",
        dark="#000",
        light="#fff",
        title=title,
        svgclass="qr",
        lineclass=None,
    )
    return '<svg role="img" shape-rendering="crispEdges" ' + made.getvalue().decode().removeprefix("<svg ")
