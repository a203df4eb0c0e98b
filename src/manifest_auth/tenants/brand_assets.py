"""Branding of a client: an accent color with enough contrast (WCAG 2.2, 1.4.3), and a logo."""

from __future__ import annotations

import colorsys
import hashlib
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import bindparam, delete, select

from manifest_auth.store import TenantUnit, tenant_scoped, upsert
from manifest_auth.store.tables import client_logos
from manifest_auth.tenants.png import Png

# Every color is accepted. Text on it is black or white, whichever has more contrast, which is at least 4.58:1. Links
# and focus rings use the color with its lightness adjusted until the contrast with the page is 4.5:1, separately for
# light and dark pages.

LEAST = 4.5
#: Backgrounds of links: the darkest on light pages, the lightest on dark pages, both used by notices
#: (``pages/assets``).
LIGHT_PAGE, DARK_PAGE = "#fdeceb", "#16301f"
_STEPS = 200

Rgb = tuple[int, int, int]


class Palette(NamedTuple):
    """Colors as ``#rrggbb``: of a button, of its text, and of links on light pages and on dark pages."""

    accent: str
    on_accent: str
    link: str
    link_on_dark: str


class Stylesheet(NamedTuple):
    """A stylesheet. ``hash`` is the first 16 hex digits of its SHA-256, and part of its address."""

    text: bytes
    hash: str


def palette_of(accent: str) -> Palette:
    """Returns the palette for an accent color. ``accent`` comes from a client's settings, and is not empty."""
    on_accent = max("#000000", "#ffffff", key=lambda colour: contrast(accent, colour))
    return Palette(
        accent, on_accent, _with_contrast(accent, LIGHT_PAGE, to=0.0), _with_contrast(accent, DARK_PAGE, to=1.0)
    )


@lru_cache(maxsize=256)
def stylesheet(accent: str) -> Stylesheet:
    """Returns the stylesheet that a client's pages link in addition to the common one."""
    look = palette_of(accent)
    away = "#000000" if look.on_accent == "#ffffff" else "#ffffff"
    text = (
        f":root{{--accent:{look.accent};--on-accent:{look.on_accent};--away:{away};--link:{look.link}}}\n"
        f"@media (prefers-color-scheme:dark){{:root{{--link:{look.link_on_dark}}}}}\n"
    ).encode()
    return Stylesheet(text, hashlib.sha256(text).hexdigest()[:16])


def contrast(one: str, other: str) -> float:
    """Returns the contrast of two colors, 1 to 21 (WCAG 2.2)."""
    low, high = sorted((_luminance(_rgb(one)), _luminance(_rgb(other))))
    return (high + 0.05) / (low + 0.05)


def _with_contrast(accent: str, page: str, *, to: float) -> str:
    """Returns the color, or the nearest color of its hue toward black (0) or white (1) with enough contrast on the
    page."""
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


_L = client_logos.c


class Logo(NamedTuple):
    """A client's logo. ``hash`` is part of its address; ``width`` and ``height`` are in pixels."""

    hash: str
    width: int
    height: int


_LOGO = tenant_scoped(select(*(_L[name] for name in Logo._fields)), Logo)
_PNG = tenant_scoped(select(_L.hash, _L.png))
_VALUES: dict[str, Any] = {name: bindparam(name) for name in ("hash", "png", "width", "height")}
_PUT = tenant_scoped(
    upsert(client_logos).values(_VALUES).on_conflict_do_update(index_elements=["tenant_id"], set_=_VALUES)
)
_DROP = tenant_scoped(delete(client_logos))


def find(unit: TenantUnit) -> Logo | None:
    """Returns the logo without its bytes; None if there is no logo."""
    return unit.first(_LOGO)


def bytes_of(unit: TenantUnit) -> tuple[str, bytes] | None:
    """Returns hash and bytes of the logo; None if there is no logo."""
    found = unit.first(_PNG)
    return None if found is None else (found[0], bytes(found[1]))


def put(unit: TenantUnit, png: Png) -> Logo:
    """Stores a logo, replacing an earlier one."""
    logo = Logo(hashlib.sha256(png.data).hexdigest()[:16], png.width, png.height)
    unit.change(_PUT, hash=logo.hash, png=png.data, width=png.width, height=png.height)
    return logo


def drop(unit: TenantUnit) -> bool:
    """Deletes the logo. Returns False if there was none."""
    return unit.change(_DROP) == 1
