"""The pages of one's own account in their states, in a browser: as all pages, in :mod:`.test_pages_access`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import axe
from tests.browser.account_states import STATES, WITH_MAIL, linked
from tests.browser.driver import Chromium
from tests.browser.looking import LANGUAGES, WIDTHS, faults
from tests.browser.pages import Setup, forget, set_up
from tests.support.server import served


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    with served(tmp_path_factory.mktemp("server"), **WITH_MAIL) as running:
        yield set_up(running)


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Setup]:
    """A server of this test's own: the wrong passwords of many states would be too many from one address."""
    with served(tmp_path, **WITH_MAIL) as running:
        yield set_up(running)


@pytest.mark.parametrize("state", STATES)
def test_a_page_in_each_state(setup: Setup, browser: Chromium, state: str) -> None:
    assert faults(setup, browser, STATES[state], "en", "light", 320) == []


def test_the_page_of_a_linked_identity(setup: Setup, browser: Chromium) -> None:
    forget(browser)
    STATES["GET /account/identities"](setup, browser)
    with linked(setup, browser):
        assert axe.findings(browser) == []


@pytest.mark.endurance
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_in_each_language_scheme_and_width(
    fresh: Setup, browser: Chromium, language: str, scheme: str
) -> None:
    width = WIDTHS[(LANGUAGES.index(language) + (scheme == "dark")) % 3]
    found = {name: faults(fresh, browser, go, language, scheme, width) for name, go in STATES.items()}
    assert {name: wrong for name, wrong in found.items() if wrong} == {}
