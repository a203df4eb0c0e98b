"""Selection of the state, language, and look of each visit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from tests.browser.looking import LANGUAGES, NARROW, SCHEMES, WIDTHS, Look, route_of
from tests.support.routes import PAGES, Route

#: The looks of a visit besides :data:`NARROW`; the first state of a route also gets axe in dark colors.
_DARK, _WIDE = Look("dark", 1280), Look("light", 1920, axe=False)


class Visit(NamedTuple):
    """A visit opens a page in one state and language once, and then shows it in these looks."""

    state: str
    language: str
    looks: tuple[Look, ...]


def is_console(route: str) -> bool:
    """Whether a page belongs to a console. Consoles have many states, and are checked only in English."""
    return "/console" in route or "/installation" in route


def shown_routes() -> list[Route]:
    """Routes that show a page."""
    return [route for route in PAGES if route.template]


def once(states: Iterable[str]) -> list[Visit]:
    """Each state once, in alternating languages, with axe in a narrow window, and one state of each route in dark
    colors."""
    seen: dict[str, int] = {}  # by route
    found = []
    for number, state in enumerate(states):
        route = route_of(state)
        seen[route] = seen.get(route, 0) + 1
        language = "en" if is_console(route) else LANGUAGES[number % len(LANGUAGES)]
        found.append(Visit(state, language, (NARROW, _DARK._replace(axe=seen[route] == 1), _WIDE)))
    return found


def every_pair(states: Iterable[str]) -> list[Visit]:
    """For each route: every state at least once in a narrow window, and every pair of language, color scheme, and
    width, all with axe."""
    by_route: dict[str, list[str]] = {}
    for state in states:
        by_route.setdefault(route_of(state), []).append(state)
    looks: dict[tuple[str, str], tuple[Look, ...]] = {}
    for route, own in by_route.items():
        groups = _groups(route)
        for number in range(max(len(own), len(groups))):
            state, (language, seen) = own[number % len(own)], groups[number % len(groups)]
            looks[state, language] = (*looks.get((state, language), ()), *seen)
    return [Visit(state, language, _narrow_too(seen)) for (state, language), seen in looks.items()]


def _groups(route: str) -> list[tuple[str, tuple[Look, ...]]]:
    """Looks for a single visit: each language with every width, in alternating colors; consoles have each look
    separately."""
    if is_console(route):
        return [("en", (Look(scheme, width),)) for scheme in SCHEMES for width in WIDTHS]
    return [
        (language, tuple(Look(SCHEMES[(row + column) % 2], width) for column, width in enumerate(WIDTHS)))
        for row, language in enumerate(LANGUAGES)
    ]


def _narrow_too(looks: tuple[Look, ...]) -> tuple[Look, ...]:
    return looks if any(look.width == NARROW.width for look in looks) else (*looks, NARROW)
