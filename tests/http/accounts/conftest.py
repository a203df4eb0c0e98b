"""Fixtures: a client and its people."""

from __future__ import annotations

import pytest

from tests.support.crew import Crew, new_crew
from tests.support.house import App


@pytest.fixture
async def crew(app: App) -> Crew:
    """A client of the test alone, and its people."""
    return await new_crew(app)
