"""Password hashing under load uses a queue of limited size, and returns `OVERLOADED` beyond it; reads continue."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.accounts import keys_of
from tests.support.application import PASSWORD, SLUGS, App, Reply, running
from tests.support.faults import (
    hash_workers_stand_still,
    hashing_is_overloaded,
    most_hashes,
    store_is_known_to_be_gone,
)

SLOW = {
    "MANIFEST_ARGON2_MEMORY": "32768",
    "MANIFEST_ARGON2_PASSES": "12",
    "MANIFEST_HASH_WORKERS": "1",
    "MANIFEST_HASH_QUEUE": "2",
    "MANIFEST_RATE_LIMITS": "off",
}
pytestmark = [pytest.mark.settings(**SLOW), pytest.mark.one_store]


async def test_beyond_the_queue_sign_ins_are_overloaded_and_reads_go_on(app: App) -> None:
    keys = await keys_of(app)
    most = most_hashes(app)
    with hash_workers_stand_still(app):
        storm = {
            asyncio.ensure_future(app.sign_in(f"{slug}@acme.example")) for slug in SLUGS.values() for _ in range(3)
        }
        refused = await first(len(storm) - most, storm)
        for _ in range(5):
            assert (await app.me(keys.token)).status == 200
            assert (await app.me(cookie=keys.cookie)).status == 200
            assert (await app.refresh(keys.refresh_token)).status == 200
        assert sum(attempt.done() for attempt in storm) == len(refused)
    for reply in refused:
        assert (reply.status, reply.code) == (503, "OVERLOADED")
        assert int(reply.headers["retry-after"]) >= 1
        assert "set-cookie" not in reply.headers
    assert sorted(reply.status for reply in await asyncio.gather(*storm)) == [200] * most + [503] * len(refused)
    assert (await app.sign_in(password=PASSWORD)).status == 200


async def test_an_attempt_that_was_never_tried_is_no_failure(app: App, database_url: str) -> None:
    """A caller who retries while the queue is full isn't counted as guessing."""
    admin = {"username": "root", "password": PASSWORD}
    async with running(database_url) as node:
        with hashing_is_overloaded():
            for _ in range(20):
                assert (await node.sign_in()).code == "OVERLOADED"
                assert (await node.post("/api/admin/auth/sign-in", admin)).code == "OVERLOADED"
        assert (await node.sign_in()).status == 200
        assert (await node.post("/api/admin/auth/sign-in", admin)).status == 200


async def test_no_password_is_hashed_while_the_store_is_gone(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    token, change = (await keys_of(app)).token, {"currentPassword": PASSWORD, "newPassword": "w" * 20}
    with hash_workers_stand_still(app):  # a hash would hang
        store_is_known_to_be_gone(monkeypatch, app)
        replies = [
            await app.sign_in(),
            await app.post("/api/admin/auth/sign-in", {"username": "root", "password": PASSWORD}),
            await app.post("/api/client/auth/password", change, token=token),
        ]
    for reply in replies:
        assert (reply.status, reply.code, reply.headers["retry-after"]) == (503, "OVERLOADED", "1")


async def test_at_the_admins_sign_in_too(app: App) -> None:
    body = {"username": "root", "password": PASSWORD}
    most = most_hashes(app)
    with hash_workers_stand_still(app):
        storm = {asyncio.ensure_future(app.post("/api/admin/auth/sign-in", body)) for _ in range(30)}
        refused = await first(30 - most, storm)
    assert {(reply.status, reply.code) for reply in refused} == {(503, "OVERLOADED")}
    assert sorted(reply.status for reply in await asyncio.gather(*storm)) == [200] * most + [503] * len(refused)


async def first(count: int, attempts: set[asyncio.Task[Reply]]) -> list[Reply]:
    """The responses that arrive before the others."""
    while sum(attempt.done() for attempt in attempts) < count:
        await asyncio.wait([attempt for attempt in attempts if not attempt.done()], return_when="FIRST_COMPLETED")
    return [attempt.result() for attempt in attempts if attempt.done()]
