"""Fixtures: an application that sends emails immediately, and a client with an empty mailbox."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.application import App, running
from tests.support.background_jobs import nothing_by_itself
from tests.support.email_changes import until_idle
from tests.support.mail_server import MailServer
from tests.support.team import Team, new_team


@pytest.fixture(scope="module")
async def app(database_url: str, mail_server: MailServer) -> AsyncIterator[App]:
    """An application that sends emails together with the change, and doesn't retry on its own."""
    with nothing_by_itself():
        async with running(database_url, **mail_server.settings) as application:
            yield application


@pytest.fixture
async def team(app: App, mail_server: MailServer, another_day: None) -> Team:
    """A client for one test, after all earlier emails have been sent."""
    await until_idle(app)
    mail_server.mails.clear()
    mail_server.refuses = ""
    return await new_team(app)
