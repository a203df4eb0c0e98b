"""Stored values can't be used as credentials; also covers other ends of a session."""

from __future__ import annotations

import hashlib

import pytest

from tests.support.accounts import Keys, act_on, keys_of, new_client, new_user, opened_by
from tests.support.application import PASSWORD, App
from tests.support.forged_tokens import claims_of
from tests.support.matrix import matrix
from tests.support.rows import all_that_rests
from tests.support.rules import rule

pytestmark = pytest.mark.usefixtures("another_day")


@rule("STORED-SECRETS")
async def test_nothing_that_rests_in_the_store_opens_anything(app: App) -> None:
    _, email = await new_user(app, password=PASSWORD)
    reply = await app.sign_in(email)
    keys = Keys(reply.data["token"], reply.data["refreshToken"], reply.cookie("session"))
    again = (await app.refresh(keys.refresh_token)).data
    await app.refresh(again["refreshToken"])
    resting = await all_that_rests(app)
    assert len(resting) > 100
    secrets = [PASSWORD, *keys, reply.cookie("device"), again["token"], again["refreshToken"]]
    secrets += [keys.token.split(".")[2]]
    for name, value in resting:
        text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
        assert not any(secret in text for secret in secrets), name
    # The test looks in the right place, because the cookie's hash is there.
    hashed = hashlib.sha256(keys.cookie.encode()).hexdigest()
    assert ("sessions.cookie_hash", hashed) in resting
    for name, value in resting:
        if name in ("sessions.cookie_hash", "sessions.refresh_current", "sessions.id", "known_origins.origin"):
            assert (await app.me(cookie=str(value))).status == 401
            assert (await app.refresh(str(value))).status == 401


async def test_throttle_keys_do_not_tell_who_was_tried(app: App) -> None:
    await app.sign_in("someone-else@acme.example", "wrong-lantern-9-moss", "acme")
    for name, value in await all_that_rests(app):
        assert "someone-else@acme.example" not in str(value), name


@rule("SESSION-RANDOM")
async def test_names_of_sessions_and_tokens_have_at_least_96_random_bits(app: App) -> None:
    many = [await keys_of(app) for _ in range(20)]
    sids, jtis = ([claims_of(k.token)[name] for k in many] for name in ("sid", "jti"))
    assert len({*sids, *jtis}) == 40
    assert {len(s) for s in sids} == {22}  # 128 bits
    assert {len(j) for j in jtis} == {16}
    assert {len(k.cookie) for k in many} == {43}  # 256 bits
    for position in range(22):
        assert len({s[position] for s in sids}) > 1  # no part of it is constant


async def test_deactivation_ends_all_sessions_of_a_user_immediately(app: App) -> None:
    user_id, email = await new_user(app, password=PASSWORD)
    sessions, other = [await keys_of(app, email) for _ in range(3)], await keys_of(app)
    await act_on(app, f"acme/users/{user_id}/deactivate")
    for keys in sessions:
        assert (await app.me(keys.token)).code == "INVALID_TOKEN"
        assert await opened_by(app, keys) == []
    assert await opened_by(app, other) == ["token", "cookie", "refresh token"]


async def test_suspension_ends_all_sessions_of_a_client_immediately(app: App) -> None:
    client = await new_client(app)
    _, email = await new_user(app, client, password=PASSWORD)
    keys, other = await keys_of(app, email, client=client), await keys_of(app)
    await act_on(app, f"{client}/suspend")
    assert await opened_by(app, keys) == []
    assert await opened_by(app, other) == ["token", "cookie", "refresh token"]
    await act_on(app, f"{client}/restore")
    assert await opened_by(app, keys) == []
    assert (await app.sign_in(email, client=client)).status == 200


@rule("SESSION-ENDED-BY-OTHERS")
async def test_a_system_admin_can_end_a_users_sessions(app: App) -> None:
    user_id, email = await new_user(app, password=PASSWORD)
    sessions = [await keys_of(app, email) for _ in range(2)]
    path = f"/api/admin/clients/acme/users/{user_id}/sessions"
    assert (await app.send("DELETE", path, token=await app.admin_token())).data == {"ended": 2}
    for keys in sessions:
        assert await opened_by(app, keys) == []
    assert (await app.sign_in(email)).status == 200


@rule("NO-DEFAULT-ACCOUNT")
@matrix(("name", "password"), [("admin", "admin"), ("admin", "password"), ("root", "root"), ("root", "")])
async def test_there_is_no_account_that_no_one_made(app: App, name: str, password: str) -> None:
    reply = await app.post("/api/admin/auth/sign-in", {"username": name, "password": password})
    assert reply.code in ("INVALID_CREDENTIALS", "VALIDATION_ERROR")
