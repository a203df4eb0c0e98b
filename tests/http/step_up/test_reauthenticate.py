"""A user re-authenticates by password, code, or recovery code; the session stays, and all factors are required."""

from __future__ import annotations

from functools import partial

import pytest

from tests.support.accounts import trail
from tests.support.application import PASSWORD, App, Reply
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.rules import rule
from tests.support.second_factors import REQUIRED, Person, person

pytestmark = pytest.mark.one_store

AGAIN = "/api/client/auth/reauthenticate"
MINUTE = 60


async def act(app: App, token: str) -> Reply:
    """An action that every client protects: unlinking an identity, here one that doesn't exist."""
    return await app.send("DELETE", "/api/client/auth/identities/1", token=token)


def check_asked(reply: Reply) -> list[str]:
    """The methods that the error names."""
    error = check_refusal(reply, 403, "REAUTHENTICATION_REQUIRED")
    assert reply.headers["www-authenticate"] == 'Bearer error="insufficient_user_authentication", max_age="600"'
    return [detail["field"] for detail in error["details"]]


async def signed_in(ada: Person) -> tuple[str, str]:
    """Token and refresh token."""
    data = check_success(await ada.sign_in())
    return data["token"], data["refreshToken"]


async def with_a_factor(app: App) -> tuple[Person, str, list[str]]:
    """A user with an authenticator app who authenticated ten minutes ago; returns token and recovery codes."""
    ada = await person(app, **REQUIRED)
    data = await ada.enrol_at_sign_in()
    app.clock.advance(10 * MINUTE)
    return ada, data["token"], data["recoveryCodes"]


async def test_ten_minutes_after_the_password_it_is_asked_for_again(app: App) -> None:
    token, _ = await signed_in(await person(app))
    app.clock.advance(10 * MINUTE - 0.001)
    check_refusal(await act(app, token), 404, "NOT_FOUND")
    app.clock.advance(0.001)
    assert check_asked(await act(app, token)) == ["password"]
    done = check_success(await app.post(AGAIN, {"password": PASSWORD}, token=token))
    assert done["amr"] == ["pwd"]
    session = (await app.me(token)).data["session"]
    assert (session["amr"], session["authenticatedAt"]) == (["pwd"], done["authenticatedAt"])
    check_refusal(await act(app, token), 404, "NOT_FOUND")


async def test_a_session_that_ends_in_the_meantime_is_not_proved(app: App) -> None:
    token, _ = await signed_in(await person(app))
    ends = partial(app.post, "/api/client/auth/sign-out", token=token)
    late = await app.send("POST", AGAIN, {"password": PASSWORD}, token=token, meanwhile=ends)
    check_refusal(late, 401, "INVALID_TOKEN")


@rule("RECENT-PROOF")
async def test_refresh_never_moves_the_proof(app: App) -> None:
    token, refresh = await signed_in(await person(app))
    before = (await app.me(token)).data["session"]["authenticatedAt"]
    app.clock.advance(10 * MINUTE)
    fresh = check_success(await app.refresh(refresh))["token"]
    assert (await app.me(fresh)).data["session"]["authenticatedAt"] == before
    assert check_asked(await act(app, fresh)) == ["password"]


async def test_a_wrong_password_verifies_nothing_and_is_recorded(app: App) -> None:
    ada = await person(app)
    token, _ = await signed_in(ada)
    app.clock.advance(10 * MINUTE)
    check_refusal(await app.post(AGAIN, {"password": "another-password-1"}, token=token), 401, "INVALID_CREDENTIALS")
    assert check_asked(await act(app, token)) == ["password"]
    check_success(await app.post(AGAIN, {"password": PASSWORD}, token=token))
    events = [one for one in await trail(app, ada.client) if one.event.startswith("reauthent")]
    assert [(one.event, one.subject) for one in events] == [
        ("reauthentication_failed", f"user:{ada.id}"), ("reauthenticated", f"user:{ada.id}"),
    ]  # fmt: skip
    assert PASSWORD not in str(events)


async def test_guesses_are_throttled(app: App) -> None:
    token, _ = await signed_in(await person(app))
    codes = [(await app.post(AGAIN, {"password": f"wrong-password-{n}"}, token=token)).code for n in range(12)]
    assert codes[0] == "INVALID_CREDENTIALS"
    assert codes[-1] == "RATE_LIMITED"


