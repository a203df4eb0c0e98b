"""Page routes are loaded by the first request for a page, only once for concurrent ones, and never for the API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.support.application import App, running

pytestmark = pytest.mark.one_store


@pytest.fixture
async def fresh(database_url: str) -> AsyncIterator[App]:
    async with running(database_url) as app:
        yield app


async def test_the_first_requests_for_pages_are_all_answered(fresh: App) -> None:
    browser = {"accept": "text/html"}
    for path, status in (("/api/nowhere", 404), ("/oauth2/nowhere", 404), ("/healthz", 200)):
        assert (await fresh.get(path, headers=browser)).status == status
    paths = ["/sign-in", "/nowhere", "/favicon.ico", "/robots.txt", "/", "/forgot"] * 4
    answers = await asyncio.gather(*(fresh.get(path, headers=browser) for path in paths))
    assert [answer.status for answer in answers] == [200, 404, 200, 200, 302, 200] * 4
    assert "<h1" in answers[1].text
