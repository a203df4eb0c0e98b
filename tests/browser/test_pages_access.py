"""Every page of a sign-in in its states passes the accessibility checks in a browser.

Nothing for axe to find, nothing that scrolls sideways, a silent console, and no request to anyone but the server.
"""

from __future__ import annotations

import pytest

from tests.browser.all_parts import PARTS
from tests.browser.driver import Chromium
from tests.browser.looking import NARROW
from tests.browser.pages import forget, open_
from tests.browser.parts import Place

PART = PARTS["sign-in"]


@pytest.mark.parametrize("state", PART.states)
def test_a_page_in_each_state(place: Place, browser: Chromium, state: str) -> None:
    assert place.faults(browser, state, "en", (NARROW,)) == []


def test_a_page_takes_seven_requests_and_one_when_it_is_known(place: Place, browser: Chromium) -> None:
    forget(browser)
    browser._call("Network.clearBrowserCache")
    counts = []
    for _ in range(2):
        browser.requests.clear()
        browser.from_cache.clear()
        open_(browser, f"{place.base}/sign-in?client=acme")
        asked = [each for each in browser.requests if each.startswith(place.base)]
        counts.append(len(asked) - len(browser.from_cache))
    assert 1 < counts[0] <= 7
    assert counts[1] == 1
