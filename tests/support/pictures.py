"""PNG images for tests, both valid ones and ones with hidden content."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field, replace

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(name: bytes, body: bytes = b"", *, crc: int | None = None, length: int | None = None) -> bytes:
    """One chunk of a picture; ``crc`` and ``length`` replace the correct values."""
    sum_ = zlib.crc32(name + body) if crc is None else crc
    return struct.pack(">I", len(body) if length is None else length) + name + body + struct.pack(">I", sum_)


@dataclass(frozen=True)
class Picture:
    """``extra`` holds chunks by the name of the chunk that they follow."""

    width: int = 20
    height: int = 10
    depth: int = 8
    colour: int = 2
    compression: int = 0
    filters: int = 0
    interlaced: int = 0
    palette: bytes | None = None
    clear: bytes | None = None
    pixels: bytes | None = None
    extra: dict[bytes, bytes] = field(default_factory=dict)

    def but(self, **members: object) -> Picture:
        return replace(self, **members)  # type: ignore[arg-type]

    @property
    def header(self) -> bytes:
        return struct.pack(">IIBBBBB", self.width, self.height, self.depth, self.colour, self.compression, self.filters,
                           self.interlaced)  # fmt: skip

    def parts(self) -> list[tuple[bytes, bytes]]:
        """Name and body of each chunk, in order."""
        found = [(b"IHDR", self.header)]
        if self.palette is not None:
            found.append((b"PLTE", self.palette))
        if self.clear is not None:
            found.append((b"tRNS", self.clear))
        if self.pixels is None:
            row = b"\0" + bytes(-(-self.width * self.depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(self.colour, 1) // 8))
            found.append((b"IDAT", zlib.compress(row * self.height)))
        else:
            found.append((b"IDAT", self.pixels))
        return [*found, (b"IEND", b"")]

    def encoded(self) -> bytes:
        whole = SIGNATURE
        for name, body in self.parts():
            whole += chunk(name, body) + self.extra.get(name, b"")
        return whole
