"""QR codes, for an address that a phone reads from a screen."""

from __future__ import annotations


def svg(text: str) -> str:
    """The code of a text as an SVG element (ISO/IEC 18004), black on white with the quiet zone around it. Some
    milliseconds of work: for a worker thread."""
    import segno  # imported only where a code is shown

    return segno.make(text, error="m", micro=False).svg_inline(scale=4, border=4, dark="#000", light="#fff")
