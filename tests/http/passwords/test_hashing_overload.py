"""Password hashing under load: a bounded queue, `OVERLOADED` beyond it, and reads that go on."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.accounts import keys_of
from tests.support.application import PASSWORD, SLUGS, App, running
from tests.support.faults import hashing_is_overloaded

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
    storm = [asyncio.ensure_future(app.sign_in(f"{slug}@acme.example")) for slug in SLUGS.values() for _ in range(3)]
    reads = 0
    while not all(attempt.done() for attempt in storm):
        assert (await app.me(keys.token)).status == 200
        assert (await app.me(cookie=keys.cookie)).status == 200
        assert (await app.refresh(keys.refresh_token)).status == 200
        reads += 1
        await asyncio.sleep(0)
    replies = [attempt.result() for attempt in storm]
    refused = [r for r in replies if r.status != 200]
    assert 0 < len(refused) < len(replies)
    for reply in refused:
        assert (reply.status, reply.code) == (503, "OVERLOADED")
        assert int(reply.headers["retry-after"]) >= 1
        assert "set-cookie" not in reply.headers
    assert reads > len(replies)
    assert (await app.sign_in(password=PASSWORD)).status == 200


async def test_an_attempt_that_was_never_tried_is_no_failure(app: App, database_url: str) -> None:
    """A caller who comes back while the queue is full is not counted as guessing."""
    admin = {"username": "root", "password": PASSWORD}
    async with running(database_url) as node:
        with hashing_is_overloaded():
            for _ in range(20):
                assert (await node.sign_in()).code == "OVERLOADED"
                assert (await node.post("/api/admin/auth/sign-in", admin)).code == "OVERLOADED"
        assert (await node.sign_in()).status == 200
        assert (await node.post("/api/admin/auth/sign-in", admin)).status == 200


async def test_at_the_admins_sign_in_too(app: App) -> None:
    body = {"username": "root", "password": PASSWORD}
    replies = await asyncio.gather(*(app.post("/api/admin/auth/sign-in", body) for _ in range(30)))
    assert {r.status for r in replies} == {200, 503}
