"""Fixtures: a client and its people."""

from __future__ import annotations

import pytest

from tests.support.application import App
from tests.support.team import Crew, new_crew


@pytest.fixture(scope="module")
async def crew(app: App) -> Crew:
    """A client and its people; the tests of a module share it and do not mind what others leave."""
    return await new_crew(app)
