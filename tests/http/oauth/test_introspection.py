"""``POST /oauth2/introspect`` describes valid tokens of the caller's client, and reports all others as not active."""

from __future__ import annotations

import pytest

from tests.support.accounts import keys_of
from tests.support.application import App
from tests.support.oauth_callers import INTROSPECT, Machine, basic, form, header_and_claims, machine
from tests.support.people import member
from tests.support.rules import rule

INACTIVE = {"active": False}


async def test_a_service_accounts_token(app: App, ours: Machine, client: str) -> None:
    asked = await machine(app, client, "asked", roles=("Author", "Operator"))
    token = await asked.token(scope="jobs:read jobs:execute")
    claims = header_and_claims(token)[1]
    assert await ours.introspect(token) == {
        "active": True, "sub": asked.client_id, "client": client, "client_id": asked.client_id, "username": "asked",
        "scope": "jobs:read jobs:execute", "roles": ["Author", "Operator"], "token_type": "Bearer",
        "iss": app.public_url, "aud": app.public_url, "iat": claims["iat"], "exp": claims["exp"],
    }  # fmt: skip


async def test_a_users_access_token(app: App, ours: Machine, client: str) -> None:
    viewer = await member(app, client, "Viewer")
    claims = header_and_claims(viewer.token)[1]
    assert await ours.introspect(viewer.token) == {
        "active": True, "sub": str(viewer.id), "client": client, "username": viewer.email,
        "scope": "users:read templates:read jobs:read", "roles": ["Viewer"], "token_type": "Bearer",
        "iss": claims["iss"], "aud": claims["aud"], "iat": claims["iat"], "exp": claims["exp"],
    }  # fmt: skip


async def test_an_api_key(app: App, ours: Machine, client: str) -> None:
    asked = await machine(app, client, "asked", scopes=("jobs:read",))
    found = await ours.introspect(await asked.new("key"))
    now = app.clock.ms // 1000
    assert found == {
        "active": True, "sub": asked.client_id, "client": client, "client_id": asked.client_id, "username": "asked",
        "scope": "jobs:read", "roles": ["Viewer"], "token_type": "Bearer", "iss": app.public_url,
        "aud": app.public_url, "iat": now, "exp": now + 90 * 86_400,
    }  # fmt: skip


async def test_the_answer_is_not_kept(app: App, ours: Machine) -> None:
    reply = await form(app, INTROSPECT, {"token": await ours.token()}, ours.basic)
    assert reply.headers["cache-control"] == "no-store"
    reply = await form(app, INTROSPECT, {"token": "x"}, ours.basic)
    assert (reply.headers["cache-control"], reply.text) == ("no-store", '{"active":false}')


@rule("OAUTH-INTROSPECTION")
async def test_nothing_of_another_client_is_told(app: App, ours: Machine, theirs: Machine) -> None:
    user = await member(app, theirs.client, "Admin")
    for token in (await theirs.token(), user.token, await theirs.new("key"), theirs.secret):
        assert await ours.introspect(token) == INACTIVE
        if token != theirs.secret:
            assert (await theirs.introspect(token))["active"] is True


async def test_an_invalid_token_here_is_not_active(app: App, ours: Machine) -> None:
    keys = await keys_of(app)
    admin, own = await app.admin_token(), await ours.token()
    junk = ("x", own[:-4] + "AAAA", own.rpartition(".")[0] + ".", admin, keys.refresh_token, keys.cookie, ours.secret,
            await ours.new("key") + "x", "mfst_key_" + "A" * 49, "a.b.c", "🔑")  # fmt: skip
    for token in junk:
        assert await ours.introspect(token) == INACTIVE


@rule("OAUTH-INTROSPECTION")
async def test_what_is_over_is_not_active(app: App, ours: Machine, client: str) -> None:
    asked = await machine(app, client, "asked")
    viewer = await member(app, client, "Viewer")
    token, key = await asked.token(), await asked.new("key")
    await asked.send("POST", "/disable")
    assert (await app.post("/api/client/auth/sign-out", token=viewer.token)).status == 200
    for over in (token, key, viewer.token):
        assert await ours.introspect(over) == INACTIVE
    await asked.send("POST", "/enable")
    assert (await ours.introspect(token))["active"] is True
    app.clock.advance(900)
    assert await ours.introspect(token) == INACTIVE


@rule("OAUTH-INTROSPECTION")
async def test_an_account_that_must_not_introspect_is_told_nothing(app: App, client: str) -> None:
    plain = await machine(app, client, "plain")
    assert await plain.introspect(await plain.token()) == INACTIVE


@pytest.mark.parametrize("fields", [{}, {"token": ""}])
async def test_a_request_without_a_token_is_wrong(app: App, ours: Machine, fields: dict[str, str]) -> None:
    reply = await form(app, INTROSPECT, fields, ours.basic)
    assert (reply.status, reply.json["error"]) == (400, "invalid_request")


async def test_a_stranger_is_told_nothing(app: App, ours: Machine) -> None:
    token = {"token": await ours.token()}
    for headers in ({}, basic(ours.client_id, "x"), {"Authorization": f"Bearer {token['token']}"}):
        reply = await form(app, INTROSPECT, token, headers)
        assert (reply.status, reply.json["error"]) == (401, "invalid_client")
