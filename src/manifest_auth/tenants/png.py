"""PNG pictures, split into chunks and rebuilt, never decoded.

No image decoder runs in the process that has every client's keys. Width and height come from the header. The result has
only the five chunk types that a picture needs, each with a valid checksum (PNG, third edition, sections 5 and 11).
Other chunks contain texts, times, color profiles, animations, or hidden data of another format. Optional ones are
removed; any other chunk, and bytes after the end, are rejected.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from manifest_auth.text.languages import marked as _

MOST_BYTES = 256 * 1024
WIDEST, HIGHEST = 800, 240
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
#: Bits of a sample that each type of color allows: gray, RGB, palette, gray and RGB with alpha.
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_PALETTE = 3
_OPTIONAL = 0x20  # in the first letter of a chunk's name: lower case means optional


class InvalidPng(Exception):
    """The data is not an acceptable PNG; the message says why."""


class Png(NamedTuple):
    data: bytes
    width: int
    height: int


class _Chunk(NamedTuple):
    name: bytes
    body: bytes
    whole: bytes


def clean(data: bytes) -> Png:
    """Returns the picture with only the chunks it needs. Raises :class:`InvalidPng`."""
    if len(data) > MOST_BYTES:
        raise InvalidPng(_("Must have at most %(number)s KiB", number=MOST_BYTES // 1024))
    if not data.startswith(_SIGNATURE):
        raise InvalidPng(_("Must be a PNG image"))
    kept: list[_Chunk] = []
    for chunk in _chunks(data):
        _check_place(chunk.name, [one.name for one in kept])
        kept.append(chunk)
    if not kept or kept[-1].name != b"IEND":
        raise InvalidPng(_("The image is incomplete"))
    header = kept[0].body
    _check_parts(header, kept)
    width, height = struct.unpack(">II", header[:8])
    return Png(_SIGNATURE + b"".join(chunk.whole for chunk in kept), width, height)


def _chunks(data: bytes) -> Iterator[_Chunk]:
    """Yields the chunks of the result, up to the end."""
    at = len(_SIGNATURE)
    while at < len(data):
        if at + 12 > len(data):
            raise InvalidPng(_("The image is incomplete"))
        length, name = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            raise InvalidPng(_("The image is incomplete"))
        if name in (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"):
            body = data[at + 8 : end - 4]
            if zlib.crc32(data[at + 4 : end - 4]) != struct.unpack_from(">I", data, end - 4)[0]:
                raise InvalidPng(_("The image has an invalid checksum"))
            yield _Chunk(name, body, data[at:end])
        elif not name.isalpha() or not name[0] & _OPTIONAL:
            raise InvalidPng(_("The image contains an unknown chunk"))
        at = end
        if name == b"IEND" and at != len(data):
            raise InvalidPng(_("The image has data after its end"))


def _check_place(name: bytes, before: list[bytes]) -> None:
    """Checks the order of chunks (section 5.6)."""
    first = name == b"IHDR"
    again = name in before and not (name == b"IDAT" and before[-1] == b"IDAT")
    late = name in (b"PLTE", b"tRNS") and b"IDAT" in before
    if first != (not before) or again or late or (name == b"PLTE" and b"tRNS" in before):
        raise InvalidPng(_("The chunks of the image are in the wrong order"))


def _check_parts(header: bytes, kept: list[_Chunk]) -> None:
    if len(header) != 13:
        raise InvalidPng(_("The image has an invalid header"))
    width, height, depth, colour, compression, filters, interlaced = struct.unpack(">IIBBBBB", header)
    if depth not in _DEPTHS.get(colour, ()) or (compression, filters) != (0, 0) or interlaced > 1:
        raise InvalidPng(_("The image has an invalid header"))
    if not (1 <= width <= WIDEST and 1 <= height <= HIGHEST):
        raise InvalidPng(_("Must be at most %(width)s pixels wide and %(height)s high", width=WIDEST, height=HIGHEST))
    parts = {chunk.name: len(chunk.body) for chunk in kept}
    entries, left = divmod(parts.get(b"PLTE", 0), 3)
    wanted = {0: False, 2: b"PLTE" in parts, _PALETTE: True, 4: False, 6: b"PLTE" in parts}[colour]
    if left or entries > 2 ** min(depth, 8) or (b"PLTE" in parts) != wanted or (wanted and not entries):
        raise InvalidPng(_("The image has an invalid palette"))
    clear = parts.get(b"tRNS")
    if clear is not None and not {0: clear == 2, 2: clear == 6, _PALETTE: 1 <= clear <= entries}.get(colour, False):
        raise InvalidPng(_("The image has invalid transparency"))
    if parts[b"IEND"] or not sum(len(chunk.body) for chunk in kept if chunk.name == b"IDAT"):
        raise InvalidPng(_("The image is incomplete"))
