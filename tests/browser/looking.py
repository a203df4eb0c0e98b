"""What is wrong with a page that a browser shows."""

from __future__ import annotations

from collections.abc import Callable

from tests.browser import axe
from tests.browser.driver import Chromium
from tests.browser.pages import Setup, forget

LANGUAGES = ("en", "es", "pt", "de", "fr", "ja")
WIDTHS = (320, 1280, 1920)


def faults(
    setup: Setup, browser: Chromium, go: Callable[[Setup, Chromium], None], language: str, scheme: str, width: int
) -> list[str]:
    """What is wrong with the page that ``go`` leads to."""
    forget(browser)
    browser._call("Network.setCookie", name="lang", value=language, url=setup.server.base)
    browser._call("Emulation.setDeviceMetricsOverride", width=width, height=720, deviceScaleFactor=1, mobile=False)
    browser.scheme(scheme)
    browser.requests.clear()
    go(setup, browser)
    browser.complaints.clear()  # the browser says itself that an answer was 401
    found = axe.findings(browser)
    if browser.value("document.documentElement.lang") != language:
        found.append("another language")
    if browser.value("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
        found.append("scrolls sideways")
    small = (
        "[...document.querySelectorAll('main a.button, main button, .languages button')]"
        ".filter(each => each.checkVisibility() && each.getBoundingClientRect().height < 48)"
        ".map(each => each.outerHTML)"
    )
    found += [f"smaller than 48 pixels: {each}" for each in browser.value(small)]
    foreign = [each for each in browser.requests if not each.startswith((setup.server.base, "about:", "data:"))]
    return [*found, *foreign, *browser.complaints]
