"""When the hashing queue is full, sign-ins return 503 with Retry-After, and reads continue."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.support.application import PASSWORD, App, Reply, running
from tests.support.envelope import check_refusal, check_success
from tests.support.faults import hash_queue_is_full
from tests.support.rules import rule

SLOW = {  # about 50 ms a hash, one running and one waiting
    "MANIFEST_ARGON2_MEMORY": "32768",
    "MANIFEST_ARGON2_PASSES": "2",
    "MANIFEST_HASH_WORKERS": "1",
    "MANIFEST_HASH_QUEUE": "1",
    "MANIFEST_RATE_LIMITS": "off",
}


@pytest.fixture(scope="module")
async def slow(database_url: str) -> AsyncIterator[App]:
    async with running(database_url, **SLOW) as app:
        yield app


@rule("HASH-BOUNDED", "THROTTLE-COUNTS")
async def test_a_full_queue_is_overloaded_and_reads_go_on(slow: App) -> None:
    token = (await slow.sign_in()).data["token"]
    tasks = [asyncio.create_task(slow.sign_in()) for _ in range(30)]
    reads = 0
    while not all(task.done() for task in tasks):
        check_success(await slow.me(token))
        reads += 1
        await asyncio.sleep(0.001)
    replies = [task.result() for task in tasks]
    refused = [reply for reply in replies if reply.status != 200]
    assert refused
    assert len(refused) < len(replies)
    for reply in refused:
        check_refusal(reply, 503, "OVERLOADED")
        assert reply.headers.get_list("retry-after") == ["1"]
    assert reads >= 2


async def test_once_the_storm_is_over_everybody_can_sign_in(slow: App) -> None:
    await asyncio.gather(*(slow.sign_in() for _ in range(20)))
    for _ in range(3):
        check_success(await slow.sign_in())


@contextlib.asynccontextmanager
async def storm(app: App) -> AsyncIterator[None]:
    """Keep the queue full with six callers who retry constantly, each from separate addresses."""
    stop = False

    async def caller(number: int) -> None:
        while not stop:
            await app.sign_in(f"nobody-{number}@acme.example")
            await asyncio.sleep(0.001)  # rejected without waiting, it would block other tasks

    callers = [asyncio.create_task(caller(number)) for number in range(6)]
    await asyncio.sleep(0.05)
    try:
        yield
    finally:
        stop = True
        await asyncio.gather(*callers)


async def until_overloaded(attempt: Callable[[int], Awaitable[Reply]]) -> Reply:
    """The first ``OVERLOADED`` response in at most 40 attempts; each attempt must either fail or succeed cleanly."""
    for number in range(40):
        reply = await attempt(number)
        await asyncio.sleep(0)
        assert reply.status in (200, 201, 401, 503), reply.text
        if reply.status == 503:
            return reply
    raise AssertionError("never overloaded")


@rule("HASH-BOUNDED", "WAYS-IN")
async def test_every_route_that_hashes_is_overloaded_alike(slow: App) -> None:
    token = (await slow.sign_in()).data["token"]
    admin = await slow.admin_token()

    def as_admin(_: int) -> Awaitable[Reply]:
        return slow.post("/api/admin/auth/sign-in", {"username": "root", "password": PASSWORD})

    def new_user(number: int) -> Awaitable[Reply]:
        body = {"email": f"later-{number}@acme.example", "roles": ["Viewer"], "password": "a-long-and-odd-sentence-42"}
        return slow.post("/api/admin/clients/acme/users", body, token=admin)

    def new_password(_: int) -> Awaitable[Reply]:
        body = {"currentPassword": "not the current one", "newPassword": "another-odd-sentence-77"}
        return slow.post("/api/client/auth/password", body, token=token)

    def by_link(_: int) -> Awaitable[Reply]:
        body = {"token": "x" * 32, "newPassword": "another-odd-sentence-77"}
        return slow.post("/api/client/auth/password/reset", body)

    async with storm(slow):
        for attempt in (as_admin, new_user, new_password, by_link):
            reply = await until_overloaded(attempt)
            check_refusal(reply, 503, "OVERLOADED")
            assert reply.headers["retry-after"] == "1"


async def test_a_user_whose_hash_found_the_queue_full_is_not_half_made(slow: App) -> None:
    admin = await slow.admin_token()
    made: list[str] = []

    async def new_user(number: int) -> Reply:
        email = f"either-or-{number}@acme.example"
        body = {"email": email, "roles": ["Viewer"], "password": "a-long-and-odd-sentence-42"}
        reply = await slow.post("/api/admin/clients/acme/users", body, token=admin)
        made.extend([email] if reply.status == 201 else [])
        return reply

    async with storm(slow):
        await until_overloaded(new_user)
    found = await slow.get("/api/admin/clients/acme/users?q=either-or", token=admin)
    assert [user["email"] for user in found.data["items"]] == made


async def test_an_attempt_that_found_the_queue_full_is_not_counted_as_a_guess(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = (
        ("/api/client/auth/sign-in", {"email": "author@acme.example", "password": "wrong"}),
        (
            "/api/admin/auth/sign-in",
            {"username": "root", "password": "wrong"},
        ),
    )
    for path, body in attempts:
        with monkeypatch.context() as patch:
            hash_queue_is_full(patch)
            for _ in range(12):
                check_refusal(await app.post(path, body), 503, "OVERLOADED")
        check_refusal(await app.post(path, body), 401, "INVALID_CREDENTIALS")
