"""Client colours: text and links on any chosen colour stay readable."""

from __future__ import annotations

import colorsys
import itertools
import re
from functools import cache

import pytest

from manifest_auth.tenants import brand_assets

LEAST = 4.5
LIGHT, DARK = ("#ffffff", "#f6f5f2", "#fbfaf8"), ("#13141a", "#1c1e26", "#22252e")  # grounds of the pages' stylesheet
EVERY = ["#" + "".join(digit * 2 for digit in digits) for digits in itertools.product("0123456789abcdef", repeat=3)]


palette_of = cache(brand_assets.palette_of)


def parts(colour: str) -> list[float]:
    return [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]


@cache
def luminance(colour: str) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts(colour)]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    """As WCAG 2.2 defines it."""

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_all_three_pairs_can_be_read_for_every_colour() -> None:
    assert len(EVERY) == 4096
    unread = []
    for accent in EVERY:
        look = palette_of(accent)
        pairs = [(look.accent, look.on_accent)]
        pairs += [(look.link, ground) for ground in LIGHT] + [(look.link_on_dark, ground) for ground in DARK]
        unread += [(accent, pair) for pair in pairs if contrast(*pair) < LEAST]
    assert unread == []


def test_what_is_written_on_it_is_black_or_white_whichever_contrasts_more() -> None:
    for accent in EVERY:
        look = palette_of(accent)
        assert look.on_accent == max("#000000", "#ffffff", key=lambda colour: contrast(accent, colour))


def test_a_colour_that_can_be_read_stays_as_it_is_and_others_keep_their_hue() -> None:
    stayed = moved = 0
    for accent in EVERY:
        for link, grounds in zip(palette_of(accent)[2:], (LIGHT, DARK), strict=True):
            if link == accent:
                stayed += 1
                continue
            moved += 1
            assert min(contrast(accent, ground) for ground in grounds) < LEAST
            (hue, _, saturation), (new_hue, _, _) = (colorsys.rgb_to_hls(*parts(one)) for one in (accent, link))
            if saturation > 0.2 and "00" not in re.findall("..", link[1:]):
                assert min(abs(hue - new_hue), 1 - abs(hue - new_hue)) < 0.03, (accent, link)
    assert stayed > 1000
    assert moved > 1000


@pytest.mark.parametrize(("one", "other", "ratio"), [("#000000", "#ffffff", 21), ("#777777", "#ffffff", 4.48)])
def test_contrast_is_that_of_the_standard(one: str, other: str, ratio: float) -> None:
    assert brand_assets.contrast(one, other) == pytest.approx(ratio, abs=0.005) == brand_assets.contrast(other, one)
