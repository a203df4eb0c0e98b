"""Fixtures: an application that receives requests from many addresses, and a separate day for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.accounts import new_user
from tests.support.application import PASSWORD, App, running
from tests.support.attempt_limits import PROXY


@pytest.fixture(scope="module")
async def app(database_url: str) -> AsyncIterator[App]:
    """An application behind a proxy, so that requests can come from many addresses."""
    async with running(database_url, **PROXY) as application:
        yield application


@pytest.fixture(autouse=True)
def a_day_of_its_own(another_day: None) -> None:
    """A day without any counts yet."""


@pytest.fixture
async def email(app: App) -> str:
    """A user who has never signed in from anywhere."""
    return (await new_user(app, password=PASSWORD))[1]
