"""Durations in the format that people write."""

from __future__ import annotations

import pytest

from manifest_auth.errors import ValidationError
from manifest_auth.text.canonical import duration_seconds, spoken_duration
from manifest_auth.text.languages import LANGUAGES, catalogue, shown
from tests.support.matrix import matrix


@matrix("seconds", [0, 1, 59, 300, 3600, 5400, 86_400, 90_061, 14 * 86_400, 400 * 86_400])
def test_what_is_shown_is_read_back_in_every_language(seconds: int) -> None:
    for language in LANGUAGES:
        assert duration_seconds(shown(spoken_duration(seconds), catalogue(language)), "x") == seconds


@matrix(
    ("text", "seconds"),
    [("", 0), (" ", 0), ("30min", 1800), ("1 h 30 min", 5400), ("2 Days", 172_800), ("1D", 86_400), ("90 seconds", 90)],
)
def test_written_in_many_ways(text: str, seconds: int) -> None:
    assert duration_seconds(text, "x") == seconds


@matrix("text", ["5", "h", "1 week", "-1 h", "1.5 h", "1 h x", "\u0661 h", "1 h,", "1" * 10 + " h"])
def test_an_invalid_length_is_rejected(text: str) -> None:
    with pytest.raises(ValidationError):
        duration_seconds(text, "x")
