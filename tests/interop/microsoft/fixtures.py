"""Fixture ``setup`` with the application and a stand-in for Microsoft, which conftest.py files import."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.interop.microsoft.microsoft_setup import MicrosoftSetup, setup_on


@pytest.fixture(scope="module")
async def shared_setup(database_url: str) -> AsyncIterator[MicrosoftSetup]:
    """The application and Microsoft, one pair for each test module and database."""
    async with setup_on(database_url) as setup:
        yield setup


@pytest.fixture
async def setup(shared_setup: MicrosoftSetup) -> MicrosoftSetup:
    """The same pair, reset after earlier tests."""
    await shared_setup.clear()
    return shared_setup
