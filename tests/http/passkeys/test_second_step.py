"""A passkey as the second step: offered to the browser, checked with its own challenge, or enrolled if required."""

from __future__ import annotations

from typing import Any

import pytest

from tests.http.passkeys.altered_passkeys import SIGNED, UNDERWAY
from tests.support.accounts import settle, trail
from tests.support.application import App
from tests.support.authenticator import Altered, Authenticator
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.passkeys import ORIGIN, PUBLIC, Holder, with_passkey
from tests.support.rules import rule
from tests.support.second_factors import SIGN_IN, Person, person

pytestmark = [pytest.mark.settings(**PUBLIC), pytest.mark.usefixtures("another_day"), pytest.mark.one_store]
REQUIRED = {"secondFactor": {"policy": "required", "graceDays": 0}}


@pytest.fixture(scope="module")
async def ada(app: App) -> Holder:
    return await with_passkey(app)


async def _due(holder: Holder) -> str:
    return str((await holder.person.challenge())["challenge"])


async def test_a_passkey_answers_the_second_step(app: App, ada: Holder) -> None:
    due = await ada.person.challenge()
    assert [detail["field"] for detail in due["details"]] == ["passkey", "recoveryCode"]
    options = await ada.options(due["challenge"])
    assert [one["id"] for one in options["allowCredentials"]] == [ada.browser.made[0].id]
    assert options["allowCredentials"][0]["transports"] == ["hybrid", "internal"]
    assert options["userVerification"] == "required"
    data = check_success(await ada.person.go_on(due["challenge"], passkey=ada.browser.get(options)))
    session = (await app.me(data["token"])).data["session"]
    assert (session["method"], session["amr"]) == ("password", ["pwd", "passkey", "mfa"])


async def test_no_user_handle_is_needed_where_the_passkeys_were_named(ada: Holder) -> None:
    challenge = await _due(ada)
    answer = ada.browser.get(await ada.options(challenge), Altered(response={"userHandle": None}))
    check_success(await ada.person.go_on(challenge, passkey=answer))


@rule("PASSKEY-VERIFIED")
@matrix("what", [name for name in (*SIGNED, *UNDERWAY) if name != "no user handle"])
async def test_an_answer_that_is_wrong_in_one_place_is_rejected(app: App, ada: Holder, what: str) -> None:
    challenge = await _due(ada)
    options = await ada.options(challenge)
    answer = ada.browser.get(options, SIGNED.get(what, Altered()))
    if what in UNDERWAY:
        UNDERWAY[what](answer)
    error = check_refusal(await ada.person.go_on(challenge, passkey=answer), 401, "MFA_REQUIRED")
    assert error["challenge"] == challenge
    check_success(await ada.person.go_on(challenge, passkey=ada.browser.get(options)))


@rule("PASSKEY-CHALLENGE")
async def test_an_answer_counts_for_its_own_user_and_challenge_alone(app: App, ada: Holder) -> None:
    eve = await with_passkey(app, ada.person.client)
    hers, his = await _due(ada), await _due(eve)
    for_her, for_him = await ada.options(hers), await eve.options(his)
    wrong: list[dict[str, Any]] = [
        eve.browser.get(for_him),
        eve.browser.get({**for_her, "allowCredentials": []}),
        ada.browser.get(await ada.options()),  # from a passkey-only sign-in
        ada.browser.get({**for_him, "allowCredentials": []}),
    ]
    for answer in wrong:
        check_refusal(await ada.person.go_on(hers, passkey=answer), 401, "MFA_REQUIRED")
    check_success(await ada.person.go_on(hers, passkey=ada.browser.get(for_her)))
    check_success(await eve.person.go_on(his, passkey=eve.browser.get(for_him)))


async def test_an_answer_of_the_second_step_does_not_sign_in_alone(ada: Holder) -> None:
    answer = ada.browser.get(await ada.options(await _due(ada)))
    await ada.options()
    check_refusal(await ada.send(answer), 401, "INVALID_CREDENTIALS")


async def test_before_the_options_no_answer_is_right(ada: Holder) -> None:
    challenge = await _due(ada)
    answer = ada.browser.get({"challenge": "A"}, Altered(client_data={"challenge": ""}))
    check_refusal(await ada.person.go_on(challenge, passkey=answer), 401, "MFA_REQUIRED")
    bob, enrols = await _enrolling(ada.app)
    options = {"rp": {"id": "login.example.com"}, "user": {"id": "eA"}, "challenge": "A"}
    made = ada.browser.create(options, Altered(client_data={"challenge": ""}))
    ada.browser.made.pop()
    check_refusal(await bob.go_on(enrols, newPasskey=made), 401, "MFA_REQUIRED")


