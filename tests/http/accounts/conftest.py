"""Fixtures: a client and its users."""

from __future__ import annotations

import pytest

from tests.support.application import App
from tests.support.team import Team, new_team


@pytest.fixture
async def team(app: App) -> Team:
    """A client for one test, and its users."""
    return await new_team(app)
