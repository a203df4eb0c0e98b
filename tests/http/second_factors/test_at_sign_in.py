"""A sign-in that requires a second factor: the challenge, the required enrollment, and the response."""

from __future__ import annotations

import asyncio
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.support.accounts import act_on, new_client, settle
from tests.support.application import PASSWORD, App
from tests.support.envelope import check_refusal, check_success
from tests.support.foreign_hashes import argon2
from tests.support.matrix import matrix
from tests.support.rows import change_rows, rows
from tests.support.rules import rule
from tests.support.second_factors import REQUIRED, SIGN_IN, Person, enrolled, person
from tests.support.system_admins import Phone

pytestmark = [pytest.mark.usefixtures("another_day"), pytest.mark.one_store]
ONE_OF_TWO = ("otp", "recoveryCode")


@pytest.fixture
async def ada(app: App) -> Person:
    """A user with an authenticator app."""
    return await enrolled(app)


async def sessions_of(who: Person) -> int:
    return len(await rows(who.app, "sessions", "id", user_id=who.id))


@rule("SECOND-FACTOR-GATE")
async def test_an_app_is_enrolled_at_the_sign_in_that_requires_it_and_asked_for_after_that(app: App) -> None:
    ada = await person(app, **REQUIRED)
    due = await ada.challenge()
    assert [detail["field"] for detail in due["details"]] == ["enrol"]
    # Browsers don't create passkeys at an IP address.
    assert (due["methods"], due["expiresIn"], len(due["challenge"])) == (["totp"], 1800, 43)
    data = await ada.enrol_at_sign_in()
    assert len(data["recoveryCodes"]) == 10
    assert (await app.get("/api/client/auth/me", token=data["token"])).data["session"]["amr"] == ["pwd", "otp", "mfa"]
    again = await ada.challenge()
    assert tuple(detail["field"] for detail in again["details"]) == ONE_OF_TWO
    assert again["expiresIn"] == 600
    check_success(await ada.go_on(again["challenge"], otp=ada.code()))
    check_refusal(await ada.go_on(again["challenge"], otp=ada.code()), 401, "INVALID_TOKEN")


async def test_the_code_that_enrolled_an_app_is_used(app: App) -> None:
    ada = await person(app, **REQUIRED)
    await ada.enrol_at_sign_in()
    assert ada.phone is not None
    check_refusal(await ada.sign_in(otp=ada.phone.code()), 401, "MFA_REQUIRED")
    check_success(await ada.sign_in(otp=ada.code()))


async def test_the_secret_comes_with_its_address_and_a_picture_of_it(app: App) -> None:
    ada = await person(app, **REQUIRED)
    challenge = (await ada.challenge())["challenge"]
    begun = check_success(await app.post(f"{SIGN_IN}/enrol", {"challenge": challenge, "method": "totp"}))
    assert set(begun) == {"secret", "uri", "qr"}
    assert begun["uri"].startswith(f"otpauth://totp/{ada.client}:")
    assert f"secret={begun['secret']}" in begun["uri"]
    assert ElementTree.fromstring(begun["qr"]).tag.endswith("svg")


async def test_before_the_answer_there_is_no_session_no_token_and_no_cookie(ada: Person) -> None:
    before = await sessions_of(ada)
    reply = await ada.sign_in()
    check_refusal(reply, 401, "MFA_REQUIRED")
    assert "set-cookie" not in reply.headers
    assert await sessions_of(ada) == before
    found = await rows(ada.app, "sign_in_challenges", "key", user_id=ada.id)
    assert reply.json["error"]["challenge"] not in str(found)


async def test_a_code_beside_the_password_signs_in_immediately(ada: Person) -> None:
    reply = await ada.sign_in(otp=ada.code())
    data = check_success(reply)
    assert set(data) == {"token", "refreshToken", "expiresIn", "user"}
    assert reply.cookie("session")
    error = check_refusal(await ada.sign_in(otp=ada.wrong()), 401, "MFA_REQUIRED")
    check_success(await ada.go_on(error["challenge"], otp=ada.code()))


