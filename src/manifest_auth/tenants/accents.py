"""A client's colour on pages: text on it, and links and focus in it, can be read (WCAG 2.2, 1.4.3).

Every colour is taken: what is written on it is black or white, whichever contrasts more, which is 4.58:1 at least.
Links and the focus ring use the colour moved in lightness until it has 4.5:1 on the page, for light and dark pages.
"""

from __future__ import annotations

import colorsys
import hashlib
from functools import lru_cache
from typing import NamedTuple

LEAST = 4.5
#: What links stand on: of the light pages the darkest ground, of the dark ones the lightest (``pages/assets``).
LIGHT_PAGE, DARK_PAGE = "#f6f5f2", "#22252e"
_STEPS = 200

Rgb = tuple[int, int, int]


class Look(NamedTuple):
    """Colours as ``#rrggbb``: behind a button, of the text on it, of links on light pages and on dark ones."""

    accent: str
    on_accent: str
    link: str
    link_on_dark: str


class Stylesheet(NamedTuple):
    """``hash``: the first 16 hex digits of its SHA-256, part of its address."""

    text: bytes
    hash: str


def look_of(accent: str) -> Look:
    """``accent``: as a client's settings have it, not empty."""
    on_accent = max("#000000", "#ffffff", key=lambda colour: contrast(accent, colour))
    return Look(accent, on_accent, _moved(accent, LIGHT_PAGE, to=0.0), _moved(accent, DARK_PAGE, to=1.0))


@lru_cache(maxsize=256)
def stylesheet(accent: str) -> Stylesheet:
    """What a page of the client links beside the stylesheet of all pages."""
    look = look_of(accent)
    text = (
        f":root{{--accent:{look.accent};--on-accent:{look.on_accent};--link:{look.link}}}\n"
        f"@media (prefers-color-scheme:dark){{:root{{--link:{look.link_on_dark}}}}}\n"
    ).encode()
    return Stylesheet(text, hashlib.sha256(text).hexdigest()[:16])


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, 1 to 21 (WCAG 2.2)."""
    low, high = sorted((_luminance(_rgb(one)), _luminance(_rgb(other))))
    return (high + 0.05) / (low + 0.05)


def _moved(accent: str, page: str, *, to: float) -> str:
    """The colour, or the nearest one of its hue towards black (0) or white (1) that can be read on the page."""
    if contrast(accent, page) >= LEAST:
        return accent
    hue, lightness, saturation = colorsys.rgb_to_hls(*(part / 255 for part in _rgb(accent)))
    for step in range(1, _STEPS):
        moved = colorsys.hls_to_rgb(hue, lightness + (to - lightness) * step / _STEPS, saturation)
        text = "#" + "".join(f"{round(part * 255):02x}" for part in moved)
        if contrast(text, page) >= LEAST:
            return text
    return "#ffffff" if to else "#000000"


def _rgb(colour: str) -> Rgb:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _luminance(colour: Rgb) -> float:
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (p / 255 for p in colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
