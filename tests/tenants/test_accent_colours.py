"""Client colors: text and links stay readable with any chosen color."""

from __future__ import annotations

import colorsys
import itertools
import re
from functools import cache
from importlib import resources

import pytest

from manifest_auth.tenants import brand_assets

LEAST = 4.5
#: The darkest and the lightest, one that isn't readable unchanged on any page, and common colors of logos.
BRANDS = ("#000000", "#ffffff", "#777777", "#ffcc00", "#e3000f", "#00a651")
SHEET = resources.files("manifest_auth.pages").joinpath("assets/app.css").read_text("utf-8")
EVERY = ["#" + "".join(digit * 2 for digit in digits) for digits in itertools.product("0123456789abcdef", repeat=3)]


palette_of = cache(brand_assets.palette_of)


def parts(colour: str) -> list[float]:
    return [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]


@cache
def luminance(colour: str) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts(colour)]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    """The contrast ratio as defined by WCAG 2.2."""

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


#: The darkest background of light pages, and the lightest of dark ones, in the pages' stylesheet.
LIGHT, DARK = (
    select(re.findall(r"--(?:page|surface|raised|[a-z]+-page): (#[0-9a-f]{6});", scheme), key=luminance)
    for select, scheme in zip((min, max), SHEET.partition("\n\n*,")[0].split("prefers-color-scheme: dark"), strict=True)
)


def test_all_three_pairs_can_be_read_for_every_color() -> None:
    assert len(EVERY) == 4096
    unread = []
    for accent in EVERY:
        look = palette_of(accent)
        pairs = [(look.accent, look.on_accent)]
        pairs += [(look.link, LIGHT), (look.link_on_dark, DARK)]
        unread += [(accent, pair) for pair in pairs if contrast(*pair) < LEAST]
    assert unread == []


def test_text_on_a_button_under_the_pointer_can_be_read() -> None:
    """The background moves away from the text color, mixed as in the stylesheet."""
    [number] = re.findall(r"primary:hover .*, var\(--accent\) (\d+)%, var\(--away\)", SHEET)
    share, unread = int(number) / 100, []
    for accent in EVERY:
        [away] = re.findall(r"--away:(#\w{6})", brand_assets.stylesheet(accent).text.decode())
        both = zip(parts(accent), parts(away), strict=True)
        mixed = "#" + "".join(f"{round(255 * (share * one + (1 - share) * other)):02x}" for one, other in both)
        unread += [accent] if contrast(mixed, palette_of(accent).on_accent) < LEAST else []
    assert unread == []


def test_what_is_written_on_it_is_black_or_white_whichever_contrasts_more() -> None:
    for accent in EVERY:
        look = palette_of(accent)
        assert look.on_accent == max("#000000", "#ffffff", key=lambda colour: contrast(accent, colour))


def test_a_color_that_can_be_read_stays_as_it_is_and_others_keep_their_hue() -> None:
    stayed = moved = 0
    for accent in EVERY:
        for link, ground in zip(palette_of(accent)[2:], (LIGHT, DARK), strict=True):
            if link == accent:
                stayed += 1
                continue
            moved += 1
            assert contrast(accent, ground) < LEAST
            (hue, _, saturation), (new_hue, _, _) = (colorsys.rgb_to_hls(*parts(one)) for one in (accent, link))
            if saturation > 0.2 and "00" not in re.findall("..", link[1:]):
                assert min(abs(hue - new_hue), 1 - abs(hue - new_hue)) < 0.03, (accent, link)
    assert stayed > 1000
    assert moved > 1000


@pytest.mark.parametrize(("one", "other", "ratio"), [("#000000", "#ffffff", 21), ("#777777", "#ffffff", 4.48)])
def test_contrast_is_that_of_the_standard(one: str, other: str, ratio: float) -> None:
    assert brand_assets.contrast(one, other) == pytest.approx(ratio, abs=0.005) == brand_assets.contrast(other, one)
