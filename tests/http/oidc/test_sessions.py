"""OpenID Connect sessions: the session that starts, the one it replaces, how it ends, and what is recorded."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.accounts import act_on, hashes_counted, keys_of, new_client, new_user, opened_by, settle, trail
from tests.support.application import PASSWORD, App
from tests.support.forged_tokens import claims_of
from tests.support.matrix import matrix
from tests.support.oidc_op import Op, provider
from tests.support.single_sign_on import (
    RETURN_TO,
    Browser,
    act_on_provider,
    add_oidc,
    begun,
    check_no_one_got_in,
    failures,
    query_of,
    sign_ins,
    with_query,
)

EXCHANGE = "/api/client/auth/exchange"
pytestmark = [pytest.mark.usefixtures("another_day"), pytest.mark.one_store]


@pytest.fixture
async def client(app: App, op: Op) -> str:
    identifier = await new_client(app)
    await add_oidc(app, op, identifier, name="idp")
    return identifier


async def signed_in(app: App, op: Op, client: str) -> Browser:
    browser, address = await begun(app, op, client)
    assert (await browser.send("GET", address)).status == 302
    return browser


async def tokens(app: App, op: Op, client: str) -> dict[str, Any]:
    """The tokens that an app gets for its one-time code."""
    browser, address = await begun(app, op, client, response="code")
    ended = await browser.send("GET", address)
    data: dict[str, Any] = (await app.post(EXCHANGE, {"code": query_of(ended)["code"]})).data
    return data


async def users_of(app: App, client: str) -> list[str]:
    reply = await app.get(f"/api/admin/clients/{client}/users", token=await app.admin_token())
    return [user["email"] for user in reply.data["items"]]


async def test_the_cookie_of_the_session_is_like_any_other_sign_ins(app: App, op: Op, client: str) -> None:
    browser, address = await begun(app, op, client)
    ended = await browser.send("GET", address)
    usual = await app.sign_in("viewer@acme.example", client="acme")
    for name in ("session", "device"):
        lines = [
            line.partition(";")[2]
            for reply in (ended, usual)
            for line in reply.headers.get_list("set-cookie")
            if line.startswith(f"{name}=")
        ]
        assert len(lines) == 2
        assert lines[0] == lines[1]
    assert ended.headers["cache-control"] == "no-store"
    assert ended.headers["referrer-policy"] == "no-referrer"


async def test_no_key_of_the_session_is_in_an_address_or_a_body(app: App, op: Op, client: str) -> None:
    for response in ("cookie", "code"):
        browser, address = await begun(app, op, client, response=response)
        ended = await browser.send("GET", address)
        location = ended.headers["location"]
        assert ended.json == {"success": True, "data": {}}
        for line in ended.headers.get_list("set-cookie"):
            value = line.partition(";")[0].partition("=")[2]
            assert not value or value not in location
        assert "eyJ" not in location
        for token in op.access_tokens:
            assert token not in location + str(ended.headers)
        if response == "code":
            assert set(query_of(ended)) == {"code"}
            data = (await app.post(EXCHANGE, query_of(ended))).data
            assert data["token"] not in location
            assert data["refreshToken"] not in location


@matrix("whose", ["their own", "another user's", "an admin's of another client"])
async def test_a_session_cookie_that_comes_along_is_ended_and_never_adopted(
    app: App, op: Op, client: str, whose: str
) -> None:
    if whose == "their own":
        before = (await signed_in(app, op, client)).cookies["session"]
    else:
        email = "author@acme.example" if whose == "another user's" else "admin@globex.example"
        before = (await keys_of(app, email)).cookie
    assert (await app.me(cookie=before)).status == 200
    browser, address = await begun(app, op, client)
    browser.cookies["session"] = before
    ended = await browser.send("GET", address)
    assert ended.cookie("session") != before
    assert (await app.me(cookie=before)).code == "INVALID_TOKEN"
    assert (await browser.me()).data["client"]["identifier"] == client


@matrix("planted", ["A" * 43, "attacker-chosen", "x" * 300, '""'])
async def test_a_planted_cookie_is_never_adopted(app: App, op: Op, client: str, planted: str) -> None:
    browser, address = await begun(app, op, client)
    browser.cookies["session"] = planted
    ended = await browser.send("GET", address)
    assert ended.cookie("session") != planted
    assert (await app.me(cookie=planted)).status == 401


async def test_a_sign_in_that_fails_ends_nothing(app: App, op: Op, client: str) -> None:
    keys = await keys_of(app)
    browser, address = await begun(app, op, client)
    browser.cookies["session"] = keys.cookie
    check_no_one_got_in(await browser.send("GET", with_query(address, code="guessed")))
    assert await opened_by(app, keys) == ["token", "cookie", "refresh token"]


async def test_a_sign_in_is_recorded_with_method_and_provider_and_counted(app: App, op: Op, client: str) -> None:
    before = sign_ins(app, "oidc", "ok")
    browser = await signed_in(app, op, client)
    me = (await browser.me()).data
    [event] = [event for event in await trail(app, client) if event.event == "signed_in"]
    assert event.subject == f"user:{me['user']['id']}"
    assert event.members["method"] == "oidc"
    assert event.members["session"] == me["session"]["id"]
    made = await app.get(f"/api/admin/clients/{client}/providers/idp", token=await app.admin_token())
    assert event.members["provider"] == made.data["id"]
    assert sign_ins(app, "oidc", "ok") == before + 1


@matrix("response", ["cookie", "code"])
async def test_a_sign_in_that_fails_is_recorded_and_counted(app: App, op: Op, response: str) -> None:
    client = await new_client(app)
    made = await add_oidc(app, op, client, createUsers=False)
    before = sign_ins(app, "oidc", "failed")
    whys = []
    for change in ({"code": "guessed"}, {"iss": "https://evil.example"}, {"code": None, "error": "access_denied"}, {}):
        browser, address = await begun(app, op, client, response=response)
        check_no_one_got_in(await browser.send("GET", with_query(address, **change)))
        whys.append((await failures(app, client))[-1])
    assert {(failed["method"], failed["provider"]) for failed in whys} == {("oidc", made["id"])}
    assert [failed["why"] for failed in whys] == [
        "token endpoint returned 400: invalid_grant",
        "the response arrived at a different redirect URI",
        "redirect: access_denied",
        "unknown user, and the provider creates no users",
    ]
    assert sign_ins(app, "oidc", "failed") == before + 4
    assert "the provider's own words" not in str(await trail(app, client))


@matrix("response", ["cookie", "code"])
async def test_someone_who_is_deactivated_cannot_sign_in_and_it_is_recorded(
    app: App, op: Op, client: str, response: str
) -> None:
    me = (await (await signed_in(app, op, client)).me()).data
    await act_on(app, f"{client}/users/{me['user']['id']}/deactivate")
    before = sign_ins(app, "oidc", "refused")
    browser, address = await begun(app, op, client, response=response)
    check_no_one_got_in(await browser.send("GET", address), 403, "ACCOUNT_DISABLED")
    event = (await trail(app, client))[-1]
    assert (event.event, event.subject) == ("sign_in_refused", f"user:{me['user']['id']}")
    assert sign_ins(app, "oidc", "refused") == before + 1
    await act_on(app, f"{client}/users/{me['user']['id']}/restore")
    await signed_in(app, op, client)


@matrix("response", ["cookie", "code"])
async def test_someone_of_a_suspended_client_cannot_sign_in_and_it_is_recorded(
    app: App, op: Op, client: str, response: str
) -> None:
    await signed_in(app, op, client)
    browser, address = await begun(app, op, client, response=response)
    await act_on(app, f"{client}/suspend")
    before = sign_ins(app, "oidc", "refused")
    check_no_one_got_in(await browser.send("GET", address), 403, "ACCOUNT_DISABLED")
    assert (await trail(app, client))[-1].event == "sign_in_refused"
    assert sign_ins(app, "oidc", "refused") == before + 1


@matrix("act", ["switch-off", "delete"])
async def test_a_provider_that_is_turned_off_or_deleted_ends_what_it_began(
    app: App, op: Op, client: str, act: str
) -> None:
    _, email = await new_user(app, client, password=PASSWORD)
    by_password = await keys_of(app, email, client=client)
    browser = await signed_in(app, op, client)
    data = await tokens(app, op, client)
    assert (await app.refresh(data["refreshToken"])).status == 200
    under_way, address = await begun(app, op, client)
    coming, coming_address = await begun(app, op, client, response="code")
    code = query_of(await coming.send("GET", coming_address))["code"]
    asked = op.count("token")
    await act_on_provider(app, client, "idp", act)
    assert (await browser.me()).code == "INVALID_TOKEN"
    assert (await app.me(data["token"])).code == "INVALID_TOKEN"
    assert (await app.refresh(data["refreshToken"])).code == "INVALID_TOKEN"
    check_no_one_got_in(await under_way.send("GET", address))
    check_no_one_got_in(await app.post(EXCHANGE, {"code": code}))
    assert op.count("token") == asked
    assert await opened_by(app, by_password) == ["token", "cookie", "refresh token"]
    over = await app.get(f"/api/admin/clients/{client}/sessions?state=over", token=await app.admin_token())
    reason = "provider_switched_off" if act == "switch-off" else "provider_deleted"
    assert {one["endReason"] for one in over.data["items"]} == {reason}
    if act == "switch-off":
        await act_on_provider(app, client, "idp", "switch-on")
        assert (await app.refresh(data["refreshToken"])).code == "INVALID_TOKEN"
        await signed_in(app, op, client)


async def test_someone_who_is_new_and_comes_twice_at_the_same_time_is_one_user(app: App, op: Op, client: str) -> None:
    coming = [await begun(app, op, client) for _ in range(4)]
    replies = await asyncio.gather(*(browser.send("GET", address) for browser, address in coming))
    assert [reply.status for reply in replies] == [302] * 4, [reply.text for reply in replies]
    assert len({(await browser.me()).data["user"]["id"] for browser, _ in coming}) == 1
    assert await users_of(app, client) == ["ada@acme.example"]
    events = [event.event for event in await trail(app, client)]
    assert (events.count("user_created"), events.count("identity_linked"), events.count("signed_in")) == (1, 1, 4)


async def test_two_who_claim_one_address_at_the_same_time_are_not_one_user(app: App, op: Op, client: str) -> None:
    with provider(app.clock) as second:
        await add_oidc(app, second, client, name="second")
        one, other = await begun(app, op, client, provider="idp"), await begun(app, second, client, provider="second")
        replies = await asyncio.gather(*(browser.send("GET", address) for browser, address in (one, other)))
    assert sorted(reply.status for reply in replies) == [302, 401]
    assert await users_of(app, client) == ["ada@acme.example"]
    events = [event.event for event in await trail(app, client)]
    assert (events.count("user_created"), events.count("identity_linked"), events.count("signed_in")) == (1, 1, 1)


async def test_a_session_knows_how_it_began_and_its_token_names_no_method(app: App, op: Op, client: str) -> None:
    data = await tokens(app, op, client)
    me = (await app.me(data["token"])).data
    assert (me["session"]["method"], me["session"]["by"]) == ("oidc", "token")
    assert claims_of(data["token"])["client"] == client
    assert "oidc" not in str(claims_of(data["token"]))


async def test_where_passwords_are_turned_off_the_provider_is_still_a_way_in(app: App, op: Op, client: str) -> None:
    await settle(app, client, passwordSignIn=False)
    with hashes_counted() as hashes:
        browser, address = await begun(app, op, client)
        assert (await browser.send("GET", address)).headers["location"] == RETURN_TO
    assert hashes == []
