"""A system admin's second factor, with TOTP (RFC 6238) and recovery codes."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.application import PASSWORD, App
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.rows import change_rows, rows
from tests.support.rules import rule
from tests.support.system_admins import ADMINS, AUTH, Phone, SystemAdmin, another, enrolled, events, sign_in

pytestmark = pytest.mark.one_store

FACTOR = f"{AUTH}/second-factor"
SETTINGS = "/api/admin/settings"
PROOF = {"password": PASSWORD}


async def in_again(of: SystemAdmin, otp: str | None) -> int:
    return (await sign_in(of.app, of.username, otp=otp)).status


@rule("ADMIN-PLANE")
async def test_it_is_enrolled_with_a_first_code_and_then_required(me: SystemAdmin) -> None:
    made = check_success(await me.post(FACTOR, PROOF), 201)
    uri = urlsplit(made["uri"])
    assert (uri.scheme, uri.netloc) == ("otpauth", "totp")
    assert parse_qs(uri.query)["secret"] == [made["secret"]]
    assert await in_again(me, None) == 200  # not required until it's confirmed
    phone = Phone(me.app, made["secret"])
    check_refusal(await me.post(f"{FACTOR}/confirm", {**PROOF, "otp": phone.wrong()}), 400, "VALIDATION_ERROR")
    codes = check_success(await me.post(f"{FACTOR}/confirm", {**PROOF, "otp": phone.code()}))["recoveryCodes"]
    assert len(set(codes)) == 10
    assert check_success(await me.get(FACTOR)) == {"enrolled": True, "required": False, "recoveryCodesLeft": 10}
    me.app.clock.advance(30)
    error = check_refusal(await sign_in(me.app, me.username), 401, "MFA_REQUIRED")
    assert [detail["field"] for detail in error["details"]] == ["otp"]
    assert await in_again(me, phone.wrong()) == 401
    assert await in_again(me, phone.code()) == 200


async def test_a_code_is_required_only_after_the_correct_password(me: SystemAdmin) -> None:
    phone = await enrolled(me)
    for otp in (None, phone.code(), phone.wrong()):
        error = check_refusal(await sign_in(me.app, me.username, "wrong", otp), 401, "INVALID_CREDENTIALS")
        assert "details" not in error


@rule("ADMIN-PLANE")
async def test_a_code_works_once_and_earlier_ones_stop_working(me: SystemAdmin) -> None:
    phone = await enrolled(me)
    assert await in_again(me, phone.code()) == 200
    assert await in_again(me, phone.code()) == 401
    assert await in_again(me, phone.code(-1)) == 401
    me.app.clock.advance(30)
    assert await in_again(me, phone.code()) == 200


async def test_the_confirming_code_does_not_sign_in(me: SystemAdmin) -> None:
    made = check_success(await me.post(FACTOR, PROOF), 201)
    code = Phone(me.app, made["secret"]).code()
    check_success(await me.post(f"{FACTOR}/confirm", {**PROOF, "otp": code}))
    assert await in_again(me, code) == 401


@rule("ADMIN-PLANE")
async def test_one_of_several_concurrent_uses_of_a_code_succeeds(me: SystemAdmin) -> None:
    phone = await enrolled(me)
    for otp in (phone.code(), phone.recovery_codes[0]):
        statuses = await asyncio.gather(*(in_again(me, otp) for _ in range(4)))
        assert sorted(statuses) == [200, 401, 401, 401]
        me.app.clock.advance(86_401)  # rate limits reset after more than a day, not after exactly a day


@matrix(("steps", "status"), [(-2, 401), (-1, 200), (1, 200), (2, 401)])
async def test_clocks_can_differ_by_one_step_of_thirty_seconds(me: SystemAdmin, steps: int, status: int) -> None:
    phone = await enrolled(me)
    me.app.clock.advance(90)
    assert await in_again(me, phone.code(steps)) == status


async def test_spaces_in_codes_are_ignored(me: SystemAdmin) -> None:
    phone = await enrolled(me)
    code = phone.code()
    assert await in_again(me, f"{code[:3]} {code[3:]}") == 200


@matrix("otp", ["", "x" * 41, 123456, True, None, ["123456"]])
async def test_an_invalid_code_is_rejected(app: App, otp: object) -> None:
    body = {"username": "root", "password": PASSWORD, "otp": otp}
    check_refusal(await app.post(f"{AUTH}/sign-in", body), 400, "VALIDATION_ERROR")


async def test_a_recovery_code_signs_in_once(me: SystemAdmin) -> None:
    phone = await enrolled(me)
    first, second = phone.recovery_codes[:2]
    assert await in_again(me, first.upper()) == 200
    me.app.clock.advance(1)
    assert await in_again(me, first) == 401
    assert await in_again(me, second.replace("-", "")) == 200
    assert await in_again(me, first) == 401
    again = await me.again(phone.code())
    assert check_success(await again.get(FACTOR))["recoveryCodesLeft"] == 8


async def test_a_recovery_code_works_only_for_its_admin(root: SystemAdmin, me: SystemAdmin) -> None:
    phone, other = await enrolled(me), await another(root)
    await enrolled(other)
    assert await in_again(other, phone.recovery_codes[0]) == 401


async def test_new_recovery_codes_replace_the_previous_ones(me: SystemAdmin) -> None:
    phone = await enrolled(me)
    check_refusal(await me.post(f"{FACTOR}/recovery-codes", PROOF), 401, "INVALID_CREDENTIALS")
    proof = {**PROOF, "otp": phone.code()}
    fresh = check_success(await me.post(f"{FACTOR}/recovery-codes", proof), 201)["recoveryCodes"]
    assert await in_again(me, phone.recovery_codes[0]) == 401
    assert await in_again(me, fresh[0]) == 200


@rule("ADMIN-PLANE")
async def test_guesses_count_against_the_rate_limits_of_sign_ins(me: SystemAdmin) -> None:
    phone = await enrolled(me)
    codes = [(await sign_in(me.app, me.username, otp=phone.wrong())).code for _ in range(8)]
    assert codes[0] == "MFA_REQUIRED"
    assert codes[-1] == "RATE_LIMITED"
    assert await in_again(me, phone.code()) == 429


async def test_enrollment_requires_the_password_and_ends_other_sessions(me: SystemAdmin) -> None:
    elsewhere = await me.again()
    check_refusal(await me.post(FACTOR, {"password": "wrong"}), 401, "INVALID_CREDENTIALS")
    await enrolled(me)
    check_refusal(await elsewhere.get(FACTOR), 401, "INVALID_TOKEN")
    check_success(await me.get(FACTOR))


async def test_an_active_factor_is_removed_with_a_code_not_replaced(me: SystemAdmin) -> None:
    phone = await enrolled(me)
    check_refusal(await me.post(FACTOR, {**PROOF, "otp": phone.code()}), 409, "CONFLICT")
    check_refusal(await me.post(f"{FACTOR}/remove", PROOF), 401, "INVALID_CREDENTIALS")
    check_success(await me.post(f"{FACTOR}/remove", {**PROOF, "otp": phone.code()}))
    assert await in_again(me, None) == 200
    assert check_success(await me.get(FACTOR))["recoveryCodesLeft"] == 0
    check_refusal(await me.post(f"{FACTOR}/remove", PROOF), 409, "CONFLICT")
    check_refusal(await me.post(f"{FACTOR}/confirm", {**PROOF, "otp": phone.code()}), 409, "CONFLICT")


async def test_a_password_change_requires_a_code_too(me: SystemAdmin) -> None:
    phone = await enrolled(me)
    body = {"currentPassword": PASSWORD, "newPassword": "granite-otter-47-lantern"}
    check_refusal(await me.post(f"{AUTH}/password", body), 401, "INVALID_CREDENTIALS")
    check_success(await me.post(f"{AUTH}/password", {**body, "otp": phone.code()}))


@rule("ADMIN-PLANE")
async def test_another_admin_resets_it(root: SystemAdmin, me: SystemAdmin) -> None:
    await enrolled(me)
    check_refusal(await me.post(f"{ADMINS}/{me.id}/reset-second-factor"), 409, "CONFLICT")
    assert check_success(await root.get(f"{ADMINS}/{me.id}"))["secondFactor"] is True
    data = check_success(await root.post(f"{ADMINS}/{me.id}/reset-second-factor"))
    assert data["secondFactor"] is False
    check_refusal(await me.get(FACTOR), 401, "INVALID_TOKEN")
    assert await in_again(me, None) == 200
    check_refusal(await root.post(f"{ADMINS}/{me.id}/reset-second-factor"), 409, "CONFLICT")


@rule("ADMIN-PLANE")
async def test_if_it_is_required_admins_without_one_can_only_enroll(root: SystemAdmin, me: SystemAdmin) -> None:
    check_refusal(await root.send("PATCH", SETTINGS, {"secondFactorRequired": True}), 409, "CONFLICT")
    phone = await enrolled(root)
    switched = check_success(await root.send("PATCH", SETTINGS, {"secondFactorRequired": True}))
    assert switched["secondFactorRequired"] is True
    try:
        check_success(await root.get(ADMINS))
        for method, path in (
            ("GET", ADMINS),
            ("GET", "/api/admin/clients"),
            ("PATCH", SETTINGS),
            ("GET", "/api/admin/status"),
        ):
            error = check_refusal(await me.send(method, path, {} if method == "PATCH" else None), 403, "FORBIDDEN")
            assert [detail["field"] for detail in error["details"]] == ["secondFactor"]
        assert check_success(await me.get(FACTOR))["required"] is True
        own = await enrolled(me)
        check_success(await me.get(ADMINS))
        check_refusal(await me.post(f"{FACTOR}/remove", {**PROOF, "otp": own.code()}), 409, "CONFLICT")
        late = await another_while_required(root)
        check_refusal(await late.get(ADMINS), 403, "FORBIDDEN")
    finally:
        check_success(await root.send("PATCH", SETTINGS, {"secondFactorRequired": False}))
    root.app.clock.advance(30)
    check_success(await root.post(f"{FACTOR}/remove", {**PROOF, "otp": phone.code()}))


async def another_while_required(root: SystemAdmin) -> SystemAdmin:
    return await another(root)


@rule("ADMIN-PLANE")
async def test_no_secret_is_readable_in_the_database_or_in_the_audit_trail(app: App, me: SystemAdmin) -> None:
    phone = await enrolled(me)
    await in_again(me, phone.recovery_codes[0])
    stored = [*await rows(app, "admin_second_factors"), *await rows(app, "admin_recovery_codes")]
    held = str(stored) + str(await events(app))
    for secret in (phone.secret, *phone.recovery_codes, *(c.replace("-", "") for c in phone.recovery_codes)):
        assert secret not in held
    assert len(stored) > 10


@rule("ADMIN-PLANE")
async def test_a_secret_that_is_moved_to_another_admin_cannot_be_decrypted(
    app: App, root: SystemAdmin, me: SystemAdmin
) -> None:
    phone, other = await enrolled(me), await another(root)
    await enrolled(other)
    secrets = dict(await rows(app, "admin_second_factors", "admin_id", "secret"))
    assert {me.id, other.id} <= secrets.keys()
    assert await change_rows(app, "admin_second_factors", {"admin_id": other.id}, secret=secrets[me.id]) == 1
    app.clock.advance(60)
    assert await in_again(other, phone.code()) == 401
    assert await in_again(me, phone.code()) == 200


async def test_changes_are_in_the_audit_trail(root: SystemAdmin, me: SystemAdmin) -> None:
    phone = await enrolled(me)
    await in_again(me, None)
    await in_again(me, phone.wrong())
    await in_again(me, phone.code())
    await in_again(me, phone.recovery_codes[0])
    check_success(await root.post(f"{ADMINS}/{me.id}/reset-second-factor"))
    mine = [(event, detail) for event, _, subject, detail in await events(me.app) if subject == f"admin:{me.id}"]
    about = [event for event, _ in mine if "factor" in event]
    assert about == [f"second_factor_{what}" for what in ("begun", "enrolled", "removed")]
    assert [detail["why"] for event, detail in mine if event == "sign_in_failed"] == ["no code", "wrong code"]
    used = [detail["second_factor"] for event, detail in mine if event == "signed_in"]
    assert used == ["", "app", "recovery code"]
