"""A sign-in notices changes that happen while a password is being hashed, before it opens the session."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.accounts import act_on, keys_of, new_client, new_user, opened_by
from tests.support.application import PASSWORD, App, running
from tests.support.faults import before_hashes_are_kept, meanwhile, old_hashes_stay
from tests.support.foreign_hashes import argon2, bcrypt_hash
from tests.support.matrix import matrix
from tests.support.system_admins import another, signed_in_admin

NEW = "ember-quartz-mosaic-19"
pytestmark = pytest.mark.usefixtures("another_day")


async def test_a_password_that_was_replaced_in_the_meantime_opens_nothing(app: App) -> None:
    _, email = await new_user(app, password=PASSWORD)
    token = (await keys_of(app, email)).token
    body = {"currentPassword": PASSWORD, "newPassword": NEW}
    with meanwhile(app, lambda: app.post("/api/client/auth/password", body, token=token)):
        reply = await app.sign_in(email)
    assert reply.code == "INVALID_CREDENTIALS"
    assert "set-cookie" not in reply.headers
    assert (await app.sign_in(email, NEW)).status == 200


async def test_a_user_who_was_deactivated_in_the_meantime_is_rejected(app: App) -> None:
    user_id, email = await new_user(app, password=PASSWORD)
    with meanwhile(app, lambda: act_on(app, f"acme/users/{user_id}/deactivate")):
        assert (await app.sign_in(email)).code == "ACCOUNT_DISABLED"


async def test_a_user_whose_client_was_suspended_in_the_meantime_is_rejected(app: App) -> None:
    client = await new_client(app)
    _, email = await new_user(app, client, password=PASSWORD)
    with meanwhile(app, lambda: act_on(app, f"{client}/suspend")):
        assert (await app.sign_in(email, client=client)).code == "ACCOUNT_DISABLED"


async def test_a_password_is_changed_once_of_two_changes_at_a_time(app: App) -> None:
    _, email = await new_user(app, password=PASSWORD)
    keys = await keys_of(app, email)

    async def change(new: str) -> int:
        body = {"currentPassword": PASSWORD, "newPassword": new}
        return (await app.post("/api/client/auth/password", body, token=keys.token)).status

    with meanwhile(app, lambda: change(NEW)):
        assert await change("tundra-velvet-signal-64") == 401
    assert (await app.sign_in(email, NEW)).status == 200
    assert (await app.sign_in(email, "tundra-velvet-signal-64")).status == 401


@matrix("plane", ["client", "admin"])
async def test_a_password_that_was_replaced_in_the_meantime_proves_nothing(app: App, plane: str) -> None:
    base, body = f"/api/{plane}/auth", {"currentPassword": PASSWORD, "newPassword": NEW}
    if plane == "admin":
        token = (await another(await signed_in_admin(app))).token
    else:
        token = (await keys_of(app, (await new_user(app, password=PASSWORD))[1])).token
    with meanwhile(app, lambda: app.post(f"{base}/password", body, token=token)):
        assert (
            await app.post(f"{base}/reauthenticate", {"password": PASSWORD}, token=token)
        ).code == "INVALID_CREDENTIALS"
    assert (await app.post(f"{base}/reauthenticate", {"password": NEW}, token=token)).status == 200


async def test_the_same_password_hashed_again_in_the_meantime_still_lets_in(app: App) -> None:
    """Two devices sign in at the same time, and both find that the hash is outdated."""
    for _ in range(3):
        _, email = await new_user(app, passwordHash=bcrypt_hash(PASSWORD))
        with meanwhile(app, lambda whose=email: app.sign_in(whose)):  # type: ignore[misc]
            assert (await app.sign_in(email)).status == 200
        _, email = await new_user(app, passwordHash=argon2(PASSWORD))
        replies = await asyncio.gather(*(app.sign_in(email) for _ in range(5)))
        assert [r.status for r in replies] == [200] * 5


async def test_the_admins_sign_in_does_the_same(app: App, database_url: str) -> None:
    body = {"username": "root", "password": PASSWORD}
    async with running(database_url, MANIFEST_ARGON2_MEMORY="128") as node:
        replies = await asyncio.gather(*(node.post("/api/admin/auth/sign-in", body) for _ in range(5)))
        assert [r.status for r in replies] == [200] * 5


async def test_an_old_hash_does_not_come_back_over_a_new_password(app: App) -> None:
    """A sign-in that replaces an outdated hash runs at the same time as a password change."""
    _, email = await new_user(app, passwordHash=bcrypt_hash(PASSWORD))
    with old_hashes_stay():
        token = (await keys_of(app, email)).token
    body = {"currentPassword": PASSWORD, "newPassword": NEW}

    async def change(password: str) -> None:
        if password == PASSWORD:
            assert (await app.post("/api/client/auth/password", body, token=token)).status == 200

    with before_hashes_are_kept(app, change):
        late = await keys_of(app, email)
    assert (await app.sign_in(email)).code == "INVALID_CREDENTIALS"
    assert (await app.sign_in(email, NEW)).status == 200
    assert await opened_by(app, late) == []  # a different session changed the password
