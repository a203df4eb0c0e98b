"""Guessing codes after a correct password is rate-limited by account and origin, recorded, and reported by email."""

from __future__ import annotations

import pytest

from tests.support.application import App
from tests.support.attempt_limits import ACCOUNT, ORIGIN, PROXY, addresses
from tests.support.envelope import check_refusal, check_success
from tests.support.mail_server import MailServer
from tests.support.second_factors import REQUIRED, Person, enrolled, mails_queued, person
from tests.support.user_management import reset

pytestmark = [
    pytest.mark.settings(**PROXY),
    pytest.mark.mail,
    pytest.mark.usefixtures("another_day"),
    pytest.mark.one_store,
]
WARNING = "someone might know your password"
DAY = 86_400


@pytest.fixture
async def ada(app: App, mail_server: MailServer) -> Person:
    who = await enrolled(app)
    await mail_server.mail_to(who.email, "a second factor was set up")
    return who


async def guess(who: Person, times: int, pause: int = 0) -> None:
    """Send this many wrong codes, each in a separate sign-in, ``pause`` seconds apart."""
    for _ in range(times):
        who.app.clock.advance(pause)
        challenge = (await who.challenge())["challenge"]
        check_refusal(await who.go_on(challenge, otp=who.wrong()), 401, "MFA_REQUIRED")


async def test_after_the_free_tries_an_origin_has_to_wait_whatever_the_challenge(app: App, ada: Person) -> None:
    challenge = (await ada.challenge())["challenge"]
    other = (await ada.challenge())["challenge"]
    for challenge_of in (challenge, other, challenge, other, challenge)[: ORIGIN.free]:
        check_refusal(await ada.go_on(challenge_of, otp=ada.wrong()), 401, "MFA_REQUIRED")
    reply = await ada.go_on(other, otp=ada.wrong())
    check_refusal(reply, 429, "RATE_LIMITED")
    assert int(reply.headers["retry-after"]) == 1
    [event] = await ada.events("throttled")
    assert event["method"] == "second_factor"
    check_success(await ada.go_on(other, otp=ada.code()))  # the wait didn't count as an attempt at the challenge


async def test_an_account_under_attack_is_open_to_a_device_that_signed_in_before(ada: Person) -> None:
    device = f"device={(await ada.sign_in(otp=ada.code())).cookie('device')}"
    challenges = [(await ada.challenge())["challenge"] for _ in range(3)]
    otp = ada.code()
    for number, address in enumerate(addresses(ACCOUNT.free)):
        await ada.go_on(challenges[number % 2], at=address, otp=ada.wrong())
    check_refusal(await ada.go_on(challenges[2], at="198.51.100.9", otp=otp), 429, "RATE_LIMITED")
    check_success(await ada.go_on(challenges[2], at="198.51.100.9", cookies=device, otp=otp))


async def test_the_fifth_wrong_code_in_a_day_sends_one_email(ada: Person, mail_server: MailServer) -> None:
    with mails_queued(ada.app) as queued:
        await guess(ada, 4, pause=1000)
        assert queued == []
        await guess(ada, 1, pause=1000)
        mail = await mail_server.mail_to(ada.email, WARNING)
        assert "from the IP address 192.0.2.1." in mail.text
        await guess(ada, 4, pause=2000)
        assert len(queued) == 1
        await guess(ada, 6, pause=2000)
    assert queued == [(ada.email, "second_factor_failed")] * 2  # the fifth and the tenth, but not the fifteenth


async def test_the_answer_that_ends_a_challenge_is_told_too(ada: Person, mail_server: MailServer) -> None:
    challenge = (await ada.challenge())["challenge"]
    for code in ["MFA_REQUIRED"] * 4 + ["INVALID_TOKEN"]:
        check_refusal(await ada.go_on(challenge, otp=ada.wrong()), 401, code)
    await mail_server.mail_to(ada.email, WARNING)


async def test_the_owners_own_sign_ins_do_not_hide_the_guesses_and_a_quiet_day_does(
    ada: Person, mail_server: MailServer
) -> None:
    await guess(ada, 4)
    check_success(await ada.sign_in(otp=ada.code()))
    await guess(ada, 1)
    await mail_server.mail_to(ada.email, WARNING)
    with mails_queued(ada.app) as queued:
        for _ in range(2):
            ada.app.clock.advance(DAY + 1)
            await guess(ada, 4)
    assert queued == []


async def test_wrong_codes_behind_a_link_say_nothing_of_the_password(ada: Person, mail_server: MailServer) -> None:
    token = await started(ada, mail_server)
    challenge = check_refusal(await reset(ada.app, token), 401, "MFA_REQUIRED")["challenge"]
    with mails_queued(ada.app) as queued:
        for code in ["MFA_REQUIRED"] * 4 + ["INVALID_TOKEN"]:
            check_refusal(await ada.go_on(challenge, otp=ada.wrong()), 401, code)
    assert queued == []


async def started(who: Person, mail_server: MailServer) -> str:
    """The token of an emailed reset link."""
    path = f"/api/admin/clients/{who.client}/users/{who.id}/password-reset"
    check_success(await who.app.post(path, {}, token=await who.app.admin_token()), 201)
    return (await mail_server.mail_to(who.email)).token


async def test_a_used_recovery_code_is_told_with_how_many_are_left(ada: Person, mail_server: MailServer) -> None:
    challenge = (await ada.challenge())["challenge"]
    check_success(await ada.go_on(challenge, recoveryCode=ada.recovery_codes[0]))
    mail = await mail_server.mail_to(ada.email, "a recovery code was used")
    assert "9 recovery codes are left." in mail.text
    assert await ada.events("recovery_code_used") == [{}]


async def test_what_was_enrolled_is_told_with_how_to_undo_it(app: App, mail_server: MailServer) -> None:
    ada = await person(app, **REQUIRED)
    await ada.enrol_at_sign_in()
    mail = await mail_server.mail_to(ada.email, "a second factor was set up")
    assert "An authenticator app was set up" in mail.text
    assert "from the IP address 192.0.2.1." in mail.text
    assert "Ask your administrator to reset your second factors" in mail.text
    assert await ada.events("second_factor_enrolled") == [{"factor": "totp"}]
