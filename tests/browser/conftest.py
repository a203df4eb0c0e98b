"""Fixtures: a Chromium for each module, with a new profile, and the server for the module's pages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser.driver import ONE_BY_ONE, Chromium
from tests.browser.pages import forget
from tests.browser.parts import Part, Place


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(tmp_path_factory.mktemp("profile"), *ONE_BY_ONE) as chromium:
        yield chromium


@pytest.fixture
def afresh(browser: Chromium) -> Iterator[None]:
    """Delete cookies and recorded requests, and turn scripts on again afterward."""
    forget(browser)
    yield
    browser.scripts(on=True)


@pytest.fixture(scope="module")
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The server for the module's ``PART``."""
    part: Part = request.module.PART
    with part.running(tmp_path_factory.mktemp("server")) as running:
        yield running
