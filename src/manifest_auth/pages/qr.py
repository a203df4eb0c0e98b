"""QR codes on pages: the one place that hands markup to a template."""

from __future__ import annotations

from typing import TYPE_CHECKING

from manifest_auth.text import scan_codes

if TYPE_CHECKING:
    from markupsafe import Markup


async def code(text: str, title: str) -> Markup:
    """A QR code of ``text``, for a template to insert. ``title``: its accessible name, in the page's language. Raises
    ValueError for more than 2,953 bytes."""
    drawn = await scan_codes.qr_svg(text, title)
    from markupsafe import Markup  # not at the start: see rendering

    return Markup(drawn)  # noqa: S704 - modules as numbers, and a title that is escaped
