"""Every page in its states passes the accessibility checks in a browser.

Nothing for axe to find, nothing that scrolls sideways, a silent console, and no request to anyone but the server.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.browser import account_states, passkeys, step_states
from tests.browser.driver import Chromium
from tests.browser.looking import LANGUAGES, WIDTHS, faults
from tests.browser.pages import STATES, Setup, set_up
from tests.support.routes import PAGES
from tests.support.server import Server, served

#: Routes that show nothing of their own, or are shown by the state of another one.
_NOTHING = {"GET /", "POST /language", "GET /.well-known/change-password", "GET /favicon.ico", "GET /robots.txt"}
_ELSEWHERE = {
    "POST /sign-out",
    "POST /sign-in/done",
    "POST /sign-in/codes",
    "POST /forgot",
    "GET /sign-in/done",
    "GET /account/identities/provider",
}


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


def test_every_page_has_a_state() -> None:
    routes = {f"{route.method} {route.path}" for route in PAGES if not route.path.startswith(("/assets/", "/docs/"))}
    seen = {
        " ".join(name.split()[:2])
        for name in {**STATES, **account_states.STATES, **step_states.STATES, **passkeys.STATES}
    }
    english = {route for route in routes if "/console" in route or "/installation" in route}
    assert routes - seen - _NOTHING - _ELSEWHERE - english == set()


@pytest.mark.parametrize("state", STATES)
def test_a_page_in_each_state(setup: Setup, chromium: Chromium, state: str) -> None:
    assert faults(setup, chromium, STATES[state], "en", "light", 320) == []


@pytest.mark.endurance
@pytest.mark.parametrize(("language", "scheme", "width"), [
    (language, scheme, WIDTHS[(number + shift) % 3])
    for shift, scheme in enumerate(("light", "dark"))
    for number, language in enumerate(LANGUAGES)
])  # fmt: skip
def test_every_page_in_each_language_scheme_and_width(
    setup: Setup, chromium: Chromium, language: str, scheme: str, width: int
) -> None:
    found = {name: faults(setup, chromium, go, language, scheme, width) for name, go in STATES.items()}
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
