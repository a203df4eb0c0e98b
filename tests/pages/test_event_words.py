"""Each event of the audit trail has a sentence, and no sentence has a place for what there is not."""

from __future__ import annotations

import re

import pytest

from manifest_auth.audit import Event
from manifest_auth.pages.console.event_words import WORDS, words_of

PLACES = {"%(who)s", "%(whom)s", "%(what)s", "%(provider)s", "%(through)s"}


@pytest.mark.parametrize("event", Event, ids=lambda event: event.value)
def test_an_event_has_words(event: Event) -> None:
    words = WORDS[event]
    assert words.sentence
    assert not words.sentence.endswith(".")
    assert set(re.findall(r"%\(?\w*\)?.?", words.sentence)) <= PLACES


def test_an_event_of_another_release_is_shown_by_its_name() -> None:
    assert words_of("moon_landed").sentence == "moon landed"
    assert words_of("100%(who)s").sentence == "100%%(who)s"
