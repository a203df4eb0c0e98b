"""Selection of the state, language, and look of each visit, so that few visits cover every pair of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from tests.browser.looking import LANGUAGES, NARROW, SCHEMES, WIDTHS, Look, route_of
from tests.support.rounds import is_release
from tests.support.routes import PAGES, Route


class Visit(NamedTuple):
    """A page in a state is opened once, in a language, and then seen in these looks."""

    state: str
    language: str
    looks: tuple[Look, ...]


def is_console(route: str) -> bool:
    """Whether a page is of a console, whose states are many: it is looked at in English."""
    return "/console" in route or "/installation" in route


def shown_routes() -> list[Route]:
    """Routes that have a page to show."""
    return [route for route in PAGES if route.template]


def _groups(route: str) -> list[tuple[str, tuple[Look, ...]]]:
    """Looks that one visit can have: with each language every width, in colours that take turns; a console has each
    look by itself. What axe finds depends on the state, the width, and the colours, and hardly on the language: it sees
    every width and scheme in English, and before a release everything."""
    is_all = is_release()
    if is_console(route):
        return [
            ("en", (Look(scheme, width, is_all or row == column % 2),))
            for row, scheme in enumerate(SCHEMES)
            for column, width in enumerate(WIDTHS)
        ]
    return [
        (
            language,
            tuple(Look(SCHEMES[(row + column) % 2], width, is_all or row == 0) for column, width in enumerate(WIDTHS)),
        )
        for row, language in enumerate(LANGUAGES)
    ]


def visits(states: Iterable[str]) -> list[Visit]:
    """For each route each of its states at least once, by axe in a narrow window, and every pair of language, scheme
    and width."""
    by_route: dict[str, list[str]] = {}
    for state in states:
        by_route.setdefault(route_of(state), []).append(state)
    looks: dict[tuple[str, str], tuple[Look, ...]] = {}
    for route, own in by_route.items():
        groups = _groups(route)
        for number in range(max(len(own), len(groups))):
            state, (language, seen) = own[number % len(own)], groups[number % len(groups)]
            looks[state, language] = (*looks.get((state, language), ()), *seen)
    left = dict.fromkeys(state for state, _ in looks)  # that axe has not seen
    return [
        Visit(state, language, _narrow_too(seen) if left.pop(state, 0) is None else seen)
        for (state, language), seen in looks.items()
    ]


def _narrow_too(looks: tuple[Look, ...]) -> tuple[Look, ...]:
    """With axe in a narrow window."""
    if any(look.width == NARROW.width and look.axe for look in looks):
        return looks
    narrow = next((look for look in looks if look.width == NARROW.width), NARROW)
    return (*(look for look in looks if look != narrow), narrow._replace(axe=True))
