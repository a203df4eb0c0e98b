"""Fixtures: a client and its people."""

from __future__ import annotations

import pytest

from tests.support.application import App
from tests.support.team import Crew, new_crew


@pytest.fixture
async def crew(app: App) -> Crew:
    """A client of the test alone, and its people."""
    return await new_crew(app)