@rule("RECENT-PROOF")
async def test_with_a_factor_it_takes_both(app: App) -> None:
    ada, token, _ = await with_a_factor(app)
    assert check_asked(await act(app, token)) == ["password", "otp", "recoveryCode"]
    check_refusal(await app.post(AGAIN, {"password": PASSWORD}, token=token), 400, "VALIDATION_ERROR")
    assert ada.phone is not None
    check_refusal(await app.post(AGAIN, {"otp": ada.phone.code()}, token=token), 400, "VALIDATION_ERROR")
    wrong = await app.post(AGAIN, {"password": PASSWORD, "otp": ada.phone.wrong()}, token=token)
    assert check_refusal(wrong, 401, "INVALID_CREDENTIALS")["details"][0]["field"] == "otp"
    check_asked(await act(app, token))
    done = check_success(await app.post(AGAIN, {"password": PASSWORD, "otp": ada.phone.code()}, token=token))
    assert done["amr"] == ["pwd", "otp", "mfa"]
    check_refusal(await act(app, token), 404, "NOT_FOUND")
    twice = await app.post(AGAIN, {"password": PASSWORD, "otp": ada.phone.code()}, token=token)
    check_refusal(twice, 401, "INVALID_CREDENTIALS")


async def test_a_recovery_code_proves_it_once(app: App) -> None:
    _, token, codes = await with_a_factor(app)
    body = {"password": PASSWORD, "recoveryCode": codes[0]}
    assert check_success(await app.post(AGAIN, body, token=token))["amr"] == ["pwd", "recovery", "mfa"]
    check_refusal(await app.post(AGAIN, body, token=token), 401, "INVALID_CREDENTIALS")


async def test_a_trusted_browser_verifies_nothing_until_its_code(app: App) -> None:
    ada, _, _ = await with_a_factor(app)
    assert ada.phone is not None
    due = await ada.challenge()
    trusted = (await ada.go_on(due["challenge"], otp=ada.phone.code(), trust=True)).cookie("trust")
    body = {"email": ada.email, "password": PASSWORD}
    headers = {"X-Client-ID": ada.client, "Cookie": f"trust={trusted}"}
    token = check_success(await app.post("/api/client/auth/sign-in", body, headers=headers))["token"]
    assert (await app.me(token)).data["session"]["amr"] == ["pwd", "trusted"]
    check_asked(await act(app, token))
    app.clock.advance(2 * MINUTE)
    done = check_success(await app.post(AGAIN, {"otp": ada.phone.code()}, token=token))
    assert done["amr"] == ["pwd", "otp", "mfa"]
    check_refusal(await act(app, token), 404, "NOT_FOUND")
    app.clock.advance(8 * MINUTE)  # the password is now ten minutes old, the code eight
    check_asked(await act(app, token))


@matrix("body", [{}, {"otp": "123456"}, {"password": PASSWORD, "otp": "1", "recoveryCode": "2"}])
async def test_what_proves_too_little_or_too_much_is_no_attempt(app: App, body: dict[str, str]) -> None:
    token, _ = await signed_in(await person(app))
    app.clock.advance(10 * MINUTE)
    check_refusal(await app.post(AGAIN, body, token=token), 400, "VALIDATION_ERROR")
    assert check_asked(await act(app, token)) == ["password"]


async def test_anothers_password_code_and_recovery_code_are_rejected(app: App) -> None:
    _, token, _ = await with_a_factor(app)
    eve, _, codes = await with_a_factor(app)
    assert eve.phone is not None
    for answer in ({"otp": eve.phone.code()}, {"recoveryCode": codes[0]}):
        body = {"password": PASSWORD, **answer}
        check_refusal(await app.post(AGAIN, body, token=token), 401, "INVALID_CREDENTIALS")
    check_asked(await act(app, token))


async def test_a_change_of_password_asks_only_who_has_a_factor(app: App) -> None:
    change, new = "/api/client/auth/password", "another-harbor-22-violet"
    plain, _ = await signed_in(await person(app))
    _, guarded, _ = await with_a_factor(app)
    app.clock.advance(10 * MINUTE)
    body = {"currentPassword": PASSWORD, "newPassword": new}
    check_asked(await app.post(change, body, token=guarded))
    check_success(await app.post(change, body, token=plain))
