"""Service accounts of two clients, shared by a module's tests."""

from __future__ import annotations

import pytest

from tests.support.accounts import new_client
from tests.support.application import App
from tests.support.oauth_callers import Machine, machine


@pytest.fixture(autouse=True)
def _forgotten(app: App) -> None:
    """Reset the rate limits of earlier failures."""
    app.clock.advance(2 * 3600)


@pytest.fixture
async def client(app: App) -> str:
    """A client for one test."""
    return await new_client(app)


@pytest.fixture
async def ours(app: App, client: str) -> Machine:
    """A Viewer of that client, which can introspect tokens."""
    return await machine(app, client, mayIntrospect=True)


@pytest.fixture
async def theirs(app: App) -> Machine:
    """The same for another client."""
    return await machine(app, await new_client(app), mayIntrospect=True)
