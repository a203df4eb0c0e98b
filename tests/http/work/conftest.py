"""Fixtures: a client and its users."""

from __future__ import annotations

import pytest

from tests.support.application import App
from tests.support.team import Team, new_team


@pytest.fixture(scope="module")
async def team(app: App) -> Team:
    """A client and its people; the tests of a module share it and do not mind what others leave."""
    return await new_team(app)
