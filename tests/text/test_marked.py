"""Texts marked in the code are English for programs, and translated for people."""

from __future__ import annotations

import msgspec

from manifest_auth.text.languages import LANGUAGES, catalogue, joined, kept, restored, shown
from manifest_auth.text.languages import marked as _
from manifest_auth.text.models import at_least, at_most, one_of
from tests.support.matrix import matrix

IN_GERMAN = catalogue("de")
IN_TIME = _("more than %(number)s", number="4,000")


@matrix("number", [2, 8, 256])
def test_a_number_stands_in_the_text_in_every_language(number: int) -> None:
    for text in (at_least(number), at_most(number)):
        assert str(number) in text
        for language in ("es", "pt", "de", "fr", "ja"):
            said = shown(text, catalogue(language))
            assert str(number) in said
            assert said != text


def test_one_is_singular() -> None:
    assert at_most(1) == "Must have at most 1 character"
    in_spanish = catalogue("es")
    assert shown(at_most(1), in_spanish) != shown(at_most(2), in_spanish).replace("2", "1")


def test_programs_read_more_than_people() -> None:
    choice, empty = one_of(["a", "b"]), at_least(1)
    assert (choice, empty) == ("Must be one of: a, b", "Must have at least 1 character")
    assert shown(choice, catalogue("en")) == "Choose an option from the list"
    assert shown(empty, catalogue("en")) == "Enter a value"
    assert shown(empty, IN_GERMAN) == IN_GERMAN.gettext("Enter a value")


def test_on_the_wire_it_is_a_text() -> None:
    assert msgspec.json.encode({"message": str(at_most(4))}) == b'{"message":"Must have at most 4 characters"}'
    assert type(str(at_most(4))) is str


@matrix("language", LANGUAGES)
def test_a_text_in_a_column_keeps_its_mark_and_its_values(language: str) -> None:
    words = catalogue(language)
    for text in (IN_TIME, joined([IN_TIME, "x", at_most(2)]), "no text of the catalogues", "[::1]: x", "marked: x", ""):
        assert shown(restored(kept(text)), words) == shown(text, words)


def test_a_text_without_a_mark_stays_as_it_is() -> None:
    assert shown("What no catalogue has", IN_GERMAN) == "What no catalogue has"
