"""Fixtures: a client and its users."""

from __future__ import annotations

import pytest

from tests.support.application import App
from tests.support.team import Team, new_team


@pytest.fixture(scope="module")
async def team(app: App) -> Team:
    """A client and its users, shared by a module's tests, which don't depend on each other's data."""
    return await new_team(app)
