"""QR codes (ISO/IEC 18004) as SVG text, for pages and clients that show an address to a phone."""

from __future__ import annotations


def svg(text: str) -> str:
    """The code of a text, with the quiet zone of four modules that readers need; dark on white in every colour
    scheme. One user unit for each module, without a size, so it fits where it is shown."""
    import segno  # imported only where a code is shown

    return segno.make(text, error="m", micro=False).svg_inline(border=4, dark="#000", light="#fff", omitsize=True)
