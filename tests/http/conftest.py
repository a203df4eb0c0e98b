"""Fixtures of the tests over HTTP: callers, and services besides the application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.interop.microsoft.fixtures import setup, shared_setup
from tests.support.application import App, running
from tests.support.oidc_op import Op, provider

__all__ = ["setup", "shared_setup"]


@pytest.fixture(scope="module")
async def secure(database_url: str, app: App) -> AsyncIterator[App]:
    """The same installation behind https."""
    async with running(database_url, MANIFEST_PUBLIC_URL="https://auth.example.com") as node:
        yield node


@pytest.fixture
async def another_day(app: App) -> None:
    """Two days later, when rate limits have been reset and everything that lives for a day has expired."""
    app.clock.advance(2 * 86_400)


@pytest.fixture
def op(app: App) -> Iterator[Op]:
    """An OpenID provider on its own socket."""
    with provider(app.clock) as standing_in:
        yield standing_in
