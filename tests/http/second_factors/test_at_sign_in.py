"""A sign-in that needs a second factor: the challenge, the enrolment that is due, and the answer."""

from __future__ import annotations

from typing import Any

from tests.support.application import App
from tests.support.envelope import check_refusal, check_success
from tests.support.second_factors import person

REQUIRED: dict[str, Any] = {"secondFactor": {"policy": "required", "graceDays": 0}}


async def test_an_app_is_enrolled_at_the_sign_in_that_requires_it_and_asked_for_from_then_on(app: App) -> None:
    ada = await person(app, **REQUIRED)
    due = await ada.challenge()
    assert [detail["field"] for detail in due["details"]] == ["enrol"]
    assert due["methods"] == ["totp"]  # browsers make no passkeys at an IP address
    data = await ada.enrol_at_sign_in()
    assert len(data["recoveryCodes"]) == 10
    assert (await app.get("/api/client/auth/me", token=data["token"])).data["session"]["amr"] == ["pwd", "otp", "mfa"]
    again = await ada.challenge()
    assert [detail["field"] for detail in again["details"]] == ["otp", "recoveryCode"]
    assert ada.phone is not None
    app.clock.advance(30)
    check_success(await ada.go_on(again["challenge"], otp=ada.phone.code()))
    check_refusal(await ada.go_on(again["challenge"], otp=ada.phone.code(1)), 401, "INVALID_TOKEN")
