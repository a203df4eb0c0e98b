"""The session cookie's attributes and lifetime; the server never adopts a value that the browser sends."""

from __future__ import annotations

import pytest

from tests.support.accounts import Keys, keys_of, opened_by
from tests.support.application import PASSWORD, App, Reply, running
from tests.support.forged_tokens import claims_of, unb64
from tests.support.matrix import matrix
from tests.support.rules import rule

DAY = 86_400
WEEK = 7 * DAY
SESSIONS = "/api/client/auth/sessions"
pytestmark = [pytest.mark.usefixtures("another_day"), pytest.mark.one_store]


def lines(reply: Reply, name: str = "session") -> list[tuple[str, set[str]]]:
    """Value and attributes of each ``Set-Cookie`` header with this name."""
    found = []
    for line in reply.headers.get_list("set-cookie"):
        pair, *attributes = line.split("; ")
        if pair.startswith(name + "="):
            found.append((pair.partition("=")[2], set(attributes)))
    return found


async def last_used(app: App, keys: Keys) -> str:
    items = (await app.get(SESSIONS, token=keys.token)).data["items"]
    session = claims_of(keys.token)["sid"]
    return str(next(i["lastUsedAt"] for i in items if i["id"] == session))


@rule("DEVIATION-COOKIE-NAME", "COOKIE-FLAGS")
async def test_a_sign_in_sets_the_cookie_with_these_attributes(app: App) -> None:
    [(value, attributes)] = lines(await app.sign_in())
    assert attributes == {f"Max-Age={WEEK}", "Path=/", "HttpOnly", "SameSite=Lax"}
    assert len(unb64(value)) >= 16
    assert len(value) < 256


@rule("DEVIATION-COOKIE-NAME", "THROTTLE-OWNER", "COOKIE-FLAGS")
async def test_on_https_it_is_secure(secure: App) -> None:
    reply = await secure.sign_in()
    for name in ("session", "__Host-device"):
        [(_, attributes)] = lines(reply, name)
        assert {"Secure", "HttpOnly", "SameSite=Lax"} < attributes
        assert not any(a.startswith("Domain") for a in attributes)
    assert "strict-transport-security" in reply.headers


@rule("DEVIATION-TOKENS-IN-BODY")
async def test_its_value_is_not_in_any_body_or_token(app: App) -> None:
    reply = await app.sign_in()
    cookie, token = reply.cookie("session"), reply.data["token"]
    texts = [reply.text, token, reply.data["refreshToken"], unb64(token.split(".")[1]).decode()]
    texts += [(await app.get(path, cookie=cookie)).text for path in ("/api/client/auth/me", SESSIONS)]
    assert not any(cookie in text for text in texts)
    assert (await app.me(cookie)).code == "INVALID_TOKEN"
    assert (await app.me(cookie=token)).code == "INVALID_TOKEN"
    assert (await app.me(cookie=reply.data["refreshToken"])).code == "INVALID_TOKEN"
    assert (await app.refresh(cookie)).code == "INVALID_TOKEN"


async def test_it_opens_what_the_token_opens(app: App) -> None:
    keys = await keys_of(app)
    assert (await app.me(cookie=keys.cookie)).data["session"]["by"] == "cookie"
    reply = await app.graphql("{ me { id email } }", cookie=keys.cookie)
    assert reply.json["data"]["me"]["email"] == "author@acme.example"
    assert (await app.me(cookie=keys.cookie, headers={"X-Client-ID": "acme"})).status == 200
    assert (await app.me(cookie=keys.cookie, headers={"X-Client-ID": "globex"})).code == "FORBIDDEN"


@rule("SESSION-END")
async def test_seven_days_without_use_end_it(app: App) -> None:
    keys = await keys_of(app)
    app.clock.advance(WEEK - 1)
    assert (await app.me(cookie=keys.cookie)).status == 200
    app.clock.advance(WEEK)
    reply = await app.me(cookie=keys.cookie)
    assert (reply.status, reply.code) == (401, "TOKEN_EXPIRED")
    assert (await app.me(cookie=keys.cookie)).code == "TOKEN_EXPIRED"  # another request doesn't revive it
    assert (await app.refresh(keys.refresh_token)).status == 200  # the other tokens have separate lifetimes


@rule("SESSION-END")
async def test_each_use_starts_the_seven_days_again_until_the_session_ends(app: App) -> None:
    keys = await keys_of(app)
    for _ in range(4):
        app.clock.advance(WEEK - 1)
        assert (await app.me(cookie=keys.cookie)).status == 200
    app.clock.advance(2 * DAY + 4)
    assert (await app.me(cookie=keys.cookie)).code == "TOKEN_EXPIRED"  # 30 days


async def test_the_response_renews_the_cookie(app: App) -> None:
    """Otherwise, a browser would delete the cookie seven days after the sign-in, no matter how often it was used."""
    keys = await keys_of(app)
    assert lines(await app.me(cookie=keys.cookie)) == []  # not with every response
    app.clock.advance(6 * DAY)
    [(value, attributes)] = lines(await app.me(cookie=keys.cookie))
    assert value == keys.cookie
    assert attributes == {f"Max-Age={WEEK}", "Path=/", "HttpOnly", "SameSite=Lax"}
    assert lines(await app.me(cookie=keys.cookie)) == []
    app.clock.advance(61)
    assert len(lines(await app.me(cookie=keys.cookie))) == 1
    app.clock.advance(61)
    [(value, attributes)] = lines(await app.post("/api/client/auth/sign-out", cookie=keys.cookie))
    assert value == ""
    assert "Max-Age=0" in attributes


