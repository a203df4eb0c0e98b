"""Every sign-in page passes the accessibility checks in a browser, in each of its states.

Axe finds nothing, nothing scrolls sideways, the console is silent, and only the server gets requests.
"""

from __future__ import annotations

import pytest

from tests.browser.all_parts import PARTS
from tests.browser.driver import Chromium
from tests.browser.looking import NARROW, each_route
from tests.browser.pages import forget, open_
from tests.browser.parts import Place
from tests.support.matrix import matrix

PART = PARTS["sign-in"]


@pytest.mark.needs("node", "npm")
@matrix("state", each_route(PART.states))
def test_a_page_in_each_state(place: Place, browser: Chromium, state: str) -> None:
    assert place.faults(browser, state, "en", (NARROW,)) == []


def test_a_page_takes_seven_requests_and_one_when_cached(place: Place, browser: Chromium) -> None:
    """The browser writes its cache asynchronously, so one of the next visits uses it."""
    forget(browser)
    browser._call("Network.clearBrowserCache")
    assert 1 < _requests(browser, place) <= 7
    assert any(_requests(browser, place) == 1 for _ in range(20))


def _requests(browser: Chromium, place: Place) -> int:
    """The requests sent to the server when the page was opened; the browser's cache has the rest."""
    browser.requests.clear()
    browser.from_cache.clear()
    open_(browser, f"{place.base}/sign-in?client=acme")
    return sum(each.startswith(place.base) for each in browser.requests) - len(browser.from_cache)
