"""The life of an API key: created, rotated, used, and ended, on every node."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import pytest

from tests.support.accounts import act_on, new_client, trail
from tests.support.application import App, running
from tests.support.background_jobs import soon
from tests.support.envelope import check_refusal, check_success
from tests.support.machines import Machine, machine, new_key
from tests.support.matrix import matrix
from tests.support.rules import rule
from tests.support.statements import counted_statements, look_ups

pytestmark = pytest.mark.still

#: Listed here on purpose, and not read from the code.
CLOSED = re.compile(r"/api/client/(auth/|service-accounts|scim|providers|domains|directories|webhooks)")
DAY = 86_400


@rule("MACHINE-REVOCATION")
async def test_a_key_ends_by_its_time_its_revocation_its_account_and_its_client(app: App) -> None:
    client, token = await new_client(app), await app.admin_token()
    it = await machine(app, client)
    week = await new_key(app, client, it.id, expiresInDays=7)
    app.clock.advance(7 * DAY - 1)
    assert (await app.me(week.text)).status == 200
    app.clock.advance(1)
    check_refusal(await app.me(week.text), 401, "TOKEN_EXPIRED")
    token = await app.admin_token()
    shown = (await app.get(it.base, token=token)).data
    assert [key["id"] for key in shown["keys"]] == [it.key.id]
    assert (await app.get(it.base.rpartition("/")[0], token=token)).data["items"] == [shown]
    other = await new_key(app, client, it.id)
    check_success(await app.send("DELETE", f"{it.base}/keys/{other.id}", token=token))
    check_refusal(await app.me(other.text), 401, "INVALID_TOKEN")
    check_refusal(await app.send("DELETE", f"{it.base}/keys/{other.id}", token=token), 404, "NOT_FOUND")
    await act_on(app, f"{client}/suspend")
    check_refusal(await app.me(it.key.text), 401, "INVALID_TOKEN")
    await act_on(app, f"{client}/restore")
    assert (await app.me(it.key.text)).status == 200
    check_success(await app.send("DELETE", it.base, token=token))
    check_refusal(await app.me(it.key.text), 401, "INVALID_TOKEN")


async def test_rotation_gives_a_new_one_and_ends_the_old_one_later(app: App) -> None:
    client, token = await new_client(app), await app.admin_token()
    it = await machine(app, client)
    new = check_success(await app.post(f"{it.base}/keys/{it.key.id}/rotate", {"overlapHours": 2}, token=token), 201)
    assert (await app.me(new["key"])).status == (await app.me(it.key.text)).status == 200
    keys = {key["id"]: key for key in (await app.get(it.base, token=token)).data["keys"]}
    assert keys[it.key.id]["rotatedTo"] == new["id"]
    assert keys[new["id"]]["hint"] == new["key"][-4:]
    app.clock.advance(2 * 3600)
    check_refusal(await app.me(it.key.text), 401, "TOKEN_EXPIRED")
    assert (await app.me(new["key"])).status == 200
    token = await app.admin_token()
    newest = check_success(await app.post(f"{it.base}/keys/{new['id']}/rotate", {"overlapHours": 0}, token=token), 201)
    check_refusal(await app.me(new["key"]), 401, "INVALID_TOKEN")
    assert (await app.me(newest["key"])).status == 200
    day = await new_key(app, client, it.id, expiresInDays=1)
    app.clock.advance(DAY - 3600)
    check_success(
        await app.post(f"{it.base}/keys/{day.id}/rotate", {"overlapHours": 168}, token=await app.admin_token()), 201
    )
    app.clock.advance(3600)  # an overlap never extends the old key's lifetime
    check_refusal(await app.me(day.text), 401, "TOKEN_EXPIRED")


@rule("MACHINE-SECRETS")
@matrix(("kind", "most"), [("keys", 10), ("secrets", 2)])
async def test_the_number_of_live_keys_is_limited(app: App, kind: str, most: int) -> None:
    client, token = await new_client(app), await app.admin_token()
    it = await machine(app, client)
    check_success(await app.send("DELETE", f"{it.base}/keys/{it.key.id}", token=token))
    path = f"{it.base}/{kind}"
    made = [check_success(await app.post(path, {"expiresInDays": 1}, token=token), 201) for _ in range(most)]
    listed = {one["id"]: one["expiresAt"] for one in (await app.get(it.base, token=token)).data[kind]}
    assert {one["id"]: one["expiresAt"] for one in made} == listed
    check_refusal(await app.post(path, {}, token=token), 409, "CONFLICT")
    check_refusal(await app.post(f"{path}/{made[0]['id']}/rotate", {}, token=token), 409, "CONFLICT")
    check_success(await app.post(f"{path}/{made[0]['id']}/rotate", {"overlapHours": 0}, token=token), 201)
    app.clock.advance(DAY)
    check_success(await app.post(path, {}, token=await app.admin_token()), 201)


@rule("MACHINE-SECRETS")
@matrix(
    ("body", "field"),
    [({"expiresInDays": 0}, "expiresInDays"), ({"expiresInDays": 367}, "expiresInDays"),
     ({"expiresInDays": None}, "expiresInDays"), ({"label": "a\nb"}, "label"), ({"key": "mine"}, "key")],
)  # fmt: skip
async def test_every_key_expires(app: App, body: dict[str, Any], field: str) -> None:
    it = await machine(app, await new_client(app))
    error = check_refusal(await app.post(f"{it.base}/keys", body, token=await app.admin_token()),
                          400, "VALIDATION_ERROR")  # fmt: skip
    assert [one["field"] for one in error["details"]] == [field]
    late = await app.post(f"{it.base}/keys/{it.key.id}/rotate", {"overlapHours": 169}, token=await app.admin_token())
    check_refusal(late, 400, "VALIDATION_ERROR")


async def test_the_last_use_is_stored_once_a_minute(app: App) -> None:
    client = await new_client(app)
    it = await machine(app, client)
    at = []
    for seconds in (0, 30, 29, 1, 59):
        app.clock.advance(seconds)
        assert (await app.me(it.key.text)).status == 200
        [key] = (await app.get(it.base, token=await app.admin_token())).data["keys"]
        at.append(key["lastUsedAt"])
    assert len(set(at)) == 2
    assert at[0] == at[1] == at[2] != at[3] == at[4]
    assert key["lastAddress"] == "192.0.2.1"


async def test_its_use_is_in_the_audit_trail_once_an_hour_with_how_many_were_left_out(app: App) -> None:
    client = await new_client(app)
    it = await machine(app, client)
    for _ in range(61):
        assert (await app.me(it.key.text)).status == 200
        app.clock.advance(60)
    found = [one for one in await trail(app, client) if one.event == "service_signed_in"]
    assert [(one.actor, one.subject) for one in found] == [(it.actor, it.actor)] * 2
    assert [one.members.get("kept_back") for one in found] == [None, 59]


async def test_reads_between_two_commits_use_the_cache(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    it = await machine(app, await new_client(app))
    assert (await app.me(it.key.text)).status == 200
    assert (await app.me(it.key.text)).status == 200
    seen = look_ups(monkeypatch, app)
    with counted_statements() as counted:
        for _ in range(20):
            assert (await app.me(it.key.text)).status == 200
    assert (seen, counted) == ([], [])


@rule("MACHINE-REVOCATION")
async def test_another_node_rejects_an_ended_key(app: App, database_url: str) -> None:
    client, token = await new_client(app), await app.admin_token()
    async with running(database_url) as other:
        other.goes_by_the_clock_of(app)
        for end in ("revoke", "disable", "delete", "rotate"):
            it = await machine(app, client)
            assert (await other.me(it.key.text)).status == (await other.me(it.key.text)).status == 200
            method, path, body = {
                "revoke": ("DELETE", f"{it.base}/keys/{it.key.id}", None),
                "disable": ("POST", f"{it.base}/disable", None),
                "delete": ("DELETE", it.base, None),
                "rotate": ("POST", f"{it.base}/keys/{it.key.id}/rotate", {"overlapHours": 0}),
            }[end]
            assert (await app.send(method, path, body, token=token)).status in (200, 201)
            assert (await app.me(it.key.text)).code == "INVALID_TOKEN"
            await soon(partial(_status, other, it), 401)


async def _status(node: App, it: Machine) -> int:
    return (await node.me(it.key.text)).status
