"""A client's session lengths can be shorter than the installation's, but never longer."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.accounts import Keys, keys_of, opened_by, settle
from tests.support.application import App, running
from tests.support.envelope import check_refusal
from tests.support.people import OwnClient, own_client

pytestmark = pytest.mark.one_store

IDLE, MOST, REFRESH = 10_000, 40_000, 20_000


@pytest.fixture(scope="module")
async def app(database_url: str) -> AsyncIterator[App]:
    lengths = {"SESSION_IDLE_TTL": IDLE, "SESSION_MAX_TTL": MOST, "REFRESH_TOKEN_TTL": REFRESH, "ACCESS_TOKEN_TTL": 900}
    async with running(database_url, **{f"MANIFEST_{name}": str(value) for name, value in lengths.items()}) as it:
        yield it


async def _signed_in(own: OwnClient) -> Keys:
    return await keys_of(own.app, own.client_admin.email, client=own.identifier)


async def test_an_unused_cookie_expires_after_the_clients_timeout(app: App) -> None:
    own = await own_client(app)
    await own.changed(own.client_admin, sessions={"idleSeconds": 600})
    reply = await app.sign_in(own.client_admin.email, client=own.identifier)
    assert "Max-Age=600;" in next(x for x in reply.headers.get_list("set-cookie") if x.startswith("session="))
    cookie = reply.cookie("session")
    app.clock.advance(599)
    renewed = await app.me(cookie=cookie)
    assert "Max-Age=600;" in renewed.headers["set-cookie"]
    app.clock.advance(599)
    assert (await app.me(cookie=cookie)).status == 200
    app.clock.advance(600)
    check_refusal(await app.me(cookie=cookie), 401, "TOKEN_EXPIRED")


async def test_a_session_ends_after_the_clients_time_under_all_three_keys(app: App) -> None:
    own = await own_client(app)
    await own.changed(own.client_admin, sessions={"maxSeconds": 500})
    keys = await _signed_in(own)
    app.clock.advance(499)
    assert await opened_by(app, keys) == ["token", "cookie", "refresh token"]
    app.clock.advance(1)
    assert await opened_by(app, keys) == []


async def test_a_new_maximum_applies_to_open_sessions(app: App) -> None:
    own = await own_client(app)
    old = await _signed_in(own)
    app.clock.advance(400)
    young = await _signed_in(own)
    app.clock.advance(100)
    await own.changed(own.client_admin, sessions={"maxSeconds": 500})
    assert await opened_by(app, old) == []
    assert await opened_by(app, young) == ["token", "cookie", "refresh token"]
    app.clock.advance(400)
    assert await opened_by(app, young) == []


async def test_those_of_another_client_stay(app: App) -> None:
    own, other = await own_client(app), await own_client(app)
    keys = await _signed_in(other)
    await own.changed(own.client_admin, sessions={"maxSeconds": 300})
    app.clock.advance(300)
    assert await opened_by(app, keys) == ["token", "cookie", "refresh token"]


async def test_a_refresh_token_lives_for_the_clients_time_from_sign_in_and_from_refresh(app: App) -> None:
    own = await own_client(app)
    await own.changed(own.client_admin, sessions={"refreshSeconds": 600})
    keys = await _signed_in(own)
    app.clock.advance(599)
    child = (await app.refresh(keys.refresh_token)).data["refreshToken"]
    app.clock.advance(1)
    check_refusal(await app.refresh(keys.refresh_token), 401, "TOKEN_EXPIRED")
    app.clock.advance(598)
    assert (await app.refresh(child)).status == 200
    app.clock.advance(1)
    check_refusal(await app.refresh(child), 401, "TOKEN_EXPIRED")


async def test_a_system_admin_can_set_it_too(app: App) -> None:
    own = await own_client(app)
    await settle(app, own.identifier, sessions={"maxSeconds": 300})
    keys = await _signed_in(own)
    app.clock.advance(300)
    assert await opened_by(app, keys) == []


async def test_no_value_exceeds_the_installations(app: App) -> None:
    own = await own_client(app)
    limits = {"idleSeconds": IDLE, "maxSeconds": MOST, "refreshSeconds": REFRESH}
    for name, limit in limits.items():
        check_refusal(await own.change(own.client_admin, sessions={name: limit + 1}), 400, "VALIDATION_ERROR")
    assert (await own.changed(own.client_admin, sessions=limits))["sessions"] == limits


async def test_a_lower_limit_of_the_installation_applies(app: App, database_url: str) -> None:
    own = await own_client(app)
    await own.changed(own.client_admin, sessions={"maxSeconds": MOST, "idleSeconds": IDLE})
    async with running(database_url, MANIFEST_SESSION_MAX_TTL="1000", MANIFEST_SESSION_IDLE_TTL="500") as shorter:
        shorter.goes_by_the_clock_of(app)
        keys = await keys_of(shorter, own.client_admin.email, client=own.identifier)
        app.clock.advance(500)
        check_refusal(await shorter.me(cookie=keys.cookie), 401, "TOKEN_EXPIRED")
        app.clock.advance(500)
        assert await opened_by(shorter, keys) == []
        changed = await shorter.send("PATCH", "/api/client/settings", {"contact": "Ask"}, token=own.client_admin.token)
        assert changed.status in (200, 401)
