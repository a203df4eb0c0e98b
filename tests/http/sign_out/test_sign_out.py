"""Sign-out, a user's own sessions, and `me`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from functools import partial
from typing import Any

import pytest

from tests.support.accounts import keys_of, new_user, opened_by, trail
from tests.support.application import PASSWORD, App, Reply, running
from tests.support.background_jobs import soon
from tests.support.forged_tokens import claims_of
from tests.support.matrix import matrix
from tests.support.rules import rule

SIGN_OUT = "/api/client/auth/sign-out"
SIGN_OUT_ALL = "/api/client/auth/sign-out-all"
SESSIONS = "/api/client/auth/sessions"
ALL_THREE = ["token", "cookie", "refresh token"]
pytestmark = pytest.mark.usefixtures("another_day")


@pytest.fixture
async def email(app: App) -> str:
    return (await new_user(app, password=PASSWORD))[1]


@pytest.fixture
async def other_node(app: App, database_url: str) -> AsyncIterator[App]:
    async with running(database_url) as node:
        node.clock.ms = app.clock.ms
        yield node


def cleared(reply: Reply) -> bool:
    """Whether the response deletes the cookie, with the name, path, and flags that it was set with."""
    return reply.headers.get_list("set-cookie") == ["session=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax"]


@rule("SIGN-OUT", "COOKIE-CLEARED")
@matrix("by", ["token", "cookie"])
async def test_sign_out_ends_all_three_keys_at_once(app: App, email: str, by: str) -> None:
    keys = await keys_of(app, email)
    child = (await app.refresh(keys.refresh_token)).data
    shown: dict[str, Any] = {"token": keys.token} if by == "token" else {"cookie": keys.cookie}
    reply = await app.post(SIGN_OUT, **shown)
    assert (reply.status, reply.data) == (200, {})
    assert cleared(reply)
    assert await opened_by(app, keys) == []
    for token in (keys.token, child["token"]):
        assert (await app.me(token)).code == "INVALID_TOKEN"
        assert (await app.graphql("{ me { id } }", token)).status == 401
    assert (await app.refresh(child["refreshToken"])).code == "INVALID_TOKEN"
    assert (await app.me(cookie=keys.cookie)).code == "INVALID_TOKEN"


@rule("SIGN-OUT")
async def test_sign_out_is_felt_on_another_node(app: App, other_node: App, email: str) -> None:
    keys = await keys_of(app, email)
    assert await opened_by(other_node, keys) == ALL_THREE
    assert (await app.post(SIGN_OUT, token=keys.token)).status == 200
    await soon(partial(opened_by, other_node, keys), [])


async def test_a_second_sign_out_is_invalid(app: App, email: str) -> None:
    keys = await keys_of(app, email)
    await app.post(SIGN_OUT, token=keys.token)
    assert (await app.post(SIGN_OUT, token=keys.token)).code == "INVALID_TOKEN"
    assert (await app.post(SIGN_OUT, cookie=keys.cookie)).code == "INVALID_TOKEN"
    assert (await app.post(SIGN_OUT)).code == "UNAUTHENTICATED"


@rule("COMMIT-KEPT")
async def test_every_sign_out_that_succeeds_is_recorded(app: App, email: str) -> None:
    """A sign-out that finds the session already ended depends on data that might not be on a standby yet, unless it
    writes too."""
    before = [event.event for event in await trail(app, "acme")].count("signed_out")
    keys = await keys_of(app, email)
    assert (await app.me(keys.token)).status == 200
    replies = await asyncio.gather(*[app.post(SIGN_OUT, token=keys.token) for _ in range(10)])
    assert {reply.status for reply in replies} <= {200, 401}
    events = [event.event for event in await trail(app, "acme")].count("signed_out") - before
    assert events == [reply.status for reply in replies].count(200)


async def test_sign_out_leaves_other_sessions_and_people_alone(app: App, email: str) -> None:
    keys, mine, theirs = await keys_of(app, email), await keys_of(app, email), await keys_of(app)
    await app.post(SIGN_OUT, token=keys.token)
    assert await opened_by(app, mine) == ALL_THREE
    assert await opened_by(app, theirs) == ALL_THREE


async def test_sign_out_needs_no_body_and_ignores_one(app: App, email: str) -> None:
    for content in (b"", b"{}", b"[]", b"not json"):
        keys = await keys_of(app, email)
        assert (await app.send("POST", SIGN_OUT, token=keys.token, content=content)).status == 200


@rule("GET-CHANGES-NOTHING")
async def test_getting_changes_nothing(app: App, email: str) -> None:
    keys = await keys_of(app, email)
    for method in ("GET", "HEAD", "PUT"):
        reply = await app.send(method, SIGN_OUT, token=keys.token)
        assert reply.status == 405
        assert reply.headers["allow"] == "POST"
    disguised = {"X-HTTP-Method-Override": "DELETE"}
    assert (await app.get(SESSIONS, token=keys.token, headers=disguised)).status == 200
    assert await opened_by(app, keys) == ALL_THREE


async def test_an_expired_token_cannot_sign_out(app: App, email: str) -> None:
    keys = await keys_of(app, email)
    app.clock.advance(86_400)
    assert (await app.post(SIGN_OUT, token=keys.token)).code == "TOKEN_EXPIRED"


async def test_sign_out_all_ends_every_session_of_the_caller_only(app: App, email: str) -> None:
    mine, theirs = [await keys_of(app, email) for _ in range(3)], await keys_of(app)
    reply = await app.post(SIGN_OUT_ALL, token=mine[1].token)
    assert reply.data == {"ended": 3}
    assert cleared(reply)
    for keys in mine:
        assert await opened_by(app, keys) == []
    assert await opened_by(app, theirs) == ALL_THREE


@rule("AUDIT-TRAIL")
async def test_ends_are_in_the_audit_trail(app: App) -> None:
    user_id, email = await new_user(app, password=PASSWORD)
    one, two, three = [await keys_of(app, email) for _ in range(3)]
    await app.post(SIGN_OUT, token=one.token)
    await app.send("DELETE", f"{SESSIONS}/{claims_of(two.token)['sid']}", token=three.token)
    await app.post(SIGN_OUT_ALL, token=three.token)
    events = [e for e in await trail(app, "acme") if e.actor == f"user:{user_id}"]
    assert [e.event for e in events] == ["signed_out", "session_ended", "signed_out_all"]
    assert events[0].members == {"session": claims_of(one.token)["sid"]}
    assert events[1].members == {"session": claims_of(two.token)["sid"]}
    assert events[2].members == {"sessions": 1}


@rule("SESSION-OWN-LIST")
async def test_the_list_shows_ones_open_sessions_newest_first(app: App, email: str) -> None:
    ended, first = await keys_of(app, email), await keys_of(app, email, headers={"User-Agent": "Lantern/1.0"})
    await app.post(SIGN_OUT, token=ended.token)
    app.clock.advance(60)
    second = await keys_of(app, email)
    items = (await app.get(SESSIONS, token=first.token)).data["items"]
    assert [i["id"] for i in items] == [claims_of(k.token)["sid"] for k in (second, first)]
    assert [i["current"] for i in items] == [False, True]
    assert items[1]["userAgent"] == "Lantern/1.0"
    assert {i["address"] for i in items} == {"192.0.2.1"}
    assert {i["method"] for i in items} == {"password"}
    assert items[0]["createdAt"] > items[1]["createdAt"]
    assert set(items[0]) == {
        "id", "method", "createdAt", "endsAt", "lastUsedAt", "address", "userAgent", "current", "amr",
        "authenticatedAt", "appId", "label",
    }  # fmt: skip


async def test_the_list_holds_no_secret(app: App, email: str) -> None:
    keys = await keys_of(app, email)
    text = (await app.get(SESSIONS, token=keys.token)).text
    assert not any(secret in text for secret in (keys.token, keys.refresh_token, keys.cookie))


@rule("SESSION-OWN-LIST")
async def test_one_of_ones_sessions_can_be_ended(app: App, email: str) -> None:
    one, other = await keys_of(app, email), await keys_of(app, email)
    path = f"{SESSIONS}/{claims_of(other.token)['sid']}"
    assert (await app.send("DELETE", path, token=one.token)).data == {}
    assert await opened_by(app, other) == []
    assert await opened_by(app, one) == ALL_THREE
    assert (await app.send("DELETE", path, token=one.token)).code == "NOT_FOUND"


async def test_the_sessions_of_others_do_not_exist(app: App, email: str) -> None:
    mine = await keys_of(app, email)
    colleague = await keys_of(app, "admin@acme.example")
    outsider = await keys_of(app, "admin@globex.example", client="globex")
    answers = []
    for session in (claims_of(colleague.token)["sid"], claims_of(outsider.token)["sid"], "A" * 22, "x", "0"):
        reply = await app.send("DELETE", f"{SESSIONS}/{session}", token=mine.token)
        error = {k: v for k, v in reply.json["error"].items() if k != "requestId"}
        answers.append((reply.status, error))
    assert answers == [(404, {"message": "Not found", "code": "NOT_FOUND"})] * 5
    assert await opened_by(app, colleague) == ALL_THREE
    assert await opened_by(app, outsider) == ALL_THREE


@matrix("by", ["token", "cookie"])
async def test_sign_out_others_leaves_this_session_alone(app: App, email: str, by: str) -> None:
    keys, other, third = [await keys_of(app, email) for _ in range(3)]
    someone = await keys_of(app)
    shown: dict[str, Any] = {"token": keys.token} if by == "token" else {"cookie": keys.cookie}
    reply = await app.post("/api/client/auth/sign-out-others", **shown)
    assert (reply.status, reply.data) == (200, {"ended": 2})
    assert "set-cookie" not in reply.headers
    assert await opened_by(app, keys) == await opened_by(app, someone) == ALL_THREE
    assert await opened_by(app, other) == await opened_by(app, third) == []
    event = [event for event in await trail(app, "acme") if event.event == "signed_out_all"][-1]
    assert event.actor == event.subject
    assert (await app.post("/api/client/auth/sign-out-others", **shown)).data == {"ended": 0}


async def test_me_says_who_where_what_and_how(app: App) -> None:
    signed_in_at = app.clock.ms
    keys = await keys_of(app, "user-admin@acme.example")
    app.clock.advance(3600)
    me = (await app.me(keys.token)).data
    assert me["user"] == {
        "id": app.ids["user-admin@acme.example"],
        "email": "user-admin@acme.example",
        "firstName": "User-Admin",
        "lastName": "Tester",
        "title": "User Admin",
        "language": None,
        "roles": ["User Admin"],
        "clientId": "acme",
    }
    assert me["client"] == {"id": app.ids["acme"], "identifier": "acme", "name": "Acme"}
    assert me["roles"] == ["User Admin"]
    assert sorted(me["permissions"]) == [
        "audit:read", "jobs:read", "settings:manage", "templates:read", "users:manage", "users:read",
    ]  # fmt: skip
    assert set(me["session"]) == {"id", "method", "signedInAt", "by", "amr", "authenticatedAt"}
    assert (me["session"]["id"], me["session"]["method"]) == (claims_of(keys.token)["sid"], "password")
    assert me["session"]["by"] == "token"
    assert datetime.fromisoformat(me["session"]["signedInAt"]).timestamp() * 1000 == signed_in_at
    by_cookie = (await app.me(cookie=keys.cookie)).data
    assert by_cookie["session"] == {**me["session"], "by": "cookie"}
    assert by_cookie["user"] == me["user"]


@matrix(
    ("role", "extra"),
    [
        ("admin", {"audit:read", "settings:manage", "users:manage", "templates:edit", "templates:approve",
                   "templates:publish", "jobs:execute"}),
        ("author", {"templates:edit"}),
        ("approver", {"templates:approve"}),
        ("publisher", {"templates:publish"}),
        ("operator", {"jobs:execute"}),
        ("viewer", set()),
    ],
)  # fmt: skip
async def test_me_lists_the_permissions_of_each_role(app: App, role: str, extra: set[str]) -> None:
    me = (await app.me((await keys_of(app, f"{role}@acme.example", client="acme")).token)).data
    assert set(me["permissions"]) == {"users:read", "templates:read", "jobs:read"} | extra


async def test_me_adds_up_the_permissions_of_several_roles(app: App) -> None:
    _, email = await new_user(app, password=PASSWORD, roles=["Operator", "Author"])
    me = (await app.me((await keys_of(app, email)).token)).data
    assert set(me["roles"]) == {"Author", "Operator"}
    assert {"templates:edit", "jobs:execute"} < set(me["permissions"])


async def test_ending_the_session_that_asks_removes_its_cookie(app: App) -> None:
    signed_in = await app.sign_in()
    cookie = signed_in.cookie("session")
    own = (await app.me(cookie=cookie)).data["session"]["id"]
    reply = await app.send("DELETE", f"/api/client/auth/sessions/{own}", cookie=cookie)
    assert reply.data == {}
    assert reply.cookie("session") == ""
    assert (await app.me(cookie=cookie)).code == "INVALID_TOKEN"
