"""A part of the pages with all of its states, a server for it, and the way to each state in a browser."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.browser.driver import Chromium
from tests.browser.looking import Look, faults_at
from tests.browser.pages import Setup, set_up
from tests.support.server import Server, served

Go = Callable[[Setup, Chromium], None]


@dataclass(frozen=True)
class Place:
    """A running server. ``go`` leads the browser to a state; ``others`` are servers visited on the way."""

    base: str
    go: Callable[[str, Chromium], None]
    others: tuple[str, ...] = ()

    def faults(self, browser: Chromium, state: str, language: str, looks: tuple[Look, ...]) -> list[str]:
        """Faults of a page in a state."""
        return faults_at(
            self.base, browser, lambda: self.go(state, browser), language, looks, state=state, others=self.others
        )


@dataclass(frozen=True)
class Part:
    """``states`` are their names, which start with the route that shows them; ``running`` starts a server in a
    folder."""

    states: tuple[str, ...]
    running: Callable[[Path], AbstractContextManager[Place]]


def place_of(setup: Setup, states: Mapping[str, Go]) -> Place:
    """A demo server with two clients."""
    return Place(setup.server.base, lambda state, browser: states[state](setup, browser))


def of_setup(
    states: Mapping[str, Go],
    serving: Callable[..., AbstractContextManager[Server]] = served,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Part:
    """States of a demo server with two clients and these settings. ``serving`` starts it in a folder."""

    @contextlib.contextmanager
    def running(folder: Path) -> Iterator[Place]:
        with serving(folder, **settings) as server:
            yield place_of(set_up(server), states)

    return Part(tuple(states), running)


def of_world(states: Mapping[str, Callable[..., None]], running: Callable[[Path], Any]) -> Part:
    """States of a separate world, which has a ``server`` and lists its ``others``."""

    @contextlib.contextmanager
    def opened(folder: Path) -> Iterator[Place]:
        with running(folder) as world:
            yield Place(world.server.base, lambda state, browser: states[state](world, browser), tuple(world.others))

    return Part(tuple(states), opened)
