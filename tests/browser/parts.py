"""A part of the pages with all of its states: a server that runs for it, and how a browser gets to each of them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.browser.driver import Chromium
from tests.browser.looking import Look, faults_at
from tests.browser.pages import Setup, set_up
from tests.support.server import served


@dataclass(frozen=True)
class Place:
    """A running server. ``go``: leads the browser to a state; ``others``: servers that the way leads over."""

    base: str
    go: Callable[[str, Chromium], None]
    others: tuple[str, ...] = ()

    def faults(self, browser: Chromium, state: str, language: str, looks: tuple[Look, ...]) -> list[str]:
        """What is wrong with a page in a state."""
        return faults_at(
            self.base, browser, lambda: self.go(state, browser), language, looks, state=state, others=self.others
        )


@dataclass(frozen=True)
class Part:
    """``states``: their names, which begin with the route that shows them; ``running``: a server, by a folder."""

    states: tuple[str, ...]
    running: Callable[[Path], AbstractContextManager[Place]]


def of_setup(states: Mapping[str, Callable[[Setup, Chromium], None]], **settings: str) -> Part:
    """States of a demo server with two clients and these settings."""

    @contextlib.contextmanager
    def running(folder: Path) -> Iterator[Place]:
        with served(folder, **settings) as server:
            setup = set_up(server)
            yield Place(server.base, lambda state, browser: states[state](setup, browser))

    return Part(tuple(states), running)


def of_world(states: Mapping[str, Callable[..., None]], running: Callable[[Path], Any]) -> Part:
    """States of a world of their own, which has a ``server`` and knows its ``others``."""

    @contextlib.contextmanager
    def opened(folder: Path) -> Iterator[Place]:
        with running(folder) as world:
            yield Place(world.server.base, lambda state, browser: states[state](world, browser), tuple(world.others))

    return Part(tuple(states), opened)
