"""The caller's address in every spelling; an unreadable address isn't in any network."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.application import PASSWORD, App, running
from tests.support.attempt_limits import ACCOUNT, ORIGIN
from tests.support.envelope import check_refusal, check_success
from tests.support.system_admins import sign_in

pytestmark = pytest.mark.one_store

OUT = "203.0.113.9"


@pytest.fixture
async def proxied(database_url: str) -> AsyncIterator[App]:
    more = {"MANIFEST_ADMIN_ADDRESSES": "192.0.2.0/24", "MANIFEST_TRUSTED_PROXIES": "192.0.2.1"}
    async with running(database_url, **more) as app:
        yield app


async def test_an_allowed_proxy_admits_nobody_with_an_unreadable_address(proxied: App) -> None:
    for written in ("unknown", f"{OUT}:x", ""):
        check_refusal(await sign_in(proxied, "root", headers={"X-Forwarded-For": written}), 404, "NOT_FOUND")
    check_success(await sign_in(proxied, "root", headers={"X-Forwarded-For": "192.0.2.9:4711"}))


async def _guess(proxied: App, address: str, password: str = "wrong") -> int:
    lines = {"X-Forwarded-For": address}
    return (await proxied.sign_in("viewer@acme.example", password, "acme", headers=lines)).status


async def test_callers_with_unreadable_addresses_share_one_rate_limit(proxied: App) -> None:
    assert [await _guess(proxied, f"host-{n}") for n in range(ORIGIN.free + 1)] == [401] * ORIGIN.free + [429]
    assert await _guess(proxied, "198.51.100.3", PASSWORD) == 200


async def test_an_unreadable_address_is_never_a_known_address(proxied: App) -> None:
    proxied.clock.advance(86_400)
    assert [await _guess(proxied, address, PASSWORD) for address in ("host", "198.51.100.3")] == [200, 200]
    assert [await _guess(proxied, f"203.0.113.{n}") for n in range(ACCOUNT.free)] == [401] * ACCOUNT.free
    assert [await _guess(proxied, address, PASSWORD) for address in ("host", "198.51.100.3")] == [429, 200]
