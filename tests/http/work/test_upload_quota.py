"""The upload quota of a client: exact for concurrent uploads, and freed by deletions."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.accounts import token_of
from tests.support.application import App, Reply
from tests.support.background_jobs import sweep_files
from tests.support.envelope import check_refusal
from tests.support.uploads import Sum, files_on_disk, narrow_quota, stored_files

SIZE = 4096
PDF = b"%PDF-1.7\n" + bytes(SIZE - 9)
PATH = "/api/client/files"


@pytest.fixture
async def narrow(app: App, monkeypatch: pytest.MonkeyPatch) -> App:
    """A quota of five files a client, and none stored: no test records its files anywhere."""
    app.clock.advance(86_400 + 1)
    await sweep_files(app)
    narrow_quota(monkeypatch, app, 5 * SIZE)
    return app


async def upload(app: App, token: str, data: Any = PDF) -> Reply:
    return await app.send(
        "POST", f"{PATH}?name=a.pdf", token=token, content=data, headers={"Content-Type": "application/pdf"}
    )


async def test_the_last_byte_fits_and_the_one_after_it_is_refused(narrow: App) -> None:
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


async def test_twenty_at_the_same_moment_get_exactly_what_fits(narrow: App) -> None:
    token = await token_of(narrow)
    replies = await asyncio.gather(*(upload(narrow, token) for _ in range(20)))
    assert sorted(reply.status for reply in replies) == [201] * 5 + [413] * 15
    assert await stored_files(narrow) == Sum(5, 5 * SIZE)
    assert len(files_on_disk(narrow)) == 5  # what was refused left no bytes


async def test_one_client_takes_no_quota_of_another(narrow: App) -> None:
    token = await token_of(narrow)
    for _ in range(5):
        assert (await upload(narrow, token)).status == 201
    check_refusal(await upload(narrow, token), 413, "PAYLOAD_TOO_LARGE")
    assert (await upload(narrow, await token_of(narrow, "admin@globex.example"))).status == 201


async def test_what_is_dropped_frees_quota_and_what_is_refused_takes_none(narrow: App) -> None:
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


async def test_a_body_that_does_not_fit_is_refused_before_it_is_read(narrow: App) -> None:
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
    answer = await narrow.client.post(f"{PATH}?name=a.pdf", content=parts(), headers=headers)  # says no length
    assert answer.status_code == 413
    assert sent < 5 * SIZE
    assert len(files_on_disk(narrow)) == 4
