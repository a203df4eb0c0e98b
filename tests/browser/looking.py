"""Finds a page's faults in a browser, in one language and in each look (colors and width)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

from tests.browser import axe
from tests.browser.driver import Chromium
from tests.browser.pages import forget
from tests.support.routes import PAGES

LANGUAGES = ("en", "es", "pt", "de", "fr", "ja")
SCHEMES = ("light", "dark")
WIDTHS = (320, 1280, 1920)


class Look(NamedTuple):
    """A page in these colors and this width. ``axe`` runs its rules, which takes most of a look's time. Every look is
    checked for sideways scrolling and small buttons."""

    scheme: str
    width: int
    axe: bool = True


NARROW = Look("light", 320)
#: Buttons, and elements that look like buttons, must be at least as large as a fingertip.
_SMALL = (
    "[...document.querySelectorAll('main a.button, main button, .languages button, .wizard a')]"
    ".filter(each => each.checkVisibility() && each.getBoundingClientRect().height < 48).map(each => each.outerHTML)"
)
#: Show colors that change with the look without a transition.
_SETTLED = (
    "(document.documentElement.offsetWidth, document.getAnimations()"
    ".filter(each => each.effect.getComputedTiming().endTime < Infinity).forEach(each => each.finish()), true)"
)
_SIDEWAYS = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
#: The browser's own console messages: rejected requests with status 4xx or 5xx, and fields that it needn't focus
#: because the test was faster.
_NOT_OURS = re.compile(
    r"Failed to load resource: the server responded with a status of (4\d\d|50[23]) |Autofocus processing was blocked"
)


def route_of(state: str) -> str:
    """The route at the beginning of a state's name."""
    return " ".join(state.split()[:2])


def each_route(states: Iterable[str]) -> list[str]:
    """The first state that shows each route; ``test_looks.py`` covers all of them."""
    return list({route_of(state): state for state in reversed(tuple(states))}.values())[::-1]


def faults_at(
    base: str,
    browser: Chromium,
    go: Callable[[], None],
    language: str,
    looks: Iterable[Look],
    *,
    state: str = "",
    others: tuple[str, ...] = (),
) -> list[str]:
    """Faults of the page that ``go`` leads to, which is opened once and then shown in each look. ``state`` is its name,
    with the route that must have shown it; ``others`` are servers visited on the way."""
    browser.hold("")
    forget(browser)
    browser._call("Network.setCookie", name="lang", value=language, url=base)
    first, *more = looks
    _put_on(browser, first)
    browser.requests.clear()
    browser.complaints.clear()
    go()
    found = _seen(browser, first)
    for look in more:
        _put_on(browser, look)
        found += _seen(browser, look)
    if state and not is_shown_by(browser, route_of(state)):
        found.append(f"shown by {browser.document}")
    if browser.value("document.documentElement.lang") != language:
        found.append("another language")
    if browser.value("document.querySelectorAll('h1').length") != 1:
        found.append("not one heading")
    ours = (base, "about:", "data:", *others)
    found += [f"asked for {each}" for each in browser.requests if not each.startswith(ours)]
    return [*found, *(each for each in browser.complaints if not _NOT_OURS.match(each))]


def _put_on(browser: Chromium, look: Look) -> None:
    browser.size(look.width)
    browser.scheme(look.scheme)


def _seen(browser: Chromium, look: Look) -> list[str]:
    assert browser.value(_SETTLED)
    found = axe.findings(browser) if look.axe else []
    if browser.value(_SIDEWAYS):
        found.append("scrolls sideways")
    found += [f"smaller than 48 pixels: {each}" for each in browser.value(_SMALL)]
    return [f"{look.scheme} {look.width}: {each}" for each in found]


def is_shown_by(browser: Chromium, route: str) -> bool:
    """Whether the page is a response of that route; always true if it isn't a page."""
    method, _, pattern = route.partition(" ")
    if not any((one.method, one.path) == (method, pattern) for one in PAGES):
        return True
    path = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(pattern))
    address = urlsplit(browser.document[1])
    is_redirected = method == "POST" and "shown=" in address.query  # to the page that shows a secret
    return browser.document[0] == ("GET" if is_redirected else method) and bool(re.fullmatch(path, address.path))
