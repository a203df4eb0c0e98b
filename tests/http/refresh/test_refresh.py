"""A new refresh token takes effect when it's first used; covers the order of tokens, and callers who can't refresh."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.accounts import Keys, act_on, child_of, keys_of, new_client, new_user, opened_by, settle
from tests.support.application import PASSWORD, App
from tests.support.matrix import matrix
from tests.support.rules import rule

DAY = 86_400
pytestmark = pytest.mark.usefixtures("another_day")


async def first_of(app: App, **options: Any) -> str:
    return (await keys_of(app, **options)).refresh_token


async def test_a_refresh_answers_in_both_shapes(app: App) -> None:
    reply = await app.refresh(await first_of(app))
    assert set(reply.json) == {"success", "data", "token", "refreshToken"}
    assert set(reply.data) == {"token", "refreshToken", "expiresIn"}
    assert reply.json["token"] == reply.data["token"]
    assert reply.json["refreshToken"] == reply.data["refreshToken"]
    assert reply.data["expiresIn"] == DAY
    assert reply.headers["cache-control"] == "no-store"
    assert "set-cookie" not in reply.headers
    assert (await app.me(reply.json["token"])).data["user"]["email"] == "author@acme.example"


async def test_every_refresh_gives_another_refresh_token(app: App) -> None:
    first = await first_of(app)
    children = [await child_of(app, first) for _ in range(5)]
    assert len({first, *children}) == 6


async def test_the_shown_token_stays_good_until_a_child_is_shown(app: App) -> None:
    first = await first_of(app)
    for _ in range(10):
        app.clock.advance(3600)
        last = await child_of(app, first)
    app.clock.advance(3600)
    await child_of(app, last)  # this commits
    app.clock.advance(11)
    assert (await app.refresh(first)).code == "INVALID_TOKEN"


async def test_using_the_new_access_token_commits_nothing(app: App) -> None:
    first = await first_of(app)
    pair = (await app.refresh(first)).data
    assert (await app.me(pair["token"])).status == 200
    app.clock.advance(DAY)
    assert (await app.refresh(first)).status == 200


async def test_the_example_client_stays_signed_in_for_thirty_days(app: App) -> None:
    """The app keeps its first refresh token, and discards all others."""
    signed_in = (await app.sign_in()).data
    first, access = signed_in["refreshToken"], signed_in["token"]
    for _ in range(29):
        app.clock.advance(DAY)
        assert (await app.me(access)).code == "TOKEN_EXPIRED"
        access = (await app.refresh(first)).json["token"]
        assert (await app.me(access)).status == 200
    app.clock.advance(DAY)
    over = await app.refresh(first)
    assert (over.status, over.code) == (401, "TOKEN_EXPIRED")


async def test_a_client_that_adopts_every_child_stays_signed_in(app: App) -> None:
    token = await first_of(app)
    for _ in range(20):
        app.clock.advance(DAY)
        token = await child_of(app, token)


async def test_the_parent_is_answered_again_for_ten_seconds(app: App) -> None:
    first = await first_of(app)
    second = await child_of(app, first)
    await child_of(app, second)
    app.clock.advance(10)
    again = await app.refresh(first)
    assert again.status == 200
    assert (await app.me(again.json["token"])).status == 200
    assert (await app.refresh(again.json["refreshToken"])).status == 200


async def test_a_sibling_is_answered_again_for_ten_seconds(app: App) -> None:
    first = await first_of(app)
    one, two = await child_of(app, first), await child_of(app, first)
    await child_of(app, one)
    app.clock.advance(10)
    again = await app.refresh(two)
    assert again.status == 200
    # Its replacement belongs to the same chain, so both tabs continue.
    await child_of(app, again.json["refreshToken"])
    await child_of(app, await child_of(app, one))


@matrix("who", ["parent", "sibling"])
async def test_a_moment_after_ten_seconds_the_session_ends(app: App, who: str) -> None:
    keys = await keys_of(app)
    one, two = await child_of(app, keys.refresh_token), await child_of(app, keys.refresh_token)
    await child_of(app, one)
    app.clock.advance(10.001)
    late = await app.refresh(keys.refresh_token if who == "parent" else two)
    assert (late.status, late.code) == (401, "INVALID_TOKEN")
    assert await opened_by(app, keys) == []
    assert (await app.refresh(one)).code == "INVALID_TOKEN"


@matrix("who", ["grandparent", "aunt"])
async def test_mercy_does_not_reach_further_back(app: App, who: str) -> None:
    keys = await keys_of(app)
    first, aunt = keys.refresh_token, await child_of(app, keys.refresh_token)
    second = await child_of(app, first)
    third = await child_of(app, second)
    await child_of(app, third)  # commits `second` and then `third`, all at the same moment
    assert (await app.refresh(first if who == "grandparent" else aunt)).code == "INVALID_TOKEN"
    assert await opened_by(app, keys) == []


async def test_an_unused_child_of_a_replaced_line_is_dead(app: App) -> None:
    first = await first_of(app)
    cousin = await child_of(app, await child_of(app, first))
    app.clock.advance(60)
    assert (await app.refresh(cousin)).status == 200
    app.clock.advance(60)
    assert (await app.refresh(first)).code == "INVALID_TOKEN"


@rule("DEVIATION-REFRESH-REUSE")
async def test_in_a_strict_client_the_shown_token_dies_as_its_child_is_given(app: App) -> None:
    client = await new_client(app, refreshStrict=True)
    _, email = await new_user(app, client, password=PASSWORD)
    first = await first_of(app, email=email, client=client)
    second = await child_of(app, first)
    app.clock.advance(10)
    again = await app.refresh(first)  # the response was lost
    assert again.status == 200
    assert (await app.refresh(second)).status == 200
    keys = await keys_of(app, email, client=client)
    child = await child_of(app, keys.refresh_token)
    app.clock.advance(10.001)
    assert (await app.refresh(keys.refresh_token)).code == "INVALID_TOKEN"
    assert (await app.refresh(child)).code == "INVALID_TOKEN"
    assert await opened_by(app, keys) == []


async def test_in_a_strict_client_a_chain_goes_on_for_days(app: App) -> None:
    client = await new_client(app, refreshStrict=True)
    _, email = await new_user(app, client, password=PASSWORD)
    token = await first_of(app, email=email, client=client)
    for _ in range(20):
        app.clock.advance(DAY)
        token = await child_of(app, token)


async def test_a_client_that_turns_strict_logs_no_one_out(app: App) -> None:
    client = await new_client(app)
    _, email = await new_user(app, client, password=PASSWORD)
    keys, idle = await keys_of(app, email, client=client), await keys_of(app, email, client=client)
    uncommitted = await child_of(app, keys.refresh_token)
    await settle(app, client, refreshStrict=True)
    app.clock.advance(60)
    await child_of(app, uncommitted)
    await child_of(app, idle.refresh_token)
    app.clock.advance(11)
    assert (await app.refresh(keys.refresh_token)).code == "INVALID_TOKEN"


async def test_a_client_that_turned_strict_is_so_with_the_next_token(app: App) -> None:
    """Even if the previous token was issued before that."""
    client = await new_client(app)
    _, email = await new_user(app, client, password=PASSWORD)
    uncommitted = await child_of(app, await first_of(app, email=email, client=client))
    await settle(app, client, refreshStrict=True)
    child = await child_of(app, uncommitted)
    app.clock.advance(11)
    assert (await app.refresh(uncommitted)).code == "INVALID_TOKEN"
    assert (await app.refresh(child)).code == "INVALID_TOKEN"


async def test_a_deactivated_user_cannot_refresh(app: App) -> None:
    user_id, email = await new_user(app, password=PASSWORD)
    keys = await keys_of(app, email)
    await act_on(app, f"acme/users/{user_id}/deactivate")
    assert (await app.refresh(keys.refresh_token)).code == "INVALID_TOKEN"
    await act_on(app, f"acme/users/{user_id}/restore")
    assert await opened_by(app, keys) == []  # ended sessions stay ended
    assert (await app.sign_in(email)).status == 200


async def test_a_user_of_a_suspended_client_cannot_refresh(app: App) -> None:
    client = await new_client(app)
    _, email = await new_user(app, client, password=PASSWORD)
    keys = await keys_of(app, email, client=client)
    await act_on(app, f"{client}/suspend")
    assert (await app.refresh(keys.refresh_token)).code == "INVALID_TOKEN"
    await act_on(app, f"{client}/restore")
    assert await opened_by(app, keys) == []


async def test_x_client_id_can_only_agree_on_refresh(app: App) -> None:
    first = await first_of(app)
    for name in ("globex", str(app.ids["globex"]), "missing", "", "ACME", "acme,acme"):
        reply = await app.refresh(first, headers={"X-Client-ID": name})
        assert (reply.status, reply.code) == (403, "FORBIDDEN"), name
    for name in ("acme", str(app.ids["acme"])):
        assert (await app.refresh(first, headers={"X-Client-ID": name})).status == 200


async def test_a_disagreeing_client_changes_nothing(app: App) -> None:
    first = await first_of(app)
    one, two = await child_of(app, first), await child_of(app, first)
    assert (await app.refresh(one, headers={"X-Client-ID": "globex"})).code == "FORBIDDEN"
    app.clock.advance(60)
    assert (await app.refresh(two)).status == 200  # `one` wasn't committed


async def test_a_refresh_needs_no_other_credential_and_heeds_none(app: App) -> None:
    first = await first_of(app)
    other = await keys_of(app, "admin@acme.example")
    mixed = await app.refresh(first, token=other.token, cookie=other.cookie)
    assert (await app.me(mixed.json["token"])).data["user"]["email"] == "author@acme.example"
    assert (await app.refresh(first, token="rubbish")).status == 200


async def hostile_refresh_tokens(app: App, keys: Keys) -> list[str]:
    body = {"username": "root", "password": PASSWORD}
    admin = (await app.post("/api/admin/auth/sign-in", body)).data
    good = keys.refresh_token
    return [
        *(good[:i] + ("B" if good[i] == "A" else "A") + good[i + 1 :] for i in range(4, len(good), 7)),
        good[:-1], good + "=", good + "A", " " + good, good + "\n", good.upper(), good.removeprefix("mrt_"),
        "mrt_" + "A" * (len(good) - 4), "mrt_", "x", "null", "é" * 112, "A" * 4096,
        keys.token, keys.cookie, admin["token"], admin["refreshToken"],
    ]  # fmt: skip


async def test_an_invalid_refresh_token_is_rejected_and_harms_no_one(app: App) -> None:
    keys = await keys_of(app)
    for text in await hostile_refresh_tokens(app, keys):
        reply = await app.refresh(text)
        assert (reply.status, reply.code) == (401, "INVALID_TOKEN"), text
    assert await opened_by(app, keys) == ["token", "cookie", "refresh token"]


@matrix("value", [None, 7, True, [], {}, "", "A" * 4097, "a\0b", "\ud800"])
async def test_an_invalid_text_is_a_mistake(app: App, value: Any) -> None:
    content = json.dumps({"refreshToken": value}).encode()
    reply = await app.send("POST", "/api/client/auth/refresh", content=content)
    assert (reply.status, reply.code) == (400, "VALIDATION_ERROR")
    assert (await app.post("/api/client/auth/refresh", {})).code == "VALIDATION_ERROR"


async def test_users_and_admins_refresh_at_their_own_routes(app: App) -> None:
    body = {"username": "root", "password": PASSWORD}
    admin = (await app.post("/api/admin/auth/sign-in", body)).data["refreshToken"]
    first = await first_of(app)
    assert (await app.refresh(admin)).code == "INVALID_TOKEN"
    assert (await app.post("/api/admin/auth/refresh", {"refreshToken": first})).code == "INVALID_TOKEN"
    again = (await app.post("/api/admin/auth/refresh", {"refreshToken": admin})).data
    assert (await app.get("/api/admin/auth/me", token=again["token"])).status == 200
