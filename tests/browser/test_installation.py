"""The pages of the installation in a browser: in each state, on a narrow screen; first run without scripts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser import axe
from tests.browser.all_parts import PARTS
from tests.browser.driver import Chromium
from tests.browser.installation_states import FIRST, ROOT, STATES, UNLICENSED, FirstRun, first_run
from tests.browser.looking import NARROW, each_route
from tests.browser.pages import forget, open_, press
from tests.browser.parts import Place
from tests.support.server import DEMO_PASSWORD

PART = PARTS["installation"]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with PARTS["first run"].running(tmp_path_factory.mktemp("fresh")) as running:
        yield running


@pytest.fixture(scope="module")
def unlicensed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with PARTS["no licence"].running(tmp_path_factory.mktemp("unlicensed")) as running:
        yield running


@pytest.mark.parametrize("state", each_route(STATES))
def test_a_page_in_each_state(place: Place, browser: Chromium, state: str) -> None:
    assert place.faults(browser, state, "en", (NARROW,)) == []
    assert "Something went wrong" not in browser.text()


@pytest.mark.parametrize("state", each_route(FIRST))
def test_the_first_run_in_each_state(fresh: Place, browser: Chromium, state: str) -> None:
    assert fresh.faults(browser, state, "en", (NARROW,)) == []


@pytest.mark.parametrize("state", each_route(UNLICENSED))
def test_the_pages_without_a_licence(unlicensed: Place, browser: Chromium, state: str) -> None:
    assert unlicensed.faults(browser, state, "en", (NARROW,)) == []


def test_first_run_is_done_without_scripts(browser: Chromium, tmp_path_factory: pytest.TempPathFactory) -> None:
    with first_run(tmp_path_factory.mktemp("first")) as run:
        forget(browser)
        browser.scripts(on=False)
        try:
            _first_run(run, browser)
        finally:
            browser.scripts(on=True)


def _first_run(run: FirstRun, browser: Chromium) -> None:
    open_(browser, f"{run.server.base}{ROOT}")
    browser.type("#code", run.code)
    browser.type("#username", "ada")
    browser.type("#password", DEMO_PASSWORD)
    press(browser)
    browser.shows("You are the first system admin")
    browser.scripts(on=True)
    assert axe.findings(browser) == []
    browser.scripts(on=False)
    press(browser, ".bar button")
    browser.shows("You are signed out.")
    browser.type("#username", "ada")
    browser.type("#password", DEMO_PASSWORD)
    press(browser)
    browser.shows("Is everything well, and who did what.")
