"""A system admin signs in, stays signed in, and signs out."""

from __future__ import annotations

import pytest

from tests.support.application import PASSWORD, App, Reply
from tests.support.envelope import check_refusal, check_success, same_but_request_id
from tests.support.matrix import matrix

pytestmark = pytest.mark.one_store

BASE = "/api/admin/auth"
GRACE = 10


async def sign_in(app: App, username: str = "root", password: str = PASSWORD) -> Reply:
    return await app.post(f"{BASE}/sign-in", {"username": username, "password": password})


async def refresh(app: App, token: str) -> Reply:
    return await app.post(f"{BASE}/refresh", {"refreshToken": token})


async def test_sign_in_returns_token_refresh_token_and_admin(app: App) -> None:
    reply = await sign_in(app)
    data = check_success(reply)
    assert set(data) == {"token", "refreshToken", "expiresIn", "admin"}
    assert data["admin"]["username"] == "root"
    assert type(data["admin"]["id"]) is int
    assert data["expiresIn"] == 15 * 60
    assert "set-cookie" not in reply.headers  # the admin API has no cookie, so cross-site requests can't be forged
    me = check_success(await app.get(f"{BASE}/me", token=data["token"]))
    assert me == {"admin": data["admin"]}


async def test_the_name_is_compared_without_case_and_the_password_exactly(app: App) -> None:
    check_success(await sign_in(app, "ROOT"))
    for wrong in (PASSWORD.upper(), PASSWORD + " ", " " + PASSWORD, PASSWORD[:-1]):
        check_refusal(await sign_in(app, password=wrong), 401, "INVALID_CREDENTIALS")
        check_success(await sign_in(app))


async def test_an_unknown_admin_looks_like_an_incorrect_password(app: App) -> None:
    wrong, unknown = await sign_in(app, password="wrong"), await sign_in(app, "nobody", "wrong")
    check_refusal(wrong, 401, "INVALID_CREDENTIALS")
    same_but_request_id(wrong, unknown)
    check_success(await sign_in(app))


ILL_FORMED: list[dict[str, object]] = [
    {},
    {"username": "root"},
    {"password": "x"},
    {"email": "root", "password": "x"},
    {"username": 1, "password": "x"},
    {"username": "root", "password": True},
    {"username": "", "password": "x"},
    {"username": "root", "password": ""},
    {"username": "r" * 65, "password": "x"},
    {"username": "root", "password": "x" * 257},
]


@matrix("body", ILL_FORMED)
async def test_a_malformed_sign_in_is_rejected(app: App, body: dict[str, object]) -> None:
    check_refusal(await app.post(f"{BASE}/sign-in", body), 400, "VALIDATION_ERROR")


async def test_refresh_returns_new_tokens_also_beside_data(app: App) -> None:
    first = (await sign_in(app)).data
    app.clock.advance(15 * 60)
    check_refusal(await app.get(f"{BASE}/me", token=first["token"]), 401, "TOKEN_EXPIRED")
    reply = await refresh(app, first["refreshToken"])
    data = check_success(reply)
    assert set(data) == {"token", "refreshToken", "expiresIn"}
    assert (reply.json["token"], reply.json["refreshToken"]) == (data["token"], data["refreshToken"])
    check_success(await app.get(f"{BASE}/me", token=data["token"]))


async def test_a_reused_refresh_token_ends_the_admins_session(app: App) -> None:
    first = (await sign_in(app)).data
    second = (await refresh(app, first["refreshToken"])).data
    third = (await refresh(app, second["refreshToken"])).data
    app.clock.advance(GRACE + 1)
    check_refusal(await refresh(app, first["refreshToken"]), 401, "INVALID_TOKEN")
    check_refusal(await refresh(app, third["refreshToken"]), 401, "INVALID_TOKEN")
    check_refusal(await app.get(f"{BASE}/me", token=third["token"]), 401, "INVALID_TOKEN")


async def test_sign_out_ends_both_keys_of_this_session_only(app: App) -> None:
    data, other = (await sign_in(app)).data, (await sign_in(app)).data
    child = (await refresh(app, data["refreshToken"])).data
    assert check_success(await app.post(f"{BASE}/sign-out", token=data["token"])) == {}
    for token in (data["token"], child["token"]):
        check_refusal(await app.get(f"{BASE}/me", token=token), 401, "INVALID_TOKEN")
        check_refusal(await app.post(f"{BASE}/sign-out", token=token), 401, "INVALID_TOKEN")
    for token in (data["refreshToken"], child["refreshToken"]):
        check_refusal(await refresh(app, token), 401, "INVALID_TOKEN")
    check_success(await app.get(f"{BASE}/me", token=other["token"]))


async def test_a_session_ends_after_twelve_hours_regardless_of_use(app: App) -> None:
    data = (await sign_in(app)).data
    for _ in range(11):
        app.clock.advance(3600)
        data = check_success(await refresh(app, data["refreshToken"]))
    app.clock.advance(3600 - 60)
    data = check_success(await refresh(app, data["refreshToken"]))
    assert data["expiresIn"] == 60
    app.clock.advance(60)
    check_refusal(await app.get(f"{BASE}/me", token=data["token"]), 401, "TOKEN_EXPIRED")
    check_refusal(await refresh(app, data["refreshToken"]), 401, "TOKEN_EXPIRED")
