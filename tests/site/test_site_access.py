"""Axe finds nothing on the site, in light and dark, and the site fits on a phone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser import axe
from tests.browser.driver import Chromium
from tests.support.matrix import matrix

_THERE = "document.readyState === 'complete' && document.body.dataset.mdColorScheme === '{}'"


@pytest.mark.needs("node", "npm")
@pytest.mark.needs_chromium
@matrix(("scheme", "theirs", "width"), [("light", "default", 1280), ("dark", "slate", 320)])
@matrix("page", ["index.html", "integrators.html", "architecture.html", "settings.html"])
def test_a_page_of_the_site(browser: Chromium, base: str, page: str, scheme: str, theirs: str, width: int) -> None:
    browser.size(width)
    browser.scheme(scheme)
    browser.open(f"{base}/docs/{page}")
    browser.value("localStorage.clear()")  # otherwise, the first choice stays
    browser.open(f"{base}/docs/{page}")
    browser.until(_THERE.format(theirs))
    assert axe.findings(browser) == []
    assert not browser.value("document.documentElement.scrollWidth > document.documentElement.clientWidth")


@pytest.mark.needs("node", "npm")
@pytest.mark.needs_chromium
@pytest.mark.release
def test_every_page_of_the_site(browser: Chromium, base: str, site: Path) -> None:
    """On a phone, the narrowest screen. Tables with many columns scroll individually."""
    browser.size(320)
    browser.scheme("light")
    found: dict[str, list[str]] = {}
    for page in sorted(str(path.relative_to(site)) for path in site.rglob("*.html")):
        browser.open(f"{base}/docs/{page}")
        browser.until("document.readyState === 'complete'")
        wide = browser.value("document.documentElement.scrollWidth > document.documentElement.clientWidth")
        found[page] = axe.findings(browser) + ["wider than a phone"] * wide
    assert {page: faults for page, faults in found.items() if faults} == {}
    assert len(found) > 100
