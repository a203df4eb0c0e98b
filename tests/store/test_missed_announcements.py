"""A node that misses heartbeats for a while catches up when they succeed again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from manifest_auth.sessions.tokens import Purpose, keys
from manifest_auth.store import SystemUnit, installation_values, open_store
from manifest_auth.store.tables import signing_keys
from tests.support.accounts import keys_of
from tests.support.application import App, running
from tests.support.stores import on_postgres

CUT = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE application_name = 'manifest-auth-beat' AND datname = current_database()"
)


@pytest.fixture
async def app(database_url: str) -> AsyncIterator[App]:
    async with running(database_url) as application:
        yield application


async def cut(app: App, database_url: str) -> None:
    """Break the connection for announcements, and then restore it."""
    raw = await asyncpg.connect(database_url)
    try:
        await raw.execute(CUT)
    finally:
        await raw.close()
    for is_heard in (False, True):
        async with asyncio.timeout(20):
            while (app.services.store.version() is not None) is not is_heard:
                await asyncio.sleep(0.002)


@pytest.mark.parametrize("purpose", [Purpose.ACCESS, Purpose.ADMIN_ACCESS])
async def test_a_signing_key_that_was_retired_in_the_meantime(app: App, database_url: str, purpose: Purpose) -> None:
    """No request comes in between, because it would read the database on its own."""
    is_admins = purpose is Purpose.ADMIN_ACCESS
    token = await app.admin_token() if is_admins else (await keys_of(app)).token

    async def status() -> int:
        return (await app.get(f"/api/{'admin' if is_admins else 'client'}/auth/me", token=token)).status

    assert [await status() for _ in range(2)] == [200, 200]
    key, now = app.services.keys.signing(purpose), app.services.clock.now_ms()

    def retire(unit: SystemUnit) -> None:  # without an announcement
        unit.change(keys._EXPIRE[signing_keys], of_id=key.id, now=now)
        installation_values.put(unit, keys._STAMP, f"changed with {key.id}")

    other = open_store(database_url, 2)
    await other.open()
    await other.write(retire)
    await other.close()
    if on_postgres(app.services.store):
        assert await status() == 200  # announcements exist to prevent this
        await cut(app, database_url)
    assert await status() == 401
