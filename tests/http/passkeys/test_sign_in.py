"""A passkey is enough to sign in without email and password, and counts as two factors."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.accounts import act_on, new_client, settle, trail
from tests.support.application import App
from tests.support.authenticator import BE, BS, EDDSA, ES256, RS256, UP, UV, Altered
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.passkeys import COOKIE, PASSKEYS, PUBLIC, with_passkey
from tests.support.rules import rule
from tests.support.second_factors import SIGN_IN

pytestmark = [pytest.mark.settings(**PUBLIC), pytest.mark.usefixtures("another_day"), pytest.mark.one_store]


@matrix("algorithm", [ES256, EDDSA, RS256])
async def test_a_passkey_alone_signs_in_as_two_factors(app: App, algorithm: int) -> None:
    ada = await with_passkey(app, algorithm=algorithm)
    data = check_success(await ada.sign_in())
    assert data["user"]["id"] == ada.person.id
    session = (await app.me(data["token"])).data["session"]
    assert (session["method"], session["amr"]) == ("passkey", ["passkey", "mfa"])
    assert session["authenticatedAt"] == session["signedInAt"]
    last = (await trail(app, ada.person.client))[-1]
    assert (last.event, last.members["method"], last.members["amr"]) == ("signed_in", "passkey", ["passkey", "mfa"])


async def test_passkeys_that_are_right_count_as_no_attempt(app: App) -> None:
    """Otherwise, everyone at an address would be blocked after fifty sign-ins."""
    ada = await with_passkey(app)
    assert {(await ada.sign_in()).status for _ in range(60)} == {200}


@rule("PASSKEY-NAMES-NO-ONE")
async def test_the_options_name_no_one_and_ask_for_user_verification(app: App) -> None:
    ada = await with_passkey(app)
    found = await ada.options()
    assert found["rpId"] == "login.example.com"
    assert found["allowCredentials"] == []
    assert found["userVerification"] == "required"
    assert found["timeout"] == 300_000
    assert found["challenge"] != (await ada.options())["challenge"]
    reply = await app.post(f"{SIGN_IN}/passkey/options", {"email": ada.person.email})
    check_refusal(reply, 400, "VALIDATION_ERROR")


@rule("PASSKEY-CHALLENGE")
async def test_a_challenge_is_used_up_by_one_right_answer(app: App) -> None:
    ada = await with_passkey(app)
    answer = ada.browser.get(await ada.options())
    replies = await asyncio.gather(*(ada.send(answer) for _ in range(10)))
    assert sorted(reply.status for reply in replies) == [200] + [401] * 9
    events = [event.event for event in await trail(app, ada.person.client)]
    assert "passkey_counter_regressed" not in events
    check_success(await ada.sign_in())


async def test_a_challenge_is_good_for_ten_minutes(app: App) -> None:
    ada = await with_passkey(app)
    soon, late = ada.browser.get(await ada.options()), ada.browser.get(await ada.options())
    app.clock.advance(599)
    check_success(await ada.send(soon))
    app.clock.advance(1)
    check_refusal(await ada.send(late), 401, "INVALID_CREDENTIALS")


@rule("PASSKEY-CHALLENGE")
async def test_a_challenge_is_good_for_the_browser_that_asked_alone(app: App) -> None:
    """Otherwise, another site could sign a person in to the attacker's account."""
    ada, eve = await with_passkey(app), await with_passkey(app)
    answer = eve.browser.get(await eve.options())
    await ada.options()
    check_refusal(await ada.send(answer), 401, "INVALID_CREDENTIALS")
    ada.cookie = ""
    check_refusal(await ada.send(answer), 401, "INVALID_CREDENTIALS")
    check_success(await eve.send(answer))


async def test_the_cookie_is_for_this_host_alone_and_kept(app: App) -> None:
    reply = await app.post(f"{SIGN_IN}/passkey/options", {})
    [line] = reply.headers.get_list("set-cookie")
    assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= {part.strip() for part in line.split(";")}
    cookie = {"Cookie": f"{COOKIE}={reply.cookie(COOKIE)}"}
    assert not (await app.post(f"{SIGN_IN}/passkey/options", {}, headers=cookie)).headers.get_list("set-cookie")


async def test_an_unknown_credential_is_said_to_be_unknown(app: App) -> None:
    ada = await with_passkey(app)
    check_success(await app.send("DELETE", f"{PASSKEYS}/{ada.ids[0]}", token=ada.token))
    error = check_refusal(await ada.sign_in(), 401, "INVALID_CREDENTIALS")
    assert error["details"] == [{"field": "credential", "message": "unknown"}]


