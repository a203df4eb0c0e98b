"""Fixtures: an HTTPS installation with clients acme and globex, which list one origin each."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.http.cors.pages import LISTED, THEIRS
from tests.support.accounts import settle
from tests.support.application import App, running


@pytest.fixture(scope="module")
async def app(database_url: str) -> AsyncIterator[App]:
    async with running(database_url, MANIFEST_PUBLIC_URL="https://auth.example.com") as application:
        await settle(application, "acme", allowedOrigins=[LISTED])
        await settle(application, "globex", allowedOrigins=[THEIRS])
        yield application
