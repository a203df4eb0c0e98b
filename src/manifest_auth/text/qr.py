"""QR codes as SVG text."""

from __future__ import annotations

import asyncio
import io

MODULE_PX = 6
QUIET_ZONE = 4  # modules of white on each side: ISO/IEC 18004 wants four


async def svg(text: str, title: str) -> str:
    """A QR code of ``text`` as one ``<svg>`` element without declaration: 6 CSS pixels a module, black on white with
    its quiet zone, whatever colours are around it. ``title``: what it is, for those who do not see it; escaped here.

    Made in a thread, where the library is loaded with the first code. Raises ValueError for more than 2,953 bytes.
    """
    return await asyncio.to_thread(_draw, text, title)


def _draw(text: str, title: str) -> str:
    import segno  # loaded with the first code: few requests make one

    made = io.BytesIO()
    # The lowest level of correction: a screen is not scratched, and fewer modules are larger ones.
    segno.make(text, error="l", micro=False).save(
        made, kind="svg", xmldecl=False, nl=False, scale=MODULE_PX, border=QUIET_ZONE, unit="px", dark="#000",
        light="#fff", title=title, svgclass="qr", lineclass=None,
    )  # fmt: skip
    return '<svg role="img" shape-rendering="crispEdges" ' + made.getvalue().decode().removeprefix("<svg ")
