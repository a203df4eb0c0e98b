"""Every page of one's own account in its states passes the accessibility checks in a browser.

Nothing for axe to find, nothing that scrolls sideways, a silent console, and no request to anyone but the server.
"""

from __future__ import annotations

import pytest

from tests.browser.all_parts import PARTS
from tests.browser.driver import Chromium
from tests.browser.looking import NARROW, each_route
from tests.browser.parts import Place

PART = PARTS["account"]


@pytest.mark.parametrize("state", each_route(PART.states))
def test_a_page_in_each_state(place: Place, browser: Chromium, state: str) -> None:
    assert place.faults(browser, state, "en", (NARROW,)) == []
