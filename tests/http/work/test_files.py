"""Files recorded in jobs are stored unchanged, kept complete, and visible only to their client."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from tests.support import in_process
from tests.support.accounts import keys_of, token_of
from tests.support.application import SLUGS, App, Reply
from tests.support.background_jobs import sweep_broken_uploads, sweep_files, sweep_files_while
from tests.support.envelope import check_refusal
from tests.support.faults import files_are_gone, room_for
from tests.support.jobs import RECORDS, job_at
from tests.support.matrix import matrix
from tests.support.roles import HOLDERS, Permission, Role
from tests.support.rules import rule
from tests.support.smaller_limits import FILE_KINDS, data_folder, files_on_disk, narrow_files
from tests.support.team import new_team

pytestmark = pytest.mark.one_store

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40
STARTS = {
    "image/jpeg": b"\xff\xd8\xff\xe0....",
    "image/png": PNG,
    "image/webp": b"RIFF\x00\x00\x00\x00WEBPVP8 ",
    "image/heic": b"\x00\x00\x00\x18ftypheic....",
    "video/mp4": b"\x00\x00\x00\x18ftypisom....",
    "video/webm": b"\x1aE\xdf\xa3....",
    "audio/mpeg": b"ID3\x04....",
    "application/pdf": b"%PDF-1.7\n....",
    "text/plain": "Druck 4,2 bar – geprüft\n".encode(),
    "text/csv": b"a;b\r\n1;2\r\n",
}
PATH = "/api/client/files"


async def upload(app: App, token: str, data: bytes = PNG, kind: str = "image/png", name: str = "a.png") -> Reply:
    from urllib.parse import quote

    headers = {"Content-Type": kind}
    return await app.send("POST", f"{PATH}?name={quote(name)}", token=token, content=data, headers=headers)


def left(app: App) -> list[Path]:
    return files_on_disk(app, "uploads")


async def test_a_file_comes_back_as_it_was_sent(app: App) -> None:
    token = await token_of(app)
    made = await upload(app, token, name="Leck an Pumpe 3 – „rechts“.png")
    assert made.status == 201
    digest = hashlib.sha256(PNG).hexdigest()
    assert made.data | {"id": 0, "url": "", "uploadedAt": ""} == {
        "id": 0, "name": "Leck an Pumpe 3 – „rechts“.png", "mediaType": "image/png", "size": len(PNG),
        "sha256": digest, "url": "", "uploadedAt": "",
    }  # fmt: skip
    answer = await app.client.get(made.data["url"], headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.content) == (200, PNG)
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-length"] == str(len(PNG))
    assert answer.headers["etag"] == f'"{digest}"'
    assert answer.headers["cache-control"] == "no-store"
    assert left(app) == []


async def test_it_is_whole_where_the_answer_renews_the_cookie(app: App) -> None:
    keys = await keys_of(app, "operator@acme.example")
    made = await upload(app, keys.token)
    app.clock.advance(61)
    answer = await app.client.get(made.data["url"], headers={"Cookie": f"session={keys.cookie}"})
    assert "set-cookie" in answer.headers
    assert (answer.status_code, answer.content) == (200, PNG)


@rule("UNREAD-ANSWERS")
async def test_no_part_is_read_for_a_reader_who_is_gone(app: App) -> None:
    token = await token_of(app)
    made = await upload(app, token, b"a" * 4_000_000, "text/plain")
    lines = [("Authorization", f"Bearer {token}")]
    scope = in_process.scope_of(app.public_url, ("192.0.2.1", 40000), "GET", made.data["url"], lines, None)
    is_gone, parts = asyncio.Event(), list[int]()

    async def receive() -> dict[str, Any]:
        await is_gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message.get("body"):
            parts.append(len(message["body"]))
            is_gone.set()

    await app.application(scope, receive, send)
    assert len(parts) == 1


async def test_no_browser_runs_or_shows_it_as_a_page(app: App) -> None:
    token = await token_of(app)
    made = await upload(app, token, b"<script>alert(1)</script>", "text/plain", 'a".html')
    headers = (await app.get(made.data["url"], token=token)).headers
    assert headers["content-disposition"] == "attachment; filename*=UTF-8''a%22.html"
    assert headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in headers["content-security-policy"]


async def test_head_tells_its_size_and_no_more(app: App) -> None:
    token = await token_of(app)
    made = await upload(app, token)
    answer = await app.client.head(made.data["url"], headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", str(len(PNG)))


@matrix("kind", FILE_KINDS)
async def test_every_kind_is_taken_when_it_is_one(app: App, kind: str) -> None:
    token = await token_of(app)
    assert (await upload(app, token, STARTS[kind], kind)).data["mediaType"] == kind
    false = await upload(app, token, b"\x00\x01MZ" + b"\x90" * 600, kind)
    check_refusal(false, 400, "VALIDATION_ERROR")
    assert false.json["error"]["details"][0]["field"] == "Content-Type"


@matrix("kind", ["text/html", "image/svg+xml", "application/octet-stream", "", "image/png2", "*/*"])
async def test_other_kinds_are_not(app: App, kind: str) -> None:
    check_refusal(await upload(app, await token_of(app), PNG, kind), 415, "UNSUPPORTED_MEDIA_TYPE")


@matrix(
    "query",
    ["", "?name=", f"?name={'x' * 201}", "?name=a%00", "?name=a%0Ab", "?name=gnp.%E2%80%AEexe", "?name=a&name=b"],
)
async def test_a_name_is_needed(app: App, query: str) -> None:
    headers = {"Content-Type": "image/png"}
    reply = await app.send("POST", PATH + query, token=await token_of(app), content=PNG, headers=headers)
    check_refusal(reply, 400, "VALIDATION_ERROR")


async def test_an_empty_file_is_none(app: App) -> None:
    check_refusal(await upload(app, await token_of(app), b""), 400, "VALIDATION_ERROR")


@matrix("name", [" ", "\u00a0\u2003"])
async def test_a_name_that_no_one_can_read_is_none(app: App, name: str) -> None:
    reply = await upload(app, await token_of(app), name=name)
    check_refusal(reply, 400, "VALIDATION_ERROR")
    assert reply.json["error"]["details"][0]["field"] == "name"


@matrix("data", [b"\xe4\xf6", b"a\xff", b"\xff"])
async def test_a_short_text_is_utf_8_to_its_end(app: App, data: bytes) -> None:
    check_refusal(await upload(app, await token_of(app), data, "text/plain", "a.txt"), 400, "VALIDATION_ERROR")


@matrix("before", [508, 509, 510, 511])
@matrix("letter", ["ö", "€", "\U0001f680"])
async def test_a_text_can_be_cut_where_it_is_looked_at(app: App, letter: str, before: int) -> None:
    data = b"a" * before + letter.encode()
    assert (await upload(app, await token_of(app), data, "text/plain", "a.txt")).status == 201


async def test_a_compressed_body_is_rejected_for_that(app: App) -> None:
    headers = {"Content-Type": "image/png", "Content-Encoding": "gzip"}
    reply = await app.send("POST", f"{PATH}?name=a", token=await token_of(app), content=PNG, headers=headers)
    check_refusal(reply, 415, "UNSUPPORTED_MEDIA_TYPE")
    assert "Content-Encoding" in reply.json["error"]["message"]


async def test_a_file_over_the_limit_is_rejected_and_leaves_nothing(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    narrow_files(monkeypatch, app, 2048)
    token = await token_of(app)
    assert (await upload(app, token, PNG[:2048])).status == 201
    check_refusal(await upload(app, token, PNG[:2049]), 413, "PAYLOAD_TOO_LARGE")

    async def parts() -> Any:
        for _ in range(64):
            yield PNG[:1024]

    headers = {"Authorization": f"Bearer {token}", "Content-Type": "image/png"}
    answer = await app.client.post(f"{PATH}?name=a.png", content=parts(), headers=headers)
    assert answer.status_code == 413
    assert left(app) == []


@matrix("role", list(Role))
async def test_who_can_upload_and_fetch(app: App, role: Role) -> None:
    token = await token_of(app, f"{SLUGS[role]}@acme.example")
    reply = await upload(app, token)
    if role in HOLDERS[Permission.JOBS_EXECUTE]:
        assert reply.status == 201
    else:
        check_refusal(reply, 403, "FORBIDDEN")
    made = await upload(app, await token_of(app))
    assert (await app.get(made.data["url"], token=token)).status == 200


async def test_a_file_of_another_client_is_not_found(app: App) -> None:
    made = await upload(app, await token_of(app))
    outsider = await token_of(app, "admin@globex.example")
    check_refusal(await app.get(made.data["url"], token=outsider), 404, "NOT_FOUND")
    for path in (f"{PATH}/999999", f"{PATH}/0", f"{PATH}/x", f"{PATH}/{2**63}"):
        check_refusal(await app.get(path, token=outsider), 404, "NOT_FOUND")
    check_refusal(await app.get(made.data["url"]), 401, "UNAUTHENTICATED")
    check_refusal(
        await app.send("POST", f"{PATH}?name=a", content=PNG, headers={"Content-Type": "image/png"}),
        401,
        "UNAUTHENTICATED",
    )


async def test_a_place_that_fails_is_said_to_be_busy(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    token = await token_of(app)
    made = await upload(app, token)

    files_are_gone(monkeypatch, app, "/srv/files: no space left")
    for reply in (await upload(app, token), await app.get(made.data["url"], token=token)):
        check_refusal(reply, 503, "OVERLOADED")
        assert "/srv" not in reply.text
        assert reply.headers["retry-after"]
    assert left(app) == []


async def test_a_full_disk_is_said_to_be_busy_and_is_left_as_it_was(app: App) -> None:
    token = await token_of(app)
    with room_for(8_000_000):
        reply = await upload(app, token, PNG + bytes(9_000_000))
    check_refusal(reply, 503, "OVERLOADED")
    assert reply.headers["retry-after"]
    assert left(app) == []
    assert (await upload(app, token)).status == 201


async def test_a_file_that_no_one_recorded_goes_after_a_day(app: App) -> None:
    token = await token_of(app)
    made = await upload(app, token)
    for seconds in (0, 86_400 - 1):
        app.clock.advance(seconds)
        await sweep_files(app)
        assert (await app.get(made.data["url"], token=token)).status == 200
    app.clock.advance(2)
    await sweep_files(app)
    token = await token_of(app)
    check_refusal(await app.get(made.data["url"], token=token), 404, "NOT_FOUND")
    assert files_on_disk(app) == []


async def test_a_file_that_a_job_recorded_stays(app: App) -> None:
    team = await new_team(app)
    job = await job_at(team, "IN_PROGRESS")
    made = await upload(app, (await team.member("Operator")).token)
    await team.ask("Operator", RECORDS, id=job["id"], step=1, input={"fileId": made.data["id"]})
    for days in (2, 28):
        app.clock.advance(days * 86_400)
        await sweep_files(app)
        team.members.clear()
        token = (await team.member("Viewer")).token
        assert (await app.get(made.data["url"], token=token)).status == 200


async def test_a_file_that_a_job_records_while_it_is_swept_stays(app: App) -> None:
    team = await new_team(app)
    job = await job_at(team, "IN_PROGRESS")
    made = await upload(app, (await team.member("Operator")).token)
    app.clock.advance(86_400 + 1)
    team.members.clear()

    async def record() -> None:
        await team.ask("Operator", RECORDS, id=job["id"], step=1, input={"fileId": made.data["id"]})

    await sweep_files_while(app, record)
    assert (await app.get(made.data["url"], token=(await team.member("Viewer")).token)).status == 200


async def test_what_a_killed_process_left_of_an_upload_goes_after_a_day(app: App) -> None:
    token = await token_of(app)
    made = await upload(app, token)
    data = data_folder(app)
    left_over = [data / "uploads" / "tmpabc", data / "files" / "half" / ("ab" * 20)]
    now = app.clock.ms / 1000
    for path in left_over:
        path.write_bytes(PNG)
        os.utime(path, (now, now))
    await sweep_broken_uploads(app)
    assert all(path.exists() for path in left_over)
    app.clock.advance(86_400 + 60)
    await sweep_broken_uploads(app)
    assert not any(path.exists() for path in left_over)
    token = await token_of(app)
    assert (await app.get(made.data["url"], token=token)).status == 200
