"""Invisible characters in names are rejected, except those that real names need."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from manifest_auth.errors import ValidationError
from manifest_auth.text import canonical, fields
from manifest_auth.text.canonical import check_email, check_name, clean_name
from tests.support.matrix import matrix

HONEST = {
    "Persian, with a zero width non-joiner": "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    "Devanagari, with a joiner": "\u0915\u094d\u200d\u0937",
    "Devanagari, with a non-joiner": "\u0915\u094d\u200c\u0937",
    "Sinhala": "\u0dc1\u0dca\u200d\u0dbb\u0dd3",
    "Hebrew": "\u05e0\u05d7\u05de\u05d9\u05d4",
    "Arabic sign of a number": "\u0600\u0661\u0662",
    "Japanese, a variant of a name's character": "\u845b\U000e0100\u57ce",
    "Japanese, a compatibility variant": "\u795e\ufe00\u8c37",
    "Mongolian": "\u1820\u180b\u1828",
    "Vietnamese, decomposed": unicodedata.normalize("NFD", "Nguy\u1ec5n"),
    "a scientist": "\U0001f469\u200d\U0001f52c Lab",
    "with a tone of skin": "\U0001f469\U0001f3fd\u200d\U0001f52c",
    "a family": "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466",
    "a sign that is a picture by a selector": "\u2695\ufe0f \u2194\ufe0f \u2122\ufe0e \u203c\ufe0f",
    "two selectors and a joiner": "\U0001f441\ufe0f\u200d\U0001f5e8\ufe0f",
    "a key": "1\ufe0f\u20e3 Check",
    "flags": "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f \U0001f3f3\ufe0f\u200d\U0001f308",
    "a picture that is newer than Unicode 15": "\U0001fae9 \U0001f6d8\ufe0f",
    "typographic": "O\u2019Neill \u2013 M\u00fcller & S\u00f8n\u2026",
}
HIDDEN = {
    "zero width space": "Bo\u200bb",
    "word joiner": "Bo\u2060b",
    "byte order mark": "\ufeffBob",
    "soft hyphen": "Bo\u00adb",
    "joiner between Latin letters": "Bo\u200db",
    "non-joiner between Latin letters": "Bo\u200cb",
    "joiner at the beginning": "\u200dBob",
    "joiner at the end of a picture": "\U0001f469\u200d",
    "selector on a Latin letter": "B\ufe0fob",
    "selector on a digit that is no key": "5\ufe0f",
    "two selectors": "\u2764\ufe0f\ufe0f",
    "variant of a Latin letter": "B\U000e0100ob",
    "two variants": "\u845b\U000e0100\U000e0101",
    "override": "Bob \u202egpj.exe",
    "isolate": "\u2066Bob\u2069",
    "marks of direction": "Bob\u200e",
    "Arabic letter mark": "Bob\u061c",
    "line separator": "Bo\u2028b",
    "combining grapheme joiner": "Bo\u034fb",
    "Hangul filler": "\u3164",
    "half width filler": "Bob\uffa0",
    "jamo filler": "\u115fBob",
    "Khmer vowel of nothing": "Bob\u17b4",
    "Mongolian separator": "Bo\u180eb",
    "tags without a flag": "Bob\U000e0041\U000e0042",
    "a flag that does not end": "\U0001f3f4\U000e0067\U000e0062",
    "annotation": "Bo\ufff9b",
    "music": "Bo\U0001d173b",
    "noncharacters": "Bo\ufffeb\U0010ffff",
}


@matrix("what", HONEST)
def test_honest_names_are_taken_as_they_are(what: str) -> None:
    assert check_name(HONEST[what], "name") == HONEST[what]
    assert clean_name(HONEST[what], 100) == HONEST[what]


@matrix("what", HIDDEN)
def test_what_no_one_sees_is_rejected_in_names_and_left_out_of_those_of_others(what: str) -> None:
    text = HIDDEN[what]
    with pytest.raises(ValidationError) as refused:
        check_name(text, "firstName")
    [(field, sentence)] = refused.value.details
    assert (field, sentence.startswith("Invisible characters aren't allowed: U+")) == ("firstName", True)
    assert check_name(clean_name(text, 100), "firstName") != text
    with pytest.raises(ValidationError):
        fields.WORK_NAME.check(text, "name")
    with pytest.raises(ValidationError):
        check_email(f"{text.strip()}@acme.example")
    assert (
        fields.DESCRIPTION.check(text, "description") == text
    )  # they are harmless in prose, and often part of pasted text


@matrix("blank", ["", " ", "\u00a0\u2003\u3000", "\u2800\u2800"])
def test_a_line_says_something(blank: str) -> None:
    with pytest.raises(ValidationError):
        fields.WORK_NAME.check(blank, "name")


def test_every_character_without_a_look_of_its_own_is_among_them() -> None:
    """Format characters, except visible ones: signs before Arabic, Syriac, and Kaithi numbers, and those that arrange
    hieroglyphs."""
    drawn = {0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD, *range(0x600, 0x606), *range(0x13430, 0x13440)}
    formats = {code for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) in ("Cf", "Zl", "Zp")}
    assert {code for code in formats - drawn if not canonical.holds_invisible(chr(code))} == set()
    assert {code for code in drawn if canonical.holds_invisible(chr(code))} == set()


def test_a_long_text_of_joiners_takes_no_time() -> None:
    assert len(canonical.misplaced_invisible("\u0645\u200c" * 5000 + "\u200d\u200c" * 5000)) > 5000
    assert clean_name("\u200b" * 100_000 + "Bob", 100) == ""