@rule("PASSKEY-NAMES-NO-ONE")
async def test_another_clients_passkey_does_not_sign_in_where_a_client_is_named(app: App) -> None:
    ada, other = await with_passkey(app), await new_client(app)
    ada.headers = {"X-Client-ID": other}
    error = check_refusal(await ada.sign_in(), 401, "INVALID_CREDENTIALS")
    assert "details" not in error
    assert ada.person.client not in error["message"]
    ada.headers = {"X-Client-ID": ada.person.client}
    check_success(await ada.sign_in())


async def test_where_the_client_does_not_want_it_a_passkey_alone_does_not_sign_in(app: App) -> None:
    ada = await with_passkey(app)
    await settle(app, ada.person.client, passkeySignIn=False)
    check_refusal(await ada.sign_in(), 401, "INVALID_CREDENTIALS")
    due = await ada.person.challenge()
    answer = ada.browser.get(await ada.options(due["challenge"]))
    check_success(await ada.person.go_on(due["challenge"], passkey=answer))


async def test_where_no_one_signs_in_with_a_password_a_passkey_does_so_only_if_the_client_says_so(app: App) -> None:
    """Otherwise, former employees could bypass the company's provider."""
    ada = await with_passkey(app)
    await settle(app, ada.person.client, passwordSignIn=False)
    check_refusal(await ada.sign_in(), 401, "INVALID_CREDENTIALS")
    await settle(app, ada.person.client, passkeySignIn=True)
    check_success(await ada.sign_in())


async def test_who_is_deactivated_cannot_sign_in(app: App) -> None:
    ada = await with_passkey(app)
    await act_on(app, f"{ada.person.client}/users/{ada.person.id}/deactivate")
    check_refusal(await ada.sign_in(), 403, "ACCOUNT_DISABLED")


@rule("PASSKEY-VERIFIED")
async def test_a_counter_has_to_go_on_or_to_stay_at_zero(app: App) -> None:
    ada = await with_passkey(app, counts=True)
    for counter in (1, 2, 7):
        check_success(await ada.sign_in(Altered(counter=counter)))
    for counter in (7, 6, 0):
        check_refusal(await ada.sign_in(Altered(counter=counter)), 401, "INVALID_CREDENTIALS")
        found = await trail(app, ada.person.client)
        assert "passkey_counter_regressed" in [event.event for event in found[-2:]]
    check_success(await ada.sign_in(Altered(counter=8)))  # the passkey is kept
    zero = await with_passkey(app)
    for _ in range(3):
        check_success(await zero.sign_in())


@rule("PASSKEY-VERIFIED")
async def test_of_answers_with_one_counter_one_is_in(app: App) -> None:
    ada = await with_passkey(app, counts=True)
    answers = [ada.browser.get(await ada.options(), Altered(counter=5)) for _ in range(8)]
    replies = await asyncio.gather(*(ada.send(answer) for answer in answers))
    assert sorted(reply.status for reply in replies) == [200] + [401] * 7


async def test_a_synced_passkey_stays_synced(app: App) -> None:
    """The backup eligibility never changes, but the backup state can (section 6.1.3)."""
    single, synced = await with_passkey(app, flags=UP | UV), await with_passkey(app, flags=UP | UV | BE)
    check_success(await single.sign_in())
    check_refusal(await single.sign_in(Altered(flags=UP | UV | BE)), 401, "INVALID_CREDENTIALS")
    check_refusal(await single.sign_in(Altered(flags=UP | UV | BS)), 401, "INVALID_CREDENTIALS")
    check_success(await synced.sign_in(Altered(flags=UP | UV | BE | BS)))
    check_refusal(await synced.sign_in(Altered(flags=UP | UV)), 401, "INVALID_CREDENTIALS")


@rule("PASSKEY-NAMES-NO-ONE")
async def test_wrong_answers_from_one_address_have_to_wait(app: App) -> None:
    ada = await with_passkey(app)
    for _ in range(60):
        reply = await ada.sign_in(Altered(origin="https://evil.example"))
        if reply.status == 429:
            break
    check_refusal(reply, 429, "RATE_LIMITED")


@rule("PASSKEY-NAMES-NO-ONE")
async def test_options_are_limited_by_address_and_nothing_is_stored_for_them(app: App) -> None:
    ada = await with_passkey(app)
    replies = [await app.post(f"{SIGN_IN}/passkey/options", {}) for _ in range(605)]
    assert [reply.status for reply in replies[:600]] == [200] * 600
    check_refusal(replies[-1], 429, "RATE_LIMITED")
    app.clock.advance(61)
    check_success(await ada.sign_in())
