"""Fixture ``setup``: the application and a stand-in for Microsoft; conftest.py files import it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.interop.microsoft.microsoft_setup import MicrosoftSetup, setup_on


@pytest.fixture(scope="module")
async def shared_setup(database_url: str) -> AsyncIterator[MicrosoftSetup]:
    """The application and Microsoft, one pair for each test module and store."""
    async with setup_on(database_url) as setup:
        yield setup


@pytest.fixture
async def setup(shared_setup: MicrosoftSetup) -> MicrosoftSetup:
    """The same, as if no test had been there before."""
    await shared_setup.clear()
    return shared_setup
