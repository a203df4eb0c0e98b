"""Fixtures: signed-in system admins."""

from __future__ import annotations

import pytest

from tests.support.application import App
from tests.support.system_admins import SystemAdmin, another, signed_in_admin


@pytest.fixture
async def admin(app: App) -> str:
    """An access token of the system admin."""
    return await app.admin_token()


@pytest.fixture
async def root(app: App, another_day: None) -> SystemAdmin:
    """The first system admin, on another day."""
    return await signed_in_admin(app)


@pytest.fixture
async def me(root: SystemAdmin) -> SystemAdmin:
    """A system admin that no other test uses."""
    return await another(root)
