"""QR codes as SVG: their size, colors, and name, and that a thread creates them."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import segno
from lxml import etree

from manifest_auth.text import scan_codes
from tests.support.rules import rule

URI = "otpauth://totp/Manifest%20Auth:ada%40auth.acme.example?secret=ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
NS = "{http://www.w3.org/2000/svg}"


async def test_a_module_has_six_pixels_and_the_code_a_quiet_zone_of_four_modules() -> None:
    drawn = etree.fromstring(await scan_codes.qr_svg(URI, "x"))
    side = len(tuple(segno.make(URI, error="l", micro=False).matrix)) + 2 * 4
    assert (drawn.get("width"), drawn.get("height"), drawn.get("viewBox")) == (
        f"{6 * side}px", f"{6 * side}px", f"0 0 {6 * side} {6 * side}"
    )  # fmt: skip
    light, dark = drawn.iter(f"{NS}path")
    assert (light.get("fill"), light.get("d")) == ("#fff", f"M0 0h{side}v{side}h-{side}z")
    assert (dark.get("stroke"), str(dark.get("d")).startswith("M4 4.5h7")) == ("#000", True)


@rule("MARKUP")
async def test_it_has_a_name_and_nothing_else_of_others() -> None:
    text = await scan_codes.qr_svg("</svg><script>", "<script>&\"'")
    drawn = etree.fromstring(text)
    assert drawn.get("role") == "img"
    assert [one.tag.removeprefix(NS) for one in drawn.iter()] == ["svg", "title", "g", "path", "path"]
    assert drawn.findtext(f"{NS}title") == "<script>&\"'"
    assert "style" not in text
    assert not text.startswith("<?xml")


async def test_it_is_made_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    at: list[threading.Thread] = []
    make = segno.make

    def noted(*given: Any, **more: Any) -> segno.QRCode:
        at.append(threading.current_thread())
        return make(*given, **more)

    monkeypatch.setattr(segno, "make", noted)
    await scan_codes.qr_svg("x", "x")
    assert at
    assert at[0] is not threading.main_thread()


async def test_what_does_not_fit_is_rejected() -> None:
    with pytest.raises(ValueError, match="too large"):
        await scan_codes.qr_svg("x" * 3000, "x")
