"""While the system admins' sign-in is under attack, the admin can still sign in from a known address."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.application import PASSWORD, App, Reply, running

pytestmark = pytest.mark.one_store

HOME, ELSEWHERE = "198.51.100.7", "203.0.113.9"


@pytest.fixture
async def proxied(database_url: str) -> AsyncIterator[App]:
    async with running(database_url, MANIFEST_TRUSTED_PROXIES="192.0.2.1") as app:
        yield app


async def _sign_in(app: App, password: str, address: str) -> Reply:
    body = {"username": "root", "password": password}
    return await app.post("/api/admin/auth/sign-in", body, headers={"X-Forwarded-For": address})


async def test_an_admin_can_sign_in_from_a_known_address_while_others_are_blocked(proxied: App) -> None:
    assert (await _sign_in(proxied, PASSWORD, HOME)).status == 200
    codes = [(await _sign_in(proxied, "wrong", ELSEWHERE)).code for _ in range(12)]
    assert "RATE_LIMITED" in codes
    assert (await _sign_in(proxied, PASSWORD, ELSEWHERE)).code == "RATE_LIMITED"
    assert (await _sign_in(proxied, PASSWORD, HOME)).status == 200