async def test_the_fifth_wrong_answer_ends_the_challenge(app: App, ada: Holder) -> None:
    challenge = await _due(ada)
    options = await ada.options(challenge)
    wrong = ada.browser.get(options, Altered(origin="https://evil.example"))
    for _ in range(4):
        check_refusal(await ada.person.go_on(challenge, passkey=wrong), 401, "MFA_REQUIRED")
    check_refusal(await ada.person.go_on(challenge, passkey=wrong), 401, "INVALID_TOKEN")
    app.clock.advance(60)
    check_refusal(await ada.person.go_on(challenge, passkey=ada.browser.get(options)), 401, "INVALID_TOKEN")


async def test_a_counter_that_stands_still_is_rejected_here_as_well(app: App) -> None:
    ada = await with_passkey(app, counts=True)
    check_success(await ada.sign_in(Altered(counter=5)))
    challenge = await _due(ada)
    options = await ada.options(challenge)
    answer = ada.browser.get(options, Altered(counter=5))
    check_refusal(await ada.person.go_on(challenge, passkey=answer), 401, "MFA_REQUIRED")
    assert "passkey_counter_regressed" in [event.event for event in await trail(app, ada.person.client)]
    check_success(await ada.person.go_on(challenge, passkey=ada.browser.get(options, Altered(counter=6))))


async def _enrolling(app: App, **settings: Any) -> tuple[Person, str]:
    ada = await person(app, **{**REQUIRED, **settings})
    return ada, str((await ada.challenge())["challenge"])


async def _enrol(ada: Person, challenge: str) -> dict[str, Any]:
    data = check_success(await ada.app.post(f"{SIGN_IN}/enrol", {"challenge": challenge, "method": "passkey"}))
    found: dict[str, Any] = data["publicKey"]
    return found


async def test_a_passkey_is_enrolled_at_the_sign_in_that_requires_a_factor(app: App) -> None:
    ada, challenge = await _enrolling(app)
    browser = Authenticator(ORIGIN)
    made = browser.create(await _enrol(ada, challenge))
    data = check_success(await ada.go_on(challenge, newPasskey=made, name="Key"))
    assert len(data["recoveryCodes"]) == 10
    assert (await app.me(data["token"])).data["session"]["amr"] == ["pwd", "passkey", "mfa"]
    events = [event.event for event in await trail(app, ada.client)]
    assert "passkey_added" in events
    check_success(await Holder(ada, browser).sign_in())


@rule("PASSKEY-VERIFIED")
@matrix("what", [name for name in SIGNED if "handle" not in name and "backup" not in name])
async def test_a_new_passkey_that_is_wrong_in_one_place_is_not_enrolled(app: App, what: str) -> None:
    ada, challenge = await _enrolling(app)
    options, browser = await _enrol(ada, challenge), Authenticator(ORIGIN)
    altered = SIGNED[what]
    if ("data" in what and altered.flags is not None) or what in ("key", "type of the client data"):
        altered = Altered(client_data={"type": "webauthn.get"})
    wrong = browser.create(options, altered)
    check_refusal(await ada.go_on(challenge, newPasskey=wrong), 401, "MFA_REQUIRED")
    assert "passkey_added" not in [event.event for event in await trail(app, ada.client)]
    check_success(await ada.go_on(challenge, newPasskey=browser.create(options)))


async def test_a_challenge_that_asks_for_a_factor_enrolls_none_and_the_reverse(app: App, ada: Holder) -> None:
    asks = await _due(ada)
    reply = await app.post(f"{SIGN_IN}/enrol", {"challenge": asks, "method": "passkey"})
    check_refusal(reply, 401, "INVALID_TOKEN")
    _, enrols = await _enrolling(app)
    reply = await app.post(f"{SIGN_IN}/passkey/options", {"challenge": enrols})
    check_refusal(reply, 401, "INVALID_TOKEN")
    made = ada.browser.create({"rp": {"id": "login.example.com"}, "user": {"id": "eA"}, "challenge": "eA"})
    check_refusal(await ada.person.go_on(asks, newPasskey=made), 401, "MFA_REQUIRED")


async def test_where_the_client_allows_no_passkeys_none_is_enrolled(app: App) -> None:
    _, challenge = await _enrolling(app, secondFactor={"policy": "required", "graceDays": 0, "methods": ["totp"]})
    reply = await app.post(f"{SIGN_IN}/enrol", {"challenge": challenge, "method": "passkey"})
    check_refusal(reply, 400, "VALIDATION_ERROR")


async def test_who_has_a_passkey_is_asked_for_it_after_the_policy_goes(app: App) -> None:
    ada = await with_passkey(app)
    await settle(app, ada.person.client, secondFactor={"policy": "off"})
    challenge = await _due(ada)
    check_success(await ada.person.go_on(challenge, passkey=ada.browser.get(await ada.options(challenge))))
