"""Fixtures: a Chromium for each module, with a new profile."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser.driver import Chromium


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(tmp_path_factory.mktemp("profile")) as chromium:
        yield chromium
