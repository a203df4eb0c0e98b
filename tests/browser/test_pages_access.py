"""Every page in its states, in a browser: nothing for axe to find, nothing that scrolls sideways, a silent console, and
no request to anyone but the server."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.browser import axe
from tests.browser.driver import Chromium
from tests.browser.pages import STATES, Setup, forget, set_up
from tests.support.routes import PAGES
from tests.support.server import Server, served

LANGUAGES = ("en", "es", "pt", "de", "fr", "ja")
WIDTHS = (320, 1280, 1920)
#: Routes that show nothing of their own, or are shown by the state of another one.
_NOTHING = {"GET /", "POST /language", "GET /.well-known/change-password", "GET /favicon.ico", "GET /robots.txt"}
_ELSEWHERE = {"POST /sign-out", "POST /sign-in/done", "POST /forgot", "GET /sign-in/done"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="module")
def setup(server: Server) -> Setup:
    return set_up(server)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def look(setup: Setup, browser: Chromium, state: str, language: str, scheme: str, width: int) -> list[str]:
    """What is wrong with a page."""
    forget(browser)
    browser._call("Network.setCookie", name="lang", value=language, url=setup.server.base)
    browser._call("Emulation.setDeviceMetricsOverride", width=width, height=720, deviceScaleFactor=1, mobile=False)
    browser.scheme(scheme)
    browser.requests.clear()
    STATES[state](setup, browser)
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


def test_every_page_has_a_state() -> None:
    routes = {f"{route.method} {route.path}" for route in PAGES if not route.path.startswith(("/assets/", "/docs/"))}
    seen = {" ".join(name.split()[:2]) for name in STATES}
    english = {route for route in routes if "/console" in route or "/installation" in route}
    missing = routes - seen - _NOTHING - _ELSEWHERE - english
    assert not {route for route in missing if not route.split()[1].startswith("/account/")}


@pytest.mark.parametrize("state", STATES)
def test_a_page_in_each_state(setup: Setup, chromium: Chromium, state: str) -> None:
    assert look(setup, chromium, state, "en", "light", 320) == []


@pytest.mark.endurance
@pytest.mark.parametrize(("language", "scheme", "width"), [
    (language, scheme, WIDTHS[(number + shift) % 3])
    for shift, scheme in enumerate(("light", "dark"))
    for number, language in enumerate(LANGUAGES)
])  # fmt: skip
def test_every_page_in_each_language_scheme_and_width(
    setup: Setup, chromium: Chromium, language: str, scheme: str, width: int
) -> None:
    found = {state: look(setup, chromium, state, language, scheme, width) for state in STATES}
    assert {state: wrong for state, wrong in found.items() if wrong} == {}


def test_the_pairs_are_all_there() -> None:
    pairs = set()
    for number, language in enumerate(LANGUAGES):
        for shift, scheme in enumerate(("light", "dark")):
            pairs |= {
                (language, scheme),
                (language, WIDTHS[(number + shift) % 3]),
                (scheme, WIDTHS[(number + shift) % 3]),
            }
    assert set(itertools.product(LANGUAGES, ("light", "dark"))) <= pairs
