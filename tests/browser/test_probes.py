"""Nothing that gets onto a page by mistake can run, load, or send there, due to CSP and Trusted Types."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser.all_parts import PARTS
from tests.browser.driver import Chromium
from tests.browser.looking import is_shown_by, route_of
from tests.browser.pages import forget
from tests.browser.parts import Place
from tests.browser.probes import PROBES, got_through
from tests.support.rounds import repeated

pytestmark = pytest.mark.needs("node", "npm")

#: The first state of each route, by part. Before a release, all of them are tested, otherwise two, because each page
#: has the same policy (``tests/http/pages/test_frame.py``).
_FIRST = {name: {route_of(state): state for state in reversed(part.states)} for name, part in PARTS.items()}
#: The page on which ./dev test runs all probes.
_SHORT = _FIRST["sign-in"].pop("GET /sign-in")


@pytest.fixture(scope="module")
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with PARTS[request.param].running(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.mark.parametrize(
    ("place", "states"),
    [
        pytest.param("sign-in", [_SHORT], id="short"),
        *(
            pytest.param(name, list(states.values())[-repeated(99, 2) :], id=name, marks=pytest.mark.endurance)
            for name, states in sorted(_FIRST.items())
        ),
    ],
    indirect=["place"],
    scope="module",
)
@pytest.mark.timeout(900)
def test_no_probe_gets_through(place: Place, browser: Chromium, states: list[str], subtests: pytest.Subtests) -> None:
    for state in states:
        with subtests.test(state):
            browser.hold("")
            forget(browser)
            browser.size(1280)
            place.go(state, browser)
            assert is_shown_by(browser, route_of(state))
            assert got_through(browser) == []
            assert browser.value("location.href") == browser.document[1]


@pytest.mark.parametrize("place", ["sign-in"], indirect=True, scope="module")
def test_without_the_policy_every_probe_would(place: Place, browser: Chromium) -> None:
    browser._call("Page.setBypassCSP", enabled=True)
    try:
        place.go("GET /sign-in client", browser)
        assert set(PROBES) - set(got_through(browser, waits=4)) == set()
    finally:
        browser._call("Page.setBypassCSP", enabled=False)
