"""Password hashes with other settings or from other systems are accepted once, and then replaced by ours."""

from __future__ import annotations

import pytest

from tests.support.accounts import hashes_counted, new_user, trail
from tests.support.application import App, running
from tests.support.envelope import check_refusal
from tests.support.foreign_hashes import LIMITS, REFUSED, argon2, one_of_each
from tests.support.matrix import matrix
from tests.support.rows import rows
from tests.support.rules import rule

PASSWORD = "Übernahme-vom-alten-System-7"
HASHES = one_of_each(PASSWORD)
TODAY = "$argon2id$v=19$m=64,t=1,p=1$"
pytestmark = [pytest.mark.usefixtures("another_day"), pytest.mark.one_store]


async def stored_hash(app: App, email: str) -> str:
    [(found,)] = await rows(app, "users", "password_hash", email=email)
    return str(found)


@rule("PASSWORD-HASH")
@matrix("kind", HASHES)
async def test_a_hash_of_another_make_lets_in_and_is_replaced(app: App, kind: str) -> None:
    user_id, email = await new_user(app, passwordHash=HASHES[kind])
    assert (await app.sign_in(email, PASSWORD + "x", "acme")).code == "INVALID_CREDENTIALS"
    assert await stored_hash(app, email) == HASHES[kind]
    assert (await app.sign_in(email, PASSWORD, "acme")).status == 200
    ours = await stored_hash(app, email)
    assert ours.startswith(TODAY)
    assert [e.event for e in await trail(app, "acme") if e.subject == f"user:{user_id}"][-1] == "password_rehashed"
    with hashes_counted() as hashes:
        assert (await app.sign_in(email, PASSWORD, "acme")).status == 200
    assert await stored_hash(app, email) == ours
    assert len(hashes) == 1


@matrix("kind", [k for k in HASHES if k.startswith("argon2")])
async def test_a_wrong_guess_at_an_old_argon2_hash_costs_one_hash(app: App, kind: str) -> None:
    _, email = await new_user(app, passwordHash=HASHES[kind])
    with hashes_counted() as hashes:
        assert (await app.sign_in(email, "wrong-lantern-9-moss", "acme")).code == "INVALID_CREDENTIALS"
    assert len(hashes) == 1


async def test_a_hash_of_todays_settings_is_left_alone(app: App) -> None:
    same = argon2(PASSWORD, memory=64, passes=1)
    _, email = await new_user(app, passwordHash=same)
    assert (await app.sign_in(email, PASSWORD, "acme")).status == 200
    assert await stored_hash(app, email) == same


@rule("PASSWORD-HASH")
async def test_higher_settings_replace_a_users_hash_at_the_next_sign_in(app: App, database_url: str) -> None:
    _, email = await new_user(app, passwordHash=argon2(PASSWORD, memory=64, passes=1))
    async with running(database_url, MANIFEST_ARGON2_MEMORY="256", MANIFEST_ARGON2_PASSES="2") as other:
        other.clock.ms = app.clock.ms
        assert (await other.sign_in(email, PASSWORD, "acme")).status == 200
        assert (await stored_hash(app, email)).startswith("$argon2id$v=19$m=256,t=2,p=1$")
        admin = {"username": "root", "password": "kestrel-harbor-21-violet"}
        with hashes_counted() as hashes:
            assert (await other.post("/api/admin/auth/sign-in", admin)).status == 200
            assert (await other.post("/api/admin/auth/sign-in", admin)).status == 200
    assert [h["memory"] for h in hashes] == [64, 256, 256]


@matrix("kind", REFUSED)
async def test_an_invalid_hash_or_costs_too_much_is_not_imported(app: App, kind: str) -> None:
    body = {"email": f"{id(kind)}@acme.example", "roles": ["Viewer"], "passwordHash": REFUSED[kind]}
    reply = await app.post("/api/admin/clients/acme/users", body, token=await app.admin_token())
    assert (reply.status, reply.code) == (400, "VALIDATION_ERROR")
    assert reply.json["error"]["details"][0]["field"] == "passwordHash"


@rule("HASH-BOUNDED")
@matrix("kind", LIMITS)
async def test_what_each_attempt_would_pay_dearly_for_is_not_imported(app: App, kind: str) -> None:
    cheap, most, too_much, made, told = LIMITS[kind]
    assert cheap in made
    await new_user(app, passwordHash=made.replace(cheap, most))
    body = {"email": "costly@acme.example", "roles": ["Viewer"], "passwordHash": made.replace(cheap, too_much)}
    reply = await app.post("/api/admin/clients/acme/users", body, token=await app.admin_token())
    error = check_refusal(reply, 400, "VALIDATION_ERROR")
    assert error["details"] == [{"field": "passwordHash", "message": told}]


async def test_a_password_and_a_hash_exclude_each_other(app: App) -> None:
    body = {"email": "x@acme.example", "roles": ["Viewer"], "passwordHash": argon2("x"), "password": PASSWORD}
    reply = await app.post("/api/admin/clients/acme/users", body, token=await app.admin_token())
    assert reply.code == "VALIDATION_ERROR"


@rule("RESET-UNSEEN", "SCHEMA-NO-SECRET")
async def test_no_hash_ever_leaves_the_server(app: App) -> None:
    user_id, _ = await new_user(app, passwordHash=HASHES["bcrypt 2b"])
    admin = await app.admin_token()
    one = await app.get(f"/api/admin/clients/acme/users/{user_id}", token=admin)
    everyone = await app.get("/api/admin/clients/acme/users?first=100", token=admin)
    assert one.data["hasPassword"] is True
    assert "$" not in one.text + everyone.text
