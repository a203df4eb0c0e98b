"""A client's policy: the users who need a second factor, the start of the requirement, and the effects of a change."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.support.accounts import new_client, settle
from tests.support.application import PASSWORD, App
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.people import set_roles
from tests.support.rows import change_rows
from tests.support.rules import rule
from tests.support.second_factors import OWN, REQUIRED, SIGN_IN, enrolled, person
from tests.support.system_admins import Phone

DAY = 86_400
pytestmark = [pytest.mark.usefixtures("another_day"), pytest.mark.one_store]


async def length_of(app: App, client: str) -> int:
    found = await app.get(f"/api/admin/clients/{client}", token=await app.admin_token())
    return int(found.data["settings"]["password"]["minLength"])


async def test_a_new_client_asks_no_one_to_enroll(app: App) -> None:
    data = check_success(await (await person(app, "", "Admin")).sign_in())
    assert "secondFactorDue" not in data


async def test_a_due_enrollment_waits_for_the_days_of_grace_and_says_until_when(app: App) -> None:
    ada = await person(app, secondFactor={"policy": "required", "graceDays": 2})
    first = check_success(await ada.sign_in())["secondFactorDue"]
    due = datetime.fromisoformat(first).timestamp()
    assert round(due - app.clock.now_ms() / 1000) == 2 * DAY
    app.clock.advance(2 * DAY - 1)
    assert check_success(await ada.sign_in())["secondFactorDue"] == first
    app.clock.advance(1)
    assert await ada.fields() == ["enrol"]


@matrix("role", ["Admin", "User Admin"])
async def test_who_manages_users_has_no_days_of_grace(app: App, role: str) -> None:
    ada = await person(app, "", role, secondFactor={"policy": "required", "graceDays": 30})
    assert await ada.fields() == ["enrol"]


async def test_who_begins_to_manage_users_has_none_left(app: App) -> None:
    ada = await person(app, secondFactor={"policy": "required", "graceDays": 30})
    check_success(await ada.sign_in())
    await set_roles(app, ada.client, ada.id, "Viewer", "User Admin")
    assert await ada.fields() == ["enrol"]


@rule("SECOND-FACTOR-GATE")
async def test_fewer_days_of_grace_count_immediately_and_more_do_not_come_later(app: App) -> None:
    ada = await person(app, secondFactor={"policy": "required", "graceDays": 5})
    check_success(await ada.sign_in())
    await settle(app, ada.client, secondFactor={"graceDays": 30})
    app.clock.advance(5 * DAY)
    assert await ada.fields() == ["enrol"]
    eve = await person(app, ada.client)
    check_success(await eve.sign_in())
    await settle(app, ada.client, secondFactor={"graceDays": 1})
    for _ in range(2):
        check_success(await eve.sign_in())
        app.clock.advance(DAY / 2)
    assert await eve.fields() == ["enrol"]
    bob = await person(app, ada.client)
    check_success(await bob.sign_in())
    await settle(app, ada.client, secondFactor={"graceDays": 0})
    assert await bob.fields() == ["enrol"]


async def test_a_policy_that_comes_back_gives_the_whole_time_again(app: App) -> None:
    ada = await person(app, secondFactor={"policy": "required", "graceDays": 5})
    check_success(await ada.sign_in())
    await settle(app, ada.client, secondFactor={"policy": "optional"})
    app.clock.advance(9 * DAY)
    assert "secondFactorDue" not in check_success(await ada.sign_in())
    await settle(app, ada.client, secondFactor={"policy": "required"})
    assert "secondFactorDue" in check_success(await ada.sign_in())


async def test_only_users_of_the_named_roles_have_to(app: App) -> None:
    client = await new_client(app, secondFactor={"policy": "roles", "roles": ["Operator", "Admin"], "graceDays": 0})
    for roles, fields in ((("Viewer",), []), (("Viewer", "Operator"), ["enrol"]), (("Admin",), ["enrol"])):
        assert await (await person(app, client, *roles)).fields() == fields, roles


async def test_a_method_that_is_not_allowed_cannot_be_enrolled(secure: App, app: App) -> None:
    secure.goes_by_the_clock_of(app)
    for allowed, other in (("passkey", "totp"), ("totp", "passkey")):
        ada = await person(secure, secondFactor={"policy": "required", "graceDays": 0, "methods": [allowed]})
        error = await ada.challenge()
        assert error["methods"] == [allowed]
        reply = await secure.post(f"{SIGN_IN}/enrol", {"challenge": error["challenge"], "method": other})
        check_refusal(reply, 400, "VALIDATION_ERROR")


async def test_where_no_allowed_factor_can_be_made_an_app_can(app: App) -> None:
    """Browsers don't create passkeys at an IP address, so a policy that allows only passkeys would lock everybody
    out."""
    ada = await person(app, secondFactor={"policy": "required", "graceDays": 0, "methods": ["passkey"]})
    assert (await ada.challenge())["methods"] == ["totp"]
    assert len((await ada.enrol_at_sign_in())["recoveryCodes"]) == 10


async def test_where_enrollment_was_stopped_in_the_meantime_none_is_begun(app: App) -> None:
    ada = await person(app, **REQUIRED)
    challenge = (await ada.challenge())["challenge"]
    await settle(app, ada.client, secondFactor={"policy": "off"})
    reply = await app.post(f"{SIGN_IN}/enrol", {"challenge": challenge, "method": "totp"})
    check_refusal(reply, 400, "VALIDATION_ERROR")
    check_success(await ada.sign_in())


async def test_the_minimum_length_of_passwords_follows_unless_it_was_chosen(app: App) -> None:
    client = await new_client(app)
    assert await length_of(app, client) == 15
    await settle(app, client, secondFactor={"policy": "required"})
    assert await length_of(app, client) == 8
    await settle(app, client, secondFactor={"policy": "roles", "roles": ["Admin"]})
    assert await length_of(app, client) == 15
    await settle(app, client, secondFactor={"policy": "required"}, password={"minLength": 15})
    assert await length_of(app, client) == 15
    assert await length_of(app, await new_client(app, **REQUIRED)) == 8
    assert await length_of(app, await new_client(app, **REQUIRED, password={"minLength": 12})) == 12


@rule("PASSWORD-LENGTH")
async def test_a_shorter_length_counts_from_the_first_factor_on(app: App) -> None:
    """Until then, including the grace period, the password is enough to sign in."""
    ada = await person(app, secondFactor={"policy": "required", "graceDays": 30})
    assert await length_of(app, ada.client) == 8
    token = check_success(await ada.sign_in())["token"]
    body = {"currentPassword": PASSWORD, "newPassword": "Zq4!vK9w"}
    check_refusal(await app.post("/api/client/auth/password", body, token=token), 400, "VALIDATION_ERROR")
    users = f"/api/admin/clients/{ada.client}/users"
    new = {"email": "short@x.example", "roles": ["Viewer"], "password": "Zq4!vK9w"}
    check_refusal(await app.post(users, new, token=await app.admin_token()), 400, "VALIDATION_ERROR")
    bob = await enrolled(app, secondFactor={"policy": "required"})
    assert await length_of(app, bob.client) == 8
    token = check_success(await bob.answered())["token"]
    body = {"currentPassword": PASSWORD, "newPassword": "Zq4!vK9w"}
    check_success(await app.post("/api/client/auth/password", body, token=token))


async def test_an_unreadable_secret_locks_out_no_one_who_has_a_recovery_code(app: App) -> None:
    ada = await enrolled(app)
    await change_rows(app, "user_totps", {"user_id": ada.id}, secret=b"sealed with a key that is gone")
    challenge = (await ada.challenge())["challenge"]
    check_refusal(await ada.go_on(challenge, otp=ada.code()), 401, "MFA_REQUIRED")
    check_success(await ada.go_on(challenge, recoveryCode=ada.recovery_codes[3]))


@rule("SECOND-FACTOR-GATE")
async def test_a_new_factor_does_not_make_the_password_new(app: App) -> None:
    """An enrollment can take long and restart repeatedly, so its session counts as no newer than the password entry."""
    ada = await person(app, **REQUIRED)
    typed_at, challenge = app.clock.now_ms(), (await ada.challenge())["challenge"]
    for _ in range(2):
        app.clock.advance(25 * 60)
        begun = check_success(await app.post(f"{SIGN_IN}/enrol", {"challenge": challenge, "method": "totp"}))
    data = check_success(await ada.go_on(challenge, otp=Phone(app, begun["secret"]).code()))
    session = (await app.me(data["token"])).data["session"]
    proved_at = round(datetime.fromisoformat(session["authenticatedAt"]).timestamp() * 1000)
    assert (session["amr"], proved_at) == (["pwd", "otp", "mfa"], typed_at)
    check_refusal(await app.send("DELETE", f"{OWN}/totp", token=data["token"]), 403, "REAUTHENTICATION_REQUIRED")


@rule("PENDING-SIGN-INS")
async def test_an_enrollment_begins_again_for_an_hour_and_no_longer(app: App) -> None:
    """Otherwise, a user who has verified one factor could wait as long as they like."""
    ada = await person(app, **REQUIRED)
    challenge = (await ada.challenge())["challenge"]
    for _ in range(2):
        app.clock.advance(29 * 60)
        begun = check_success(await app.post(f"{SIGN_IN}/enrol", {"challenge": challenge, "method": "totp"}))
    app.clock.advance(2 * 60)
    check_refusal(await ada.go_on(challenge, otp=Phone(app, begun["secret"]).code()), 401, "TOKEN_EXPIRED")
