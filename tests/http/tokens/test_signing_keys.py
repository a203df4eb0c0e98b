"""Rotating signing keys signs nobody out, and an old key is removed after its last token has expired."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.accounts import Keys, keys_of
from tests.support.application import PASSWORD, App, running
from tests.support.forged_tokens import (
    HEADER,
    Purpose,
    b64,
    claims_of,
    every_secret,
    hs256,
    rotate,
    signing_keys,
    unb64,
)
from tests.support.rows import rows

pytestmark = [pytest.mark.one_store, pytest.mark.settings(MANIFEST_TOKEN_ALGORITHM="HS256")]

DAY = 86_400


async def jwks(app: App) -> dict[str, Any]:
    reply = await app.get("/.well-known/jwks.json")
    assert reply.status == 200
    found: dict[str, Any] = reply.json
    return found


async def admin_pair(app: App) -> dict[str, Any]:
    body = {"username": "root", "password": PASSWORD}
    found: dict[str, Any] = (await app.post("/api/admin/auth/sign-in", body)).data
    return found


async def all_open(app: App, keys: Keys, admin: dict[str, Any]) -> None:
    assert (await app.me(keys.token)).status == 200
    assert (await app.me(cookie=keys.cookie)).status == 200
    assert (await app.refresh(keys.refresh_token)).status == 200
    assert (await app.get("/api/admin/auth/me", token=admin["token"])).status == 200
    assert (await app.post("/api/admin/auth/refresh", {"refreshToken": admin["refreshToken"]})).status == 200


async def test_with_hs256_only_the_key_of_service_accounts_is_published(app: App) -> None:
    published = await jwks(app)
    assert published["access_token_signing_alg"] == "HS256"
    [key] = published["keys"]
    assert set(key) == {"kty", "crv", "x", "y", "use", "alg", "kid"}  # but never `d`
    assert (key["alg"], key["use"]) == ("ES256", "sig")


async def test_rotation_signs_no_one_out(app: App) -> None:
    keys, admin = await keys_of(app), await admin_pair(app)
    for _ in range(3):
        await rotate(app)
        await all_open(app, keys, admin)
    assert (await app.me((await keys_of(app)).token)).status == 200


async def test_after_rotation_only_the_new_keys_sign(app: App) -> None:
    before = signing_keys(app)
    old = await keys_of(app)
    await rotate(app)
    assert (await app.me(old.token)).status == 200  # this makes the node load the keys again
    after = signing_keys(app)
    assert not set(before.values()) & set(after.values())
    claims = json.dumps(claims_of((await keys_of(app)).token))
    fresh = (await keys_of(app)).token
    head, payload, signature = fresh.split(".")
    assert hs256(after[Purpose.ACCESS], HEADER, unb64(payload)).split(".")[2] == signature
    assert head == b64(HEADER)
    assert (await app.me(hs256(before[Purpose.ACCESS], HEADER, claims))).status == 200  # still valid


async def test_an_old_key_is_rejected_after_the_life_of_what_it_signed(app: App) -> None:
    keys, admin = await keys_of(app), await admin_pair(app)
    old = signing_keys(app)
    await rotate(app)
    app.clock.advance(DAY + 121)
    fresh = await keys_of(app)
    claims = claims_of(fresh.token)
    assert (await app.me(hs256(old[Purpose.ACCESS], HEADER, json.dumps(claims)))).code == "INVALID_TOKEN"
    assert (await app.me(keys.token)).status == 401
    assert (await app.get("/api/admin/auth/me", token=admin["token"])).status == 401
    again = await app.refresh(keys.refresh_token)  # its key lives as long as refresh tokens
    assert again.status == 200
    assert (await app.me(again.data["token"])).status == 200


async def test_another_node_signs_and_verifies_with_the_new_keys_immediately(app: App, database_url: str) -> None:
    async with running(database_url) as other:
        other.clock.ms = app.clock.ms
        first = await keys_of(app)
        assert (await other.me(first.token)).status == 200
        await rotate(app)
        second = await keys_of(app)
        assert (await other.me(second.token)).status == 200
        assert (await other.refresh(second.refresh_token)).status == 200
        assert (await other.me(first.token)).status == 200
        third = await keys_of(other)
        assert (await app.me(third.token)).status == 200


async def test_keys_rest_encrypted(app: App) -> None:
    raws = every_secret(app)
    secrets = [secret for (secret,) in await rows(app, "signing_keys", "secret")]
    assert len(signing_keys(app)) == 6
    assert all(len(raw) == 32 for raw in signing_keys(app).values())
    assert not any(raw in secret for raw in raws for secret in secrets)
