"""Each event of the audit trail has a sentence, and no sentence has a placeholder for a missing value."""

from __future__ import annotations

import re

from manifest_auth.audit import Event, about
from tests.support.matrix import matrix

ASKED = {
    Event.BADGE_PIN_RESET, Event.CHANGED_PROVIDER_USED, Event.CONSENT_GIVEN, Event.RECOVERY_CODE_USED,
    Event.SECOND_FACTOR_RESET,
}  # fmt: skip
PLACES = {"%(who)s", "%(whom)s", "%(what)s", "%(app)s", "%(provider)s", "%(through)s"}


@matrix("event", Event)
def test_an_event_has_words(event: Event) -> None:
    words = event.about.told
    assert words
    assert not words.endswith(".")
    assert set(re.findall(r"%\(?\w*\)?.?", words)) <= PLACES


@matrix("event", Event)
def test_a_user_is_asked_about_what_someone_else_might_have_done(event: Event) -> None:
    """The account pages ask "Was this you?" about each bad event that they show, and about a few others."""
    shown = event.about
    is_bad = bool(shown.account) and shown.is_bad and event is not Event.EMAIL_CHANGE_UNDONE
    assert shown.is_alarm is (is_bad or event in ASKED)


def test_an_event_of_another_release_is_shown_by_its_name() -> None:
    assert about("moon_landed").told == "moon landed"
    assert about("100%(who)s").told == "100%%(who)s"
