"""The first run in a browser, without scripts."""

from __future__ import annotations

import pytest

from tests.browser import axe
from tests.browser.driver import Chromium
from tests.browser.installation_states import ROOT, FirstRun, first_run
from tests.browser.pages import forget, open_, press
from tests.support.server import DEMO_PASSWORD

pytestmark = pytest.mark.needs("node", "npm")


@pytest.mark.endurance
def test_the_first_run_works_without_scripts(browser: Chromium, tmp_path_factory: pytest.TempPathFactory) -> None:
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
    browser.shows("You're the first system admin")
    browser.scripts(on=True)
    assert axe.findings(browser) == []
    browser.scripts(on=False)
    press(browser, ".bar button")
    browser.shows("You're signed out.")
    browser.type("#username", "ada")
    browser.type("#password", DEMO_PASSWORD)
    press(browser)
    browser.shows("Status and recent activity of this server.")
