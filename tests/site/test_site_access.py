"""The site has nothing for axe to find, in light and dark, and fits a phone."""

from __future__ import annotations

import pytest

from tests.browser import axe
from tests.browser.driver import Chromium
from tests.support.matrix import matrix

_THERE = "document.readyState === 'complete' && document.body.dataset.mdColorScheme === '{}'"


@pytest.mark.needs("node", "npm")
@pytest.mark.needs_chromium
@matrix(("scheme", "theirs", "width"), [("light", "default", 1280), ("dark", "slate", 320)])
@matrix("page", ["index.html", "integrators.html", "architecture.html"])
def test_a_page_of_the_site(browser: Chromium, base: str, page: str, scheme: str, theirs: str, width: int) -> None:
    browser.size(width)
    browser.scheme(scheme)
    browser.open(f"{base}/docs/{page}")
    browser.value("localStorage.clear()")  # or the first choice stays
    browser.open(f"{base}/docs/{page}")
    browser.until(_THERE.format(theirs))
    assert axe.findings(browser) == []
    assert not browser.value("document.documentElement.scrollWidth > document.documentElement.clientWidth")
