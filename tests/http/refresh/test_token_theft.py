"""Parallel use of a refresh token isn't theft, reuse is detected, and the end of a session ends its tokens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.support.accounts import Keys, child_of, keys_of, new_user, opened_by, trail
from tests.support.application import PASSWORD, App, running
from tests.support.forged_tokens import chain_of, claims_of, opened
from tests.support.rules import rule

DAY = 86_400
pytestmark = pytest.mark.usefixtures("another_day")


async def test_fifty_parallel_refreshes_of_one_token_are_all_answered(app: App) -> None:
    keys = await keys_of(app)
    replies = await asyncio.gather(*(app.refresh(keys.refresh_token) for _ in range(50)))
    assert [r.status for r in replies] == [200] * 50
    children = [r.data["refreshToken"] for r in replies]
    assert len(set(children)) == 50
    for reply in replies:
        assert (await app.me(reply.data["token"])).status == 200


@rule("DEVIATION-REFRESH-REUSE")
async def test_of_fifty_children_shown_at_the_same_time_exactly_one_commits(app: App) -> None:
    keys = await keys_of(app)
    first = opened(app, keys.refresh_token)
    children = [await child_of(app, keys.refresh_token) for _ in range(50)]
    replies = await asyncio.gather(*(app.refresh(child) for child in children))
    assert [r.status for r in replies] == [200] * 50
    current, previous = await chain_of(app, first.session)
    names = [opened(app, child).own for child in children]
    assert current in names
    assert previous == first.own
    # Every response continues the same chain, with the winner or its child.
    for reply in replies:
        answer = opened(app, reply.data["refreshToken"])
        assert current in (answer.own, answer.parent)
        assert (await app.me(reply.data["token"])).status == 200
    app.clock.advance(11)
    losers = [c for c, name in zip(children, names, strict=True) if name != current]
    assert len(losers) == 49
    assert (await app.refresh(losers[0])).code == "INVALID_TOKEN"


async def test_parallel_refreshes_on_two_nodes_commit_one_child(app: App, database_url: str) -> None:
    async with running(database_url) as other:
        other.clock.ms = app.clock.ms
        keys = await keys_of(app)
        children = [await child_of(app, keys.refresh_token) for _ in range(20)]
        nodes = [app, other] * 10
        replies = await asyncio.gather(*(n.refresh(c) for n, c in zip(nodes, children, strict=True)))
        assert [r.status for r in replies] == [200] * 20
        answers = [opened(app, r.data["refreshToken"]) for r in replies]
        current, _ = await chain_of(app, answers[0].session)
        assert all(current in (a.own, a.parent) for a in answers)


async def found_out(app: App, keys: Keys, *tokens: str) -> None:
    """Check that the whole session has ended, for every token ever issued, and that this is recorded."""
    assert await opened_by(app, keys) == []
    for token in tokens:
        assert (await app.refresh(token)).code == "INVALID_TOKEN"
    session = claims_of(keys.token)["sid"]
    events = [e for e in await trail(app, "acme") if e.members.get("session") == session]
    assert [e.event for e in events] == ["signed_in", "refresh_token_reused"]
    assert not any(token in repr(events) for token in (*tokens, keys.refresh_token))


@rule("DEVIATION-REFRESH-REUSE")
async def test_a_thief_and_an_owner_who_alternate_are_found_out(app: App) -> None:
    keys = await keys_of(app)
    thief = owner = keys.refresh_token
    dead = ""
    for _ in range(3):
        app.clock.advance(3600)
        reply = await app.refresh(thief)
        if reply.status != 200:
            dead = "thief"
            break
        thief = reply.data["refreshToken"]
        app.clock.advance(3600)
        reply = await app.refresh(owner)
        if reply.status != 200:
            dead = "owner"
            break
        owner = reply.data["refreshToken"]
    assert dead
    await found_out(app, keys, thief, owner)


async def test_a_thief_who_goes_first_is_found_out_when_the_owner_comes(app: App) -> None:
    keys = await keys_of(app)
    thief = await child_of(app, await child_of(app, keys.refresh_token))
    app.clock.advance(3600)
    assert (await app.refresh(keys.refresh_token)).code == "INVALID_TOKEN"
    await found_out(app, keys, thief)


async def test_a_thief_who_comes_late_is_found_out(app: App) -> None:
    keys = await keys_of(app)
    stolen = await child_of(app, keys.refresh_token)
    owner = await child_of(app, await child_of(app, stolen))
    app.clock.advance(3600)
    assert (await app.refresh(stolen)).code == "INVALID_TOKEN"
    await found_out(app, keys, owner)


async def test_a_theft_ends_one_session_only(app: App) -> None:
    other, keys = await keys_of(app), await keys_of(app)
    await child_of(app, await child_of(app, keys.refresh_token))
    app.clock.advance(11)
    assert (await app.refresh(keys.refresh_token)).status == 401
    assert await opened_by(app, other) == ["token", "cookie", "refresh token"]


async def test_a_token_that_waited_beyond_its_time_is_expired_and_no_theft(app: App, database_url: str) -> None:
    longer = {"MANIFEST_SESSION_MAX_TTL": str(60 * DAY), "MANIFEST_SESSION_IDLE_TTL": str(50 * DAY)}
    async with running(database_url, **longer) as node:
        node.clock.ms = app.clock.ms
        keys = await keys_of(node)
        second = await child_of(node, keys.refresh_token)
        node.clock.advance(20 * DAY)
        third = await child_of(node, second)
        node.clock.advance(10 * DAY)
        assert (await node.refresh(keys.refresh_token)).code == "TOKEN_EXPIRED"
        assert (await node.refresh(third)).status == 200


@pytest.fixture
async def short(app: App, database_url: str) -> AsyncIterator[App]:
    """A node with sessions that end after three days in any case."""
    ttl = {"MANIFEST_SESSION_MAX_TTL": str(3 * DAY), "MANIFEST_REFRESH_TOKEN_TTL": str(2 * DAY)}
    async with running(database_url, **ttl) as node:
        node.clock.ms = app.clock.ms
        yield node


@rule("REFRESH-ABSOLUTE-END")
async def test_rotation_does_not_move_the_absolute_end(short: App) -> None:
    keys = await keys_of(short)
    token = keys.refresh_token
    for _ in range(5):
        short.clock.advance(DAY / 2)
        pair = (await short.refresh(token)).data
        token = pair["refreshToken"]
    assert pair["expiresIn"] == DAY // 2  # no token outlives the session
    short.clock.advance(DAY / 2)
    assert (await short.refresh(token)).status == 401
    assert (await short.me(pair["token"])).status == 401
    assert (await short.me(cookie=keys.cookie)).status == 401


@rule("REFRESH-ABSOLUTE-END")
async def test_the_use_of_the_cookie_does_not_move_the_absolute_end(short: App) -> None:
    keys = await keys_of(short)
    for _ in range(5):
        short.clock.advance(DAY / 2)
        assert (await short.me(cookie=keys.cookie)).status == 200
    short.clock.advance(DAY / 2)
    assert (await short.me(cookie=keys.cookie)).code == "TOKEN_EXPIRED"


@rule("REFRESH-RACES")
@pytest.mark.parametrize("committed", [False, True])
async def test_a_refresh_that_races_a_sign_out_yields_nothing_usable(app: App, committed: bool) -> None:
    for _ in range(5):
        keys = await keys_of(app)
        shown = await child_of(app, keys.refresh_token) if committed else keys.refresh_token
        racing = [app.refresh(shown) for _ in range(4)]
        *replies, _ = await asyncio.gather(
            *racing[:2], app.post("/api/client/auth/sign-out", token=keys.token), *racing[2:]
        )
        for reply in replies:
            if reply.status == 200 and "refreshToken" in reply.json:
                assert (await app.me(reply.json["token"])).code == "INVALID_TOKEN"
                assert (await app.refresh(reply.json["refreshToken"])).code == "INVALID_TOKEN"
        assert await opened_by(app, keys) == []


@rule("REFRESH-RACES")
async def test_a_refresh_that_races_a_deactivation_yields_nothing_usable(app: App) -> None:
    user_id, email = await new_user(app, password=PASSWORD)
    keys, admin = await keys_of(app, email), await app.admin_token()
    off = app.post(f"/api/admin/clients/acme/users/{user_id}/deactivate", token=admin)
    first, done, *more = await asyncio.gather(
        app.refresh(keys.refresh_token), off, *(app.refresh(keys.refresh_token) for _ in range(4))
    )
    assert done.status == 200
    for reply in (first, *more):
        if reply.status == 200:
            assert (await app.me(reply.json["token"])).code == "INVALID_TOKEN"
            assert (await app.refresh(reply.json["refreshToken"])).code == "INVALID_TOKEN"
    assert await opened_by(app, keys) == []


async def test_an_admins_refresh_token_follows_the_same_rule(app: App) -> None:
    async def refresh(token: str) -> dict[str, str]:
        reply = await app.post("/api/admin/auth/refresh", {"refreshToken": token})
        return {"code": reply.json.get("error", {}).get("code", ""), **reply.json.get("data", {})}

    body = {"username": "root", "password": PASSWORD}
    first = (await app.post("/api/admin/auth/sign-in", body)).data
    one = (await refresh(first["refreshToken"]))["refreshToken"]
    two = (await refresh(first["refreshToken"]))["refreshToken"]
    await refresh(one)
    app.clock.advance(10)
    assert (await refresh(two))["code"] == ""
    app.clock.advance(1)
    assert (await refresh(two))["code"] == "INVALID_TOKEN"
    assert (await refresh(one))["code"] == "INVALID_TOKEN"
    assert (await app.get("/api/admin/auth/me", token=first["token"])).code == "INVALID_TOKEN"
