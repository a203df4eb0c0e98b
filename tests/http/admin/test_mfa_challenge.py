"""A correct password without the code returns ``MFA_REQUIRED``, and a challenge continues the sign-in."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.application import PASSWORD, Reply
from tests.support.envelope import check_refusal, check_success, same_but_request_id
from tests.support.matrix import matrix
from tests.support.system_admins import AUTH, Phone, SystemAdmin, another, enrolled, events, sign_in, signed_in_admin

pytestmark = pytest.mark.one_store

FACTOR = f"{AUTH}/second-factor"
PROOF = {"password": PASSWORD}


async def due(me: SystemAdmin, otp: str | None = None) -> dict[str, Any]:
    return check_refusal(await sign_in(me.app, me.username, otp=otp), 401, "MFA_REQUIRED")


async def go_on(me: SystemAdmin, challenge: str, otp: str) -> Reply:
    return await me.app.post(f"{AUTH}/sign-in/continue", {"challenge": challenge, "otp": otp})


@matrix("recovers", [False, True])
async def test_a_challenge_and_a_code_sign_in_once(me: SystemAdmin, recovers: bool) -> None:
    phone = await enrolled(me)
    challenge = (await due(me))["challenge"]
    code = phone.recovery_codes[0] if recovers else phone.code()
    data = check_success(await go_on(me, challenge, code))
    check_success(await me.app.get(f"{AUTH}/me", token=data["token"]))
    me.app.clock.advance(30)
    check_refusal(await go_on(me, challenge, phone.code()), 401, "INVALID_TOKEN")


async def test_an_incorrect_code_keeps_the_challenge_valid(me: SystemAdmin) -> None:
    phone = await enrolled(me)
    challenge = (await due(me))["challenge"]
    again = check_refusal(await go_on(me, challenge, phone.wrong()), 401, "MFA_REQUIRED")
    assert again["challenge"] == challenge
    me.app.clock.advance(299)
    check_success(await go_on(me, challenge, phone.code()))


async def test_it_expires_after_five_minutes_or_a_password_change(me: SystemAdmin) -> None:
    phone = await enrolled(me)
    first = (await due(me))["challenge"]
    me.app.clock.advance(300)
    check_refusal(await go_on(me, first, phone.code()), 401, "TOKEN_EXPIRED")
    second = (await due(me))["challenge"]
    body = {"currentPassword": PASSWORD, "newPassword": "granite-otter-47-lantern", "otp": phone.code()}
    check_success(await me.post(f"{AUTH}/password", body))
    me.app.clock.advance(30)
    check_refusal(await go_on(me, second, phone.code()), 401, "INVALID_TOKEN")


async def test_an_invalid_challenge_or_another_admins_is_rejected(me: SystemAdmin) -> None:
    phone, other = await enrolled(me), await another(await signed_in_admin(me.app))
    theirs = await enrolled(other)
    challenge = (await due(other))["challenge"]
    check_refusal(await go_on(me, challenge, phone.code()), 401, "MFA_REQUIRED")  # it's the other admin's challenge
    token = (await signed_in_admin(me.app)).token
    for forged in ("x", "AQ" * 40, challenge[:-4] + "AAAA", challenge + "AA", token, "é"):
        check_refusal(await go_on(other, forged, theirs.code()), 401, "INVALID_TOKEN")
    for path in (f"{AUTH}/me", "/api/client/auth/me"):
        check_refusal(await me.app.get(path, token=challenge), 401, "INVALID_TOKEN")
    check_refusal(await me.app.post(f"{AUTH}/refresh", {"refreshToken": challenge}), 401, "INVALID_TOKEN")


async def test_a_wrong_password_looks_the_same_with_and_without_a_second_factor(me: SystemAdmin) -> None:
    plain = await another(await signed_in_admin(me.app))
    phone = await enrolled(me)
    replies = [
        await sign_in(me.app, name, "wrong", otp)
        for name, otp in ((me.username, None), (me.username, phone.code()), (plain.username, None), ("nobody", None))
    ]
    for reply in replies:
        check_refusal(reply, 401, "INVALID_CREDENTIALS")
        same_but_request_id(reply, replies[0])


async def test_guesses_with_a_challenge_count_like_passwords(me: SystemAdmin) -> None:
    phone = await enrolled(me)
    challenge = (await due(me))["challenge"]
    codes = [(await go_on(me, challenge, phone.wrong())).code for _ in range(6)]
    assert codes == ["MFA_REQUIRED"] * 4 + ["RATE_LIMITED"] * 2
    assert (await go_on(me, challenge, phone.code())).code == "RATE_LIMITED"
    assert (await sign_in(me.app, me.username, otp=phone.code())).code == "RATE_LIMITED"
    mine = [
        detail for event, _, who, detail in await events(me.app) if (event, who) == ("sign_in_failed", f"admin:{me.id}")
    ]
    assert [detail["why"] for detail in mine] == ["no code", *["wrong code"] * 4]


async def test_a_disabled_admin_gets_an_error_only_after_the_password(me: SystemAdmin) -> None:
    phone, root = await enrolled(me), await signed_in_admin(me.app)
    challenge = (await due(me))["challenge"]
    check_success(await root.post(f"/api/admin/admins/{me.id}/disable"))
    check_refusal(await go_on(me, challenge, phone.code()), 403, "ACCOUNT_DISABLED")


async def test_enrollment_is_counted_and_recorded_like_a_password(me: SystemAdmin) -> None:
    """A stolen token can't be used to guess the first code or to read recovery codes."""
    made = check_success(await me.post(FACTOR, PROOF), 201)
    phone = Phone(me.app, made["secret"])
    check_refusal(await me.post(f"{FACTOR}/confirm", {"otp": phone.code()}), 400, "VALIDATION_ERROR")
    wrong = {"password": "wrong", "otp": phone.code()}
    check_refusal(await me.post(f"{FACTOR}/confirm", wrong), 401, "INVALID_CREDENTIALS")
    guess = {**PROOF, "otp": phone.wrong()}
    codes = [(await me.post(f"{FACTOR}/confirm", guess)).code for _ in range(6)]
    assert codes == ["VALIDATION_ERROR"] * 4 + ["RATE_LIMITED"] * 2
    check_refusal(await me.post(f"{FACTOR}/confirm", {**PROOF, "otp": phone.code()}), 429, "RATE_LIMITED")
    mine = [(event, detail) for event, _, subject, detail in await events(me.app) if subject == f"admin:{me.id}"]
    told = [event for event, _ in mine if event not in ("signed_in", "admin_created")]
    assert told == ["second_factor_begun", *["password_check_failed"] * 5, *["throttled"] * 3]
    assert [detail.get("why") for event, detail in mine if event == "password_check_failed"] == [
        None, *["wrong first code"] * 4,
    ]  # fmt: skip
    me.app.clock.advance(700)
    check_success(await me.post(f"{FACTOR}/confirm", {**PROOF, "otp": phone.code()}))
