"""Fixtures of the tests over HTTP: the application, with the settings that a module names, and callers."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.interop.microsoft.fixtures import setup, shared_setup
from tests.support.application import App, running
from tests.support.background_jobs import nothing_by_itself
from tests.support.mail_server import MailServer
from tests.support.oidc_op import Op, provider

__all__ = ["setup", "shared_setup"]


@pytest.fixture(scope="module")
async def app(request: pytest.FixtureRequest, database_url: str) -> AsyncIterator[App]:
    """The application with the settings of the module's marks, shared by its tests."""
    settings: dict[str, str] = {}
    for mark in request.node.iter_markers("settings"):
        settings |= mark.kwargs
    if request.node.get_closest_marker("mail"):
        mail_server: MailServer = request.getfixturevalue("mail_server")
        settings |= mail_server.settings
    with nothing_by_itself() if request.node.get_closest_marker("still") else contextlib.nullcontext():
        async with running(database_url, **settings) as application:
            yield application


@pytest.fixture(scope="module")
async def secure(database_url: str, app: App) -> AsyncIterator[App]:
    """The same installation behind https."""
    async with running(database_url, MANIFEST_PUBLIC_URL="https://auth.example.com") as node:
        yield node


@pytest.fixture
async def another_day(app: App) -> None:
    """Two days later: what was throttled before is free again, and what lived for a day is over."""
    app.clock.advance(2 * 86_400)


@pytest.fixture(scope="module")
def mail_server() -> Iterator[MailServer]:
    """The server that takes the application's mail."""
    with MailServer() as server:
        yield server


@pytest.fixture
def op(app: App) -> Iterator[Op]:
    """An OpenID provider on a socket of its own."""
    with provider(app.clock) as standing_in:
        yield standing_in
