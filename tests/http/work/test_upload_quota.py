"""A client's upload quota is exact for concurrent uploads, includes uploads in progress, and is freed by deletions."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from tests.http.requests import slow_bodies
from tests.http.requests.slow_bodies import SlowBody
from tests.support.accounts import token_of
from tests.support.application import App, Reply
from tests.support.background_jobs import sweep_files
from tests.support.envelope import check_refusal
from tests.support.people import member
from tests.support.rules import rule
from tests.support.smaller_limits import Sum, files_on_disk, narrow_quota, stored_files

SIZE = 4096
PDF = b"%PDF-1.7\n" + bytes(SIZE - 9)
PATH = "/api/client/files"


@pytest.fixture
async def narrow(app: App, monkeypatch: pytest.MonkeyPatch) -> App:
    """A quota of five files a client, with none stored, because no test records its files."""
    app.clock.advance(86_400 + 1)
    await sweep_files(app)
    narrow_quota(monkeypatch, app, 5 * SIZE)
    return app


async def upload(app: App, token: str, data: Any = PDF) -> Reply:
    return await app.send(
        "POST", f"{PATH}?name=a.pdf", token=token, content=data, headers={"Content-Type": "application/pdf"}
    )


async def operators(app: App, count: int) -> list[str]:
    """Tokens of this many users of one client who can upload."""
    return [(await member(app, "acme", "Operator")).token for _ in range(count)]


def on_its_way(
    app: App, token: str, size: int, *, declared: bool = True
) -> contextlib.AbstractAsyncContextManager[SlowBody]:
    """An upload of ``size`` bytes, more than ``SIZE``, of which this many have arrived."""
    lines = [("Authorization", f"Bearer {token}"), ("Content-Type", "application/pdf")]
    lines.append(("Content-Length", str(size)) if declared else ("Transfer-Encoding", "chunked"))
    return slow_bodies.on_its_way(app, f"{PATH}?name=a.pdf", lines, PDF, bytes(size - SIZE))


async def test_the_last_byte_fits_and_the_one_after_it_is_rejected(narrow: App) -> None:
    token = await token_of(narrow)
    for _ in range(4):
        assert (await upload(narrow, token)).status == 201
    check_refusal(await upload(narrow, token, PDF + b"x"), 413, "PAYLOAD_TOO_LARGE")
    assert (await upload(narrow, token)).status == 201
    refused = await upload(narrow, token, b"%PDF-")
    check_refusal(refused, 413, "PAYLOAD_TOO_LARGE")
    assert "client" in refused.json["error"]["message"]
    assert await stored_files(narrow) == Sum(5, 5 * SIZE)
    assert len(files_on_disk(narrow)) == 5


@rule("UPLOADS")
async def test_sixteen_at_the_same_moment_get_exactly_what_fits(narrow: App) -> None:
    users = await operators(narrow, 4)
    replies = await asyncio.gather(*(upload(narrow, token) for token in users * 4))
    assert sorted(reply.status for reply in replies) == [201] * 5 + [413] * 11
    assert await stored_files(narrow) == Sum(5, 5 * SIZE)
    assert len(files_on_disk(narrow)) == 5  # rejected uploads left no bytes


@rule("UPLOADS")
@pytest.mark.parametrize("declared", [True, False])
async def test_what_is_on_its_way_counts(narrow: App, declared: bool) -> None:
    """The declared size counts, or without one, the maximum size."""
    token = await token_of(narrow)
    async with on_its_way(narrow, token, 4 * SIZE, declared=declared) as first:
        check_refusal(await upload(narrow, token, PDF + b"x"), 413, "PAYLOAD_TOO_LARGE")
        assert (await upload(narrow, token)).status == (201 if declared else 413)
        assert await first.goes_on() == 201
    assert (await upload(narrow, token)).status == (413 if declared else 201)
    assert (await stored_files(narrow)).size == 5 * SIZE


@rule("UPLOADS")
async def test_what_was_broken_off_is_free_again(narrow: App) -> None:
    token = await token_of(narrow)
    for _ in range(3):
        async with on_its_way(narrow, token, 5 * SIZE) as broken:
            check_refusal(await upload(narrow, token), 413, "PAYLOAD_TOO_LARGE")
            assert await broken.breaks_off() == 400
    assert (await upload(narrow, token, PDF + bytes(4 * SIZE))).status == 201


@rule("UPLOADS")
async def test_a_user_uploads_four_at_the_same_time_and_a_client_sixteen(app: App) -> None:
    first, *others, last = await operators(app, 5)
    async with contextlib.AsyncExitStack() as stack:
        of_first = [await stack.enter_async_context(on_its_way(app, first, 2 * SIZE)) for _ in range(4)]
        refused = await upload(app, first)
        check_refusal(refused, 429, "RATE_LIMITED")
        assert int(refused.headers["retry-after"]) > 0
        for token in others * 4:
            await stack.enter_async_context(on_its_way(app, token, 2 * SIZE))
        check_refusal(await upload(app, last), 429, "RATE_LIMITED")
        assert (await upload(app, await token_of(app, "admin@globex.example"))).status == 201
        assert await of_first[0].goes_on() == 201
        assert (await upload(app, last)).status == 201


@rule("UPLOADS")
async def test_what_a_killed_process_was_at_ends_with_its_time(narrow: App) -> None:
    """A frozen process that resumes later leaves nothing behind."""
    token = await token_of(narrow)
    async with on_its_way(narrow, token, 5 * SIZE) as dead:
        check_refusal(await upload(narrow, token), 413, "PAYLOAD_TOO_LARGE")
        narrow.clock.advance(120)
        assert (await upload(narrow, await token_of(narrow))).status == 201
        await sweep_files(narrow)
        assert await dead.goes_on() == 503
    assert await stored_files(narrow) == Sum(1, SIZE)
    assert len(files_on_disk(narrow)) == 1


@rule("UPLOADS")
async def test_a_small_file_counts_with_what_it_takes_on_a_disk(narrow: App) -> None:
    token = await token_of(narrow)
    for _ in range(5):
        assert (await upload(narrow, token, b"%PDF-")).status == 201
    check_refusal(await upload(narrow, token, b"%PDF-"), 413, "PAYLOAD_TOO_LARGE")
    narrow.clock.advance(86_400 + 1)
    await sweep_files(narrow)
    assert (await upload(narrow, await token_of(narrow), PDF * 5)).status == 201


async def test_one_client_takes_no_quota_of_another(narrow: App) -> None:
    token = await token_of(narrow)
    for _ in range(5):
        assert (await upload(narrow, token)).status == 201
    check_refusal(await upload(narrow, token), 413, "PAYLOAD_TOO_LARGE")
    assert (await upload(narrow, await token_of(narrow, "admin@globex.example"))).status == 201


async def test_what_is_dropped_frees_quota_and_what_is_rejected_takes_none(narrow: App) -> None:
    token = await token_of(narrow)
    check_refusal(await upload(narrow, token, PDF * 6), 413, "PAYLOAD_TOO_LARGE")
    for _ in range(5):
        assert (await upload(narrow, token)).status == 201
    narrow.clock.advance(86_400 + 1)
    await sweep_files(narrow)
    token = await token_of(narrow)
    for _ in range(5):
        assert (await upload(narrow, token)).status == 201
    check_refusal(await upload(narrow, token), 413, "PAYLOAD_TOO_LARGE")


async def test_a_body_that_does_not_fit_is_rejected_before_it_is_read(narrow: App) -> None:
    token = await token_of(narrow)
    for _ in range(4):
        assert (await upload(narrow, token)).status == 201
    sent = 0

    async def parts() -> Any:
        nonlocal sent
        for part in (PDF, *[bytes(SIZE)] * 50):
            sent += len(part)
            yield part

    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/pdf"}
    answer = await narrow.client.post(
        f"{PATH}?name=a.pdf", content=parts(), headers={**headers, "Content-Length": str(51 * SIZE)}
    )
    assert (answer.status_code, sent) == (413, 0)
    answer = await narrow.client.post(f"{PATH}?name=a.pdf", content=parts(), headers=headers)  # declares no length
    assert answer.status_code == 413
    assert sent < 5 * SIZE
    assert len(files_on_disk(narrow)) == 4
