"""Every page route in every state, in its languages, light and dark, at three widths, passes the checks in a browser.

Every state is opened once at least, and seen in a narrow window. For each route every pair of language, scheme and
width occurs; a console is seen in English, in every scheme at every width. Axe sees each state, and of each route
every scheme and width; with ``--rounds 50`` it sees every look. One browser sees all; at most three languages share a
server, so that what is refused again and again stays below the limits for one address. One state of the largest parts
is seen in `./dev test` too, and of a sign-in one of each route (`test_pages_access.py`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.all_parts import PARTS
from tests.browser.covering import Visit, is_console, shown_routes, visits
from tests.browser.driver import Chromium
from tests.browser.looking import LANGUAGES, NARROW, SCHEMES, WIDTHS, route_of

pytestmark = pytest.mark.needs("node", "npm")

STATES = [state for part in PARTS.values() for state in part.states]
#: In each of its states someone guesses a password, of which an address has fifty in an hour.
_GUESSES = "account"


def _planned() -> Iterator[tuple[str, str, list[Visit]]]:
    """Part, languages, and what is visited, one language after the other."""
    for name, part in PARTS.items():
        planned = visits(part.states)
        together = 1 if name == _GUESSES else 3
        for languages in (LANGUAGES[first : first + together] for first in range(0, len(LANGUAGES), together)):
            if own := [visit for language in languages for visit in planned if visit.language == language]:
                yield name, " ".join(dict.fromkeys(visit.language for visit in own)), own


def test_every_page_has_a_state() -> None:
    """Also one that is added later: a route that can show a page is looked at, in a state that leads there."""
    routes = {f"{route.method} {route.path}" for route in shown_routes()}
    assert routes - {route_of(state) for state in STATES} == set()


def test_every_state_and_every_pair_is_there() -> None:
    seen = [visit for _, _, planned in _planned() for visit in planned]
    assert {visit.state for visit in seen} == set(STATES)
    narrow = {one.state for one in seen for look in one.looks if look.axe and look.width == NARROW.width}
    assert narrow == set(STATES)
    assert {one.language for one in seen for look in one.looks if look.axe} == set(LANGUAGES)
    for route in {route_of(state) for state in STATES}:
        looks = {(one.language, *look) for one in seen if route_of(one.state) == route for look in one.looks}
        languages = ("en",) if is_console(route) else LANGUAGES
        for (one, some), (other, more) in itertools.combinations(enumerate((languages, SCHEMES, WIDTHS)), 2):
            pairs = {(look[one], look[other]) for look in looks}
            assert pairs >= set(itertools.product(some, more)), route
        by_axe = [look for look in looks if look[-1]]
        for place, every in enumerate((SCHEMES, WIDTHS), 1):
            assert {look[place] for look in by_axe} == set(every), route


@pytest.mark.parametrize("part", ["account", "console", "installation"])
def test_a_page_of_a_part(browser: Chromium, tmp_path: Path, part: str) -> None:
    state = next(iter(PARTS[part].states))
    with PARTS[part].running(tmp_path) as place:
        assert place.faults(browser, state, "en", (NARROW,)) == []


@pytest.mark.endurance
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("part", "planned"), [
    pytest.param(part, planned, id=f"{part} {languages}") for part, languages, planned in _planned()
])  # fmt: skip
def test_every_page_in_every_pair(browser: Chromium, tmp_path: Path, part: str, planned: list[Visit]) -> None:
    with PARTS[part].running(tmp_path) as place:
        found = {(one.state, one.language): place.faults(browser, *one) for one in planned}
    assert {visit: wrong for visit, wrong in found.items() if wrong} == {}
