"""Every page route passes the checks in a browser in every state, and before a release also in every look.

Each state is opened once, in alternating languages, and checked at three widths, light and dark. Axe checks it in a
narrow window, and one state of each route in dark colors. With ``--rounds 50``, each route is checked in every pair of
language, color scheme, and width, consoles in English in every scheme and width, and axe checks every look. There, at
most three languages share a server, so that repeated rejections stay below the limits for one address. One state of the
largest parts is also checked in `./dev test`, and one for each sign-in route (`test_pages_access.py`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.all_parts import PARTS
from tests.browser.covering import Visit, every_pair, is_console, once, shown_routes
from tests.browser.driver import Chromium
from tests.browser.looking import LANGUAGES, NARROW, SCHEMES, WIDTHS, route_of
from tests.support.rounds import is_release

pytestmark = pytest.mark.needs("node", "npm")

STATES = [state for part in PARTS.values() for state in part.states]
#: Someone guesses a password in each of its states, and an address is limited to fifty an hour.
_GUESSES = "account"


def _planned() -> Iterator[tuple[str, str, list[Visit]]]:
    """Each part, its languages, and the visits, one language after the other."""
    for name, part in PARTS.items():
        if not is_release():
            yield name, "once", once(part.states)
            continue
        planned = every_pair(part.states)
        together = 1 if name == _GUESSES else 3
        for languages in (LANGUAGES[first : first + together] for first in range(0, len(LANGUAGES), together)):
            if own := [visit for language in languages for visit in planned if visit.language == language]:
                yield name, " ".join(dict.fromkeys(visit.language for visit in own)), own


def test_every_page_has_a_state() -> None:
    """Including routes added later: each route with a page needs a state that leads there."""
    routes = {f"{route.method} {route.path}" for route in shown_routes()}
    assert routes - {route_of(state) for state in STATES} == set()


def test_every_state_exists_once() -> None:
    seen = [visit for part in PARTS.values() for visit in once(part.states)]
    assert [visit.state for visit in seen] == STATES
    assert all(NARROW in visit.looks and {look.width for look in visit.looks} == set(WIDTHS) for visit in seen)
    assert {visit.language for visit in seen} == set(LANGUAGES)
    in_the_dark = {route_of(one.state) for one in seen for look in one.looks if look.axe and look.scheme == "dark"}
    assert in_the_dark == {route_of(state) for state in STATES}


def test_every_pair_is_covered_before_a_release() -> None:
    seen = [visit for part in PARTS.values() for visit in every_pair(part.states)]
    assert {visit.state for visit in seen} == set(STATES)
    assert all(look.axe for visit in seen for look in visit.looks)
    assert {one.state for one in seen for look in one.looks if look.width == NARROW.width} == set(STATES)
    for route in {route_of(state) for state in STATES}:
        looks = {(one.language, *look) for one in seen if route_of(one.state) == route for look in one.looks}
        languages = ("en",) if is_console(route) else LANGUAGES
        for (one, some), (other, more) in itertools.combinations(enumerate((languages, SCHEMES, WIDTHS)), 2):
            pairs = {(look[one], look[other]) for look in looks}
            assert pairs >= set(itertools.product(some, more)), route


@pytest.mark.parametrize("part", ["account", "console", "installation"])
def test_a_page_of_a_part(browser: Chromium, tmp_path: Path, part: str) -> None:
    state = next(iter(PARTS[part].states))
    with PARTS[part].running(tmp_path) as place:
        assert place.faults(browser, state, "en", (NARROW,)) == []


@pytest.mark.endurance
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("part", "planned"),
    [pytest.param(part, planned, id=f"{part} {languages}") for part, languages, planned in _planned()],
)
def test_every_page(browser: Chromium, tmp_path: Path, part: str, planned: list[Visit]) -> None:
    with PARTS[part].running(tmp_path) as place:
        found = {(one.state, one.language): place.faults(browser, *one) for one in planned}
    assert {visit: wrong for visit, wrong in found.items() if wrong} == {}
