"""The picture that the demo's job has as evidence: a gauge, drawn here, so that no file comes with the program."""

from __future__ import annotations

import math
import struct
import zlib

SIZE = 160  # pixels each way
_WHITE, _DARK, _RED = b"\xff\xff\xff", b"\x2b\x34\x3f", b"\xc6\x28\x28"
_NEEDLE = math.radians(-50)


def gauge() -> bytes:
    """A PNG file."""
    rows = b"".join(b"\0" + b"".join(_pixel(x - SIZE / 2, y - SIZE / 2) for x in range(SIZE)) for y in range(SIZE))
    head = struct.pack(">IIBBBBB", SIZE, SIZE, 8, 2, 0, 0, 0)
    parts = (b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, body) for name, body in parts)


def _pixel(x: float, y: float) -> bytes:
    distance, angle = math.hypot(x, y), math.atan2(y, x)
    along = math.cos(angle - _NEEDLE) * distance
    if distance < 7 or (0 < along < 52 and abs(math.sin(angle - _NEEDLE)) * distance < 2):
        return _RED
    is_mark = 54 < distance < 66 and abs(math.degrees(angle) % 30 - 15) > 13 and not 60 < math.degrees(angle) < 120
    return _DARK if is_mark or 70 < distance < 76 else _WHITE


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