@matrix(("steps", "is_right"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
async def test_a_clock_can_be_one_step_off_and_no_more(ada: Person, steps: int, is_right: bool) -> None:
    assert ada.phone is not None
    ada.app.clock.advance(120)
    assert ((await ada.sign_in(otp=ada.phone.code(steps))).status == 200) == is_right


async def test_a_code_where_one_has_to_be_enrolled_first_is_no_try(app: App) -> None:
    ada = await person(app, **REQUIRED)
    check_refusal(await ada.sign_in(otp="123456"), 401, "MFA_REQUIRED")
    assert await ada.events("second_factor_failed") == []


async def test_a_recovery_code_goes_on_once(ada: Person) -> None:
    code = ada.recovery_codes[0]
    data = check_success(await ada.go_on((await ada.challenge())["challenge"], recoveryCode=code.upper()))
    session = (await ada.app.me(data["token"])).data["session"]
    assert session["amr"] == ["pwd", "recovery", "mfa"]
    challenge = (await ada.challenge())["challenge"]
    error = check_refusal(await ada.go_on(challenge, recoveryCode=code), 401, "MFA_REQUIRED")
    assert error["challenge"] == challenge


@rule("SECOND-FACTOR-CODES")
async def test_a_used_code_stays_used_whatever_is_used_after_it(ada: Person) -> None:
    """The code is used within its lifetime, at a sign-in and for re-authentication, both from the app and from
    paper."""
    assert ada.phone is not None
    code, (paper, another, *_) = ada.code(), ada.recovery_codes
    for answer in ({"otp": code}, {"recoveryCode": paper}, {"otp": ada.phone.code(1)}, {"recoveryCode": another}):
        token = check_success(await ada.sign_in_with(**answer))["token"]
        ada.app.clock.advance(1)
    for answer in ({"otp": code}, {"recoveryCode": paper}):
        check_refusal(await ada.sign_in_with(**answer), 401, "MFA_REQUIRED")
        again = await ada.app.post("/api/client/auth/reauthenticate", answer, token=token)
        check_refusal(again, 401, "INVALID_CREDENTIALS")


async def test_a_used_code_and_a_wrong_one_keep_the_challenge_and_the_fifth_wrong_one_ends_it(ada: Person) -> None:
    used = ada.code()
    check_success(await ada.sign_in(otp=used))
    challenge = (await ada.challenge())["challenge"]
    for otp in (used, ada.wrong(), ada.wrong(), ada.wrong()):
        error = check_refusal(await ada.go_on(challenge, otp=otp), 401, "MFA_REQUIRED")
        assert error["challenge"] == challenge
        assert tuple(detail["field"] for detail in error["details"]) == ONE_OF_TWO
    check_refusal(await ada.go_on(challenge, otp=ada.wrong()), 401, "INVALID_TOKEN")
    check_refusal(await ada.go_on(challenge, otp=ada.code()), 401, "INVALID_TOKEN")
    assert len(await ada.events("second_factor_failed")) == 5


async def test_the_fifth_wrong_code_ends_an_enrollment_too(app: App) -> None:
    ada = await person(app, **REQUIRED)
    body = {"challenge": (await ada.challenge())["challenge"], "method": "totp"}
    ada.phone = Phone(app, check_success(await app.post(f"{SIGN_IN}/enrol", body))["secret"])
    for code in ["MFA_REQUIRED"] * 4 + ["INVALID_TOKEN"]:
        check_refusal(await ada.go_on(body["challenge"], otp=ada.wrong()), 401, code)
    check_refusal(await app.post(f"{SIGN_IN}/enrol", body), 401, "INVALID_TOKEN")
    assert await ada.fields() == ["enrol"]


@matrix(
    "answer",
    [
        {},
        {"otp": "123456", "recoveryCode": "abcd"},
        {"otp": "123456", "passkey": {}},
        {"recoveryCode": "abcd", "newPasskey": {}},
    ],
)
async def test_exactly_one_answer_is_taken(ada: Person, answer: dict[str, Any]) -> None:
    challenge = (await ada.challenge())["challenge"]
    check_refusal(await ada.go_on(challenge, **answer), 400, "VALIDATION_ERROR")
    check_success(await ada.go_on(challenge, otp=ada.code()))
    assert await ada.events("second_factor_failed") == []


async def test_a_challenge_is_over_after_ten_minutes_and_an_enrollment_after_thirty(app: App, ada: Person) -> None:
    challenge = (await ada.challenge())["challenge"]
    app.clock.advance(599)
    check_refusal(await ada.go_on(challenge, otp=ada.wrong()), 401, "MFA_REQUIRED")
    app.clock.advance(1)
    check_refusal(await ada.go_on(challenge, otp=ada.code()), 401, "TOKEN_EXPIRED")
    new = await person(app, **REQUIRED)
    challenge = (await new.challenge())["challenge"]
    app.clock.advance(1800)
    reply = await app.post(f"{SIGN_IN}/enrol", {"challenge": challenge, "method": "totp"})
    check_refusal(reply, 401, "TOKEN_EXPIRED")


async def test_a_made_up_challenge_opens_nothing(ada: Person) -> None:
    for text in ("x" * 43, "é", "0"):
        check_refusal(await ada.go_on(text, otp=ada.code()), 401, "INVALID_TOKEN")


async def test_a_challenge_of_another_client_is_rejected_and_stays(app: App, ada: Person) -> None:
    challenge, other = (await ada.challenge())["challenge"], await new_client(app)
    body = {"challenge": challenge, "otp": ada.code()}
    reply = await app.post(f"{SIGN_IN}/continue", body, headers={"x-client-id": other})
    check_refusal(reply, 403, "FORBIDDEN")
    assert await ada.events("second_factor_failed") == []
    check_success(await ada.go_on(challenge, otp=body["otp"]))


async def test_a_code_of_another_users_app_is_wrong(app: App, ada: Person) -> None:
    eve = await enrolled(app)
    check_refusal(await ada.go_on((await ada.challenge())["challenge"], otp=eve.code()), 401, "MFA_REQUIRED")
    answer = {"recoveryCode": eve.recovery_codes[0]}
    check_refusal(await ada.go_on((await ada.challenge())["challenge"], **answer), 401, "MFA_REQUIRED")
    check_success(await eve.go_on((await eve.challenge())["challenge"], **answer))


async def test_a_challenge_ends_with_a_new_password(ada: Person) -> None:
    token = check_success(await ada.sign_in(otp=ada.code()))["token"]
    challenge = (await ada.challenge())["challenge"]
    body = {"currentPassword": "kestrel-harbor-21-violet", "newPassword": "granite-otter-47-lantern"}
    check_success(await ada.app.post("/api/client/auth/password", body, token=token))
    check_refusal(await ada.go_on(challenge, otp=ada.code()), 401, "INVALID_TOKEN")


async def test_a_challenge_ends_with_a_deactivation_for_good(app: App, ada: Person) -> None:
    challenge, of = (await ada.challenge())["challenge"], f"{ada.client}/users/{ada.id}"
    await act_on(app, f"{of}/deactivate")
    check_refusal(await ada.go_on(challenge, otp=ada.code()), 401, "INVALID_TOKEN")
    await act_on(app, f"{of}/restore")
    check_refusal(await ada.go_on(challenge, otp=ada.code()), 401, "INVALID_TOKEN")


async def test_a_suspended_client_lets_no_answer_in_and_enrolls_nothing(app: App) -> None:
    ada = await person(app, **REQUIRED)
    challenge = (await ada.challenge())["challenge"]
    await act_on(app, f"{ada.client}/suspend")
    reply = await app.post(f"{SIGN_IN}/enrol", {"challenge": challenge, "method": "totp"})
    check_refusal(reply, 403, "ACCOUNT_DISABLED")
    check_refusal(await ada.go_on(challenge, otp="123456"), 403, "ACCOUNT_DISABLED")


async def test_a_challenge_ends_with_a_change_of_factors(app: App) -> None:
    ada = await person(app, **REQUIRED)
    older = (await ada.challenge())["challenge"]
    await ada.enrol_at_sign_in()
    check_refusal(await ada.go_on(older, otp=ada.code()), 401, "INVALID_TOKEN")


async def test_of_fifty_answers_at_the_same_time_one_is_in(app: App, ada: Person) -> None:
    before, otp = await sessions_of(ada), ada.code()
    challenge = (await ada.challenge())["challenge"]
    replies = await asyncio.gather(*(ada.go_on(challenge, otp=otp) for _ in range(50)))
    assert [reply.status for reply in replies].count(200) == 1
    assert {reply.code for reply in replies if reply.status != 200} <= {"INVALID_TOKEN", "RATE_LIMITED"}
    assert await sessions_of(ada) == before + 1


async def test_of_fifty_sign_ins_with_one_code_at_the_same_time_one_is_in(app: App) -> None:
    ada = await enrolled(app)
    challenges = []
    for _ in range(4):
        challenges.append((await ada.challenge())["challenge"])
    before, otp = await sessions_of(ada), ada.code()
    replies = await asyncio.gather(*(ada.go_on(challenges[n % 4], otp=otp) for n in range(50)))
    assert [reply.status for reply in replies].count(200) == 1
    assert await sessions_of(ada) == before + 1


async def test_of_fifty_enrollments_at_the_same_time_one_is_in(app: App) -> None:
    ada = await person(app, **REQUIRED)
    challenge = (await ada.challenge())["challenge"]
    begun = check_success(await app.post(f"{SIGN_IN}/enrol", {"challenge": challenge, "method": "totp"}))
    ada.phone = Phone(app, begun["secret"])
    otp = ada.code()
    replies = await asyncio.gather(*(ada.go_on(challenge, otp=otp) for _ in range(50)))
    assert [reply.status for reply in replies].count(200) == 1
    assert len(await rows(app, "recovery_codes", "key", user_id=ada.id)) == 10


async def test_a_password_that_is_hashed_again_leaves_the_challenges_open(app: App, ada: Person) -> None:
    older = (await ada.challenge())["challenge"]
    [(ours,)] = await rows(app, "users", "password_hash", id=ada.id)
    await change_rows(app, "users", {"id": ada.id}, password_hash=argon2(PASSWORD))
    check_refusal(
        await ada.go_on(older, otp=ada.code()), 401, "INVALID_TOKEN"
    )  # looks the same as a different password
    challenge = (await ada.challenge())["challenge"]
    [(fresh,)] = await rows(app, "users", "password_hash", id=ada.id)
    assert fresh.partition("p=")[0] == ours.partition("p=")[0]
    check_success(await ada.go_on(challenge, otp=ada.code()))


async def test_the_attempt_stays_counted_until_the_answer_is_right(app: App) -> None:
    ada = await enrolled(app)
    for _ in range(5):
        challenge = (await ada.challenge())["challenge"]
    check_refusal(await ada.sign_in(), 429, "RATE_LIMITED")
    check_success(await ada.go_on(challenge, otp=ada.code()))
    check_refusal(await ada.sign_in(), 401, "MFA_REQUIRED")


async def test_who_has_a_factor_is_asked_whatever_the_policy(app: App, ada: Person) -> None:
    for policy in ("off", "optional", "required"):
        await settle(app, ada.client, secondFactor={"policy": policy})
        assert tuple(await ada.fields()) == ONE_OF_TWO, policy
        check_success(await ada.sign_in(otp=ada.code()))


async def test_a_sign_in_with_a_code_is_counted_once(app: App, ada: Person) -> None:
    def counted() -> list[float]:
        name = "manifest_sign_ins_total"
        return [app.sample(name, method="password", result=of) or 0 for of in ("ok", "second_factor", "failed")]

    before = counted()
    await ada.sign_in(otp=ada.code())
    challenge = (await ada.challenge())["challenge"]
    await ada.go_on(challenge, otp=ada.wrong())
    await ada.go_on(challenge, otp=ada.code())
    assert [now - was for was, now in zip(before, counted(), strict=True)] == [2, 1, 1]
