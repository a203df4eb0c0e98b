"""Daily figures count each event that the trail left out once."""

from __future__ import annotations

import json

from manifest_auth.audit import Event
from manifest_auth.clients import daily_figures


def test_skipped_events_count_once() -> None:
    """They are reported at the 1st, 2nd, 4th, and 8th, with their number so far."""
    told = [json.dumps({"last": Event.SIGN_IN_FAILED.value, "events": number}) for number in (1, 2, 4, 8)]
    found = [daily_figures._Found(0, Event.EVENTS_LEFT_OUT.value, detail) for detail in told]
    assert daily_figures._counted(found)[0, "failed", ""] == 8