async def test_use_on_one_node_counts_on_the_other(app: App, database_url: str) -> None:
    async with running(database_url) as other:
        other.clock.ms = app.clock.ms
        keys = await keys_of(app)
        for node, mate in ((app, other), (other, app), (app, other), (other, app)):
            node.clock.advance(5 * DAY)
            mate.clock.ms = node.clock.ms
            assert (await node.me(cookie=keys.cookie)).status == 200


async def test_use_is_stored_at_most_once_a_minute(app: App) -> None:
    keys = await keys_of(app)
    at_first = await last_used(app, keys)
    for seconds in (1, 30, 28.999):
        app.clock.advance(seconds)
        await app.me(cookie=keys.cookie)
        assert await last_used(app, keys) == at_first
    app.clock.advance(0.001)
    await app.me(cookie=keys.cookie)
    later = await last_used(app, keys)
    assert later > at_first
    app.clock.advance(59)
    await app.me(cookie=keys.cookie)
    assert await last_used(app, keys) == later


@rule("SESSION-FIXATION")
async def test_an_existing_cookie_is_never_adopted(app: App) -> None:
    for planted in ("A" * 43, "attacker-chosen", "x", (await keys_of(app)).cookie):
        reply = await app.sign_in(cookie=planted)
        assert reply.cookie("session") != planted
        assert (await app.me(cookie=planted)).code == "INVALID_TOKEN"
        assert (await app.me(cookie=reply.cookie("session"))).status == 200


@rule("SESSION-FIXATION")
async def test_the_session_of_a_cookie_that_was_sent_along_is_ended(app: App) -> None:
    old = await keys_of(app)
    new = await keys_of(app, cookie=old.cookie)
    assert await opened_by(app, old) == []
    assert await opened_by(app, new) == ["token", "cookie", "refresh token"]


@matrix("email", ["admin@acme.example", "admin@globex.example"])
async def test_so_is_another_persons_even_of_another_client(app: App, email: str) -> None:
    theirs = await keys_of(app, email, client=email.partition("@")[2].partition(".")[0])
    mine = await keys_of(app, client="acme", cookie=theirs.cookie)
    assert await opened_by(app, theirs) == []
    assert (await app.me(mine.token)).status == 200


async def test_the_token_takes_precedence_over_the_cookie(app: App) -> None:
    author, admin = await keys_of(app), await keys_of(app, "admin@acme.example")
    me = (await app.me(author.token, cookie=admin.cookie)).data
    assert (me["user"]["email"], me["session"]["by"]) == ("author@acme.example", "token")


@rule("BEARER-ALONE")
@matrix("authorization", ["Bearer rubbish", "Bearer", "Basic eDp5", "", " ", "Bearer a.b.c"])
async def test_a_bad_header_never_falls_back_to_the_cookie(app: App, authorization: str) -> None:
    keys = await keys_of(app)
    reply = await app.me(cookie=keys.cookie, headers={"Authorization": authorization})
    assert (reply.status, reply.code) == (401, "INVALID_TOKEN")
    out = await app.post(
        "/api/client/auth/sign-out", cookie=keys.cookie, headers={"Authorization": authorization, "Origin": "null"}
    )
    assert out.code == "INVALID_TOKEN"
    assert (await app.me(cookie=keys.cookie)).status == 200


async def test_an_expired_token_never_falls_back_to_the_cookie(app: App) -> None:
    keys = await keys_of(app)
    app.clock.advance(DAY)
    assert (await app.me(keys.token, cookie=keys.cookie)).code == "TOKEN_EXPIRED"


async def test_two_different_session_cookies_are_rejected(app: App) -> None:
    keys, other = await keys_of(app), await keys_of(app, "admin@acme.example")
    for header in (
        f"session={keys.cookie}; session={other.cookie}",
        f"session={other.cookie}; session={keys.cookie}",
        f"session={keys.cookie}; session=planted",
        f"session=; session={keys.cookie}",
    ):
        assert (await app.me(headers={"Cookie": header})).status == 401
    split = [("Cookie", f"session={keys.cookie}"), ("Cookie", f"session={other.cookie}")]
    assert (await app.me(headers=split)).status == 401
    assert (await app.me(headers={"Cookie": f"a=1; session={keys.cookie}; b=2"})).status == 200
    assert (await app.me(headers={"Cookie": f"session={keys.cookie}; session={keys.cookie}"})).status == 200


@matrix("value", ["", '""', "A" * 43, "A" * 300, "A" * 5000, "%00", "null", "../..", "' OR 1=1 --"])
async def test_an_invalid_session_is_rejected(app: App, value: str) -> None:
    reply = await app.me(cookie=value)
    assert (reply.status, reply.code) == (401, "INVALID_TOKEN")


async def test_a_cookie_with_another_name_is_ignored(app: App) -> None:
    keys = await keys_of(app)
    for name in ("Session", "sessions", "xsession", "__Host-session", "device"):
        assert (await app.me(headers={"Cookie": f"{name}={keys.cookie}"})).code == "UNAUTHENTICATED"


async def test_a_similar_value_is_rejected(app: App) -> None:
    keys = await keys_of(app)
    for value in (keys.cookie[:-1], keys.cookie + "=", keys.cookie + "A", keys.cookie.swapcase(), f'"{keys.cookie}"'):
        assert (await app.me(cookie=value)).code == "INVALID_TOKEN"


async def test_the_sign_in_response_does_not_contain_the_password(app: App) -> None:
    reply = await app.sign_in()
    assert PASSWORD not in reply.text + repr(reply.headers)
