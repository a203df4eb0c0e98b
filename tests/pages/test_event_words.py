"""Each event of the audit trail has a sentence, and no sentence has a placeholder for a missing value."""

from __future__ import annotations

import re

from manifest_auth.audit import Event, about
from tests.support.matrix import matrix

PLACES = {"%(who)s", "%(whom)s", "%(what)s", "%(app)s", "%(provider)s", "%(through)s"}


@matrix("event", Event)
def test_an_event_has_words(event: Event) -> None:
    words = event.about.told
    assert words
    assert not words.endswith(".")
    assert set(re.findall(r"%\(?\w*\)?.?", words)) <= PLACES


def test_an_event_of_another_release_is_shown_by_its_name() -> None:
    assert about("moon_landed").told == "moon landed"
    assert about("100%(who)s").told == "100%%(who)s"
