"""A user's own second factors: the list, the authenticator app, recovery codes, and policies that require one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.accounts import Keys, settle, trail
from tests.support.application import App
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.rules import rule
from tests.support.second_factors import OWN, Person, person
from tests.support.system_admins import Phone
from tests.support.visitor import Visitor

pytestmark = pytest.mark.one_store


async def _look(ada: Person, token: str) -> dict[str, Any]:
    found: dict[str, Any] = check_success(await ada.app.get(OWN, token=token))
    return found


async def test_without_a_factor_there_is_nothing_but_the_policy(app: App) -> None:
    ada = await person(app)
    assert await _look(ada, await ada.token()) == {
        "totp": None,
        "passkeys": [],
        "recoveryCodesLeft": 0,
        "trusted": [],
        # Browsers don't create passkeys at an IP address.
        "policy": {"required": False, "dueAt": None, "methods": ["totp"]},
    }


async def test_a_required_factor_that_is_missing_is_shown_with_its_day(app: App) -> None:
    ada = await person(app, secondFactor={"policy": "required", "graceDays": 2, "methods": ["totp"]})
    data = check_success(await ada.sign_in())
    policy = (await _look(ada, data["token"]))["policy"]
    assert policy == {"required": True, "dueAt": data["secondFactorDue"], "methods": ["totp"]}
    await ada.enrol(data["token"])
    assert (await _look(ada, data["token"]))["policy"]["dueAt"] is None


@rule("SECOND-FACTOR-CODES")
async def test_an_app_counts_from_its_first_right_code_on(app: App) -> None:
    ada = await person(app)
    token = await ada.token()
    begun = check_success(await app.post(f"{OWN}/totp", token=token), 201)
    assert begun["uri"].startswith("otpauth://totp/")
    assert begun["secret"] in begun["uri"]
    assert begun["qr"].startswith("<svg ")
    phone = Phone(app, begun["secret"])
    check_success(await ada.sign_in())
    wrong = await app.post(f"{OWN}/totp/confirm", {"otp": phone.wrong()}, token=token)
    assert check_refusal(wrong, 400, "VALIDATION_ERROR")["details"][0]["field"] == "otp"
    assert (await _look(ada, token))["totp"] is None
    codes = check_success(await app.post(f"{OWN}/totp/confirm", {"otp": phone.code()}, token=token))["recoveryCodes"]
    assert len({*codes}) == 10
    assert {len(code.replace("-", "")) for code in codes} == {24}
    shown = await _look(ada, token)
    assert (shown["totp"]["lastUsedAt"], shown["recoveryCodesLeft"]) == (None, 10)
    again = await app.post(f"{OWN}/totp/confirm", {"otp": phone.code()}, token=token)
    check_refusal(again, 409, "CONFLICT")
    challenge = (await ada.challenge())["challenge"]
    used = await ada.go_on(challenge, otp=phone.code())
    check_refusal(used, 401, "MFA_REQUIRED")  # the code was already used to confirm the app
    app.clock.advance(30)
    check_success(await ada.go_on(challenge, otp=phone.code()))
    assert (await _look(ada, token))["totp"]["lastUsedAt"] is not None


@rule("SECOND-FACTOR-CHANGES")
async def test_the_app_that_counts_does_so_until_the_next_one_is_confirmed(app: App) -> None:
    ada = await person(app, secondFactor={"policy": "required", "graceDays": 1})
    token = await ada.token()
    codes = await ada.enrol(token)
    assert ada.phone is not None
    old = ada.phone
    begun = check_success(await app.post(f"{OWN}/totp", token=token), 201)
    new = Phone(app, begun["secret"])
    challenge = (await ada.challenge())["challenge"]
    check_refusal(await ada.go_on(challenge, otp=new.code()), 401, "MFA_REQUIRED")
    check_success(await ada.go_on(challenge, otp=old.code()))
    confirmed = check_success(await app.post(f"{OWN}/totp/confirm", {"otp": new.code()}, token=token))
    assert confirmed["recoveryCodes"] == [], "the codes of the first factor stay"
    app.clock.advance(30)
    challenge = (await ada.challenge())["challenge"]
    check_refusal(await ada.go_on(challenge, otp=old.code()), 401, "MFA_REQUIRED")
    check_success(await ada.go_on(challenge, otp=new.code()))
    check_success(await ada.sign_in_with(recoveryCode=codes[0]))


@rule("SECOND-FACTOR-CHANGES")
@matrix("act", ["add", "replace", "remove"])
async def test_a_change_ends_the_other_sessions_and_all_trust(app: App, act: str) -> None:
    ada = await person(app)
    token = await ada.token()
    if act != "add":
        await ada.enrol(token)
    trust = "" if act == "add" else await ada.trusted()
    other = (await ada.sign_in(cookies=f"trust={trust}")).data["token"]
    waiting = None if act == "add" else (await ada.challenge())["challenge"]
    if act == "remove":
        check_success(await app.send("DELETE", f"{OWN}/totp", token=token))
    else:
        await ada.enrol(token)
    assert (await app.me(other)).status == 401
    assert (await app.me(token)).status == 200
    shown = await _look(ada, token)
    assert shown["trusted"] == []
    assert (shown["totp"] is None) is (act == "remove")
    if waiting is not None:
        assert ada.phone is not None
        check_refusal(await ada.go_on(waiting, otp=ada.phone.code(1)), 401, "INVALID_TOKEN")
    if act == "remove":
        assert shown["recoveryCodesLeft"] == 0
        check_success(await ada.sign_in())
    elif act == "replace":
        check_refusal(await ada.sign_in(cookies=f"trust={trust}"), 401, "MFA_REQUIRED")


@rule("SECOND-FACTOR-CHANGES")
async def test_a_factor_that_the_policy_requires_is_not_removed(app: App) -> None:
    ada = await person(app)
    token = await ada.token()
    await ada.enrol(token)
    other = (await ada.answered()).data["token"]
    await settle(app, ada.client, secondFactor={"policy": "required"})
    check_refusal(await app.send("DELETE", f"{OWN}/totp", token=token), 409, "CONFLICT")
    assert (await _look(ada, token))["totp"] is not None
    assert (await app.me(other)).status == 200, "what was refused ends no session"
    await settle(app, ada.client, secondFactor={"policy": "roles", "roles": ["Author"]})
    check_success(await app.send("DELETE", f"{OWN}/totp", token=token))
    check_refusal(await app.send("DELETE", f"{OWN}/totp", token=token), 404, "NOT_FOUND")


@matrix("rules", [{"policy": "off"}, {"policy": "optional", "methods": ["passkey"]}])
async def test_what_the_client_does_not_allow_is_not_enrolled(secure: App, rules: dict[str, Any]) -> None:
    """At an address where passkeys work, because elsewhere an app is always allowed."""
    ada = await person(secure)
    token = await ada.token()
    begun = check_success(await secure.post(f"{OWN}/totp", token=token), 201)
    await settle(secure, ada.client, secondFactor=rules)
    check_refusal(await secure.post(f"{OWN}/totp", token=token), 400, "VALIDATION_ERROR")
    code = Phone(secure, begun["secret"]).code()
    check_refusal(await secure.post(f"{OWN}/totp/confirm", {"otp": code}, token=token), 400, "VALIDATION_ERROR")
    assert (await _look(ada, token))["policy"]["methods"] == rules.get("methods", [])


@rule("SECOND-FACTOR-CODES")
async def test_new_recovery_codes_void_the_earlier_ones(app: App) -> None:
    ada = await person(app)
    token = await ada.token()
    check_refusal(await app.post(f"{OWN}/recovery-codes", token=token), 409, "CONFLICT")
    former = await ada.enrol(token)
    other = (await ada.answered()).data["token"]
    codes = check_success(await app.post(f"{OWN}/recovery-codes", token=token), 201)["recoveryCodes"]
    assert len({*codes, *former}) == 20
    assert (await app.me(other)).status == 200
    challenge = (await ada.challenge())["challenge"]
    check_refusal(await ada.go_on(challenge, recoveryCode=former[0]), 401, "MFA_REQUIRED")
    check_success(await ada.go_on(challenge, recoveryCode=codes[0].upper().replace("-", " ")))
    assert (await _look(ada, token))["recoveryCodesLeft"] == 9


async def test_trust_is_listed_and_ended_one_by_one_and_all_at_the_same_time(app: App) -> None:
    ada = await person(app)
    eve = await person(app, ada.client)
    token = await ada.token()
    await ada.enrol(token)
    cookies = [await ada.trusted() for _ in range(3)]
    rows = (await _look(ada, token))["trusted"]
    assert len(rows) == 3
    assert {*rows[0]} == {"id", "userAgent", "address", "createdAt", "endsAt"}
    foreign = await app.send("DELETE", f"{OWN}/trusted/{rows[0]['id']}", token=await eve.token())
    check_refusal(foreign, 404, "NOT_FOUND")
    assert check_success(await app.send("DELETE", f"{OWN}/trusted/{rows[0]['id']}", token=token)) == {"ended": 1}
    asked = [(await ada.sign_in(cookies=f"trust={cookie}")).status for cookie in cookies]
    assert asked == [200, 200, 401], "the newest was the first of the list"
    assert check_success(await app.send("DELETE", f"{OWN}/trusted", token=token)) == {"ended": 2}
    assert check_success(await app.send("DELETE", f"{OWN}/trusted", token=token)) == {"ended": 0}
    assert [(await ada.sign_in(cookies=f"trust={cookie}")).status for cookie in cookies] == [401] * 3


@rule("SECOND-FACTOR-CODES")
async def test_each_act_is_in_the_audit_trail_without_a_secret(app: App) -> None:
    ada = await person(app)
    token = await ada.token()
    codes = await ada.enrol(token)
    cookie = await ada.trusted()
    await app.send("DELETE", f"{OWN}/trusted", token=token)
    codes += check_success(await app.post(f"{OWN}/recovery-codes", token=token), 201)["recoveryCodes"]
    await app.send("DELETE", f"{OWN}/totp", token=token)
    found = await trail(app, ada.client)
    own = {one.event: (one.subject, one.members) for one in found if one.actor == f"user:{ada.id}"}
    me = f"user:{ada.id}"
    assert own["second_factor_begun"] == (me, {"factor": "totp"})
    assert own["second_factor_enrolled"] == (me, {"factor": "totp", "replaces": False})
    assert own["second_factor_removed"] == (me, {"factor": "totp"})
    assert own["recovery_codes_made"] == (me, {})
    assert own["browser_trust_ended"] == (me, {"browsers": 1})
    assert ada.phone is not None
    text = "".join(one.detail for one in found)
    assert not [secret for secret in (*codes, ada.phone.secret, cookie) if secret in text]


@rule("SECOND-FACTOR-CHANGES")
async def test_another_persons_session_changes_nothing_of_the_callers_own(app: App) -> None:
    ada = await person(app)
    eve = await person(app, ada.client)
    token = await ada.token()
    await ada.enrol(token)
    hers = await eve.token()
    check_refusal(await app.send("DELETE", f"{OWN}/totp", token=hers), 404, "NOT_FOUND")
    check_refusal(await app.post(f"{OWN}/recovery-codes", token=hers), 409, "CONFLICT")
    begun = check_success(await app.post(f"{OWN}/totp", token=hers), 201)
    code = Phone(app, begun["secret"]).code()
    check_refusal(await app.post(f"{OWN}/totp/confirm", {"otp": code}, token=token), 409, "CONFLICT")
    shown = await _look(ada, token)
    assert (shown["totp"] is None, shown["recoveryCodesLeft"]) == (False, 10)


@rule("SECOND-FACTOR-CHANGES")
async def test_a_new_app_is_seen_and_confirmed_by_the_session_that_began_it_alone(app: App) -> None:
    """Otherwise, an intruder could put a known secret there, and the owner would scan it."""
    ada = await person(app)
    thief, keys = await ada.token(), Keys.of(await ada.sign_in())
    secret = check_success(await app.post(f"{OWN}/totp", token=thief), 201)["secret"]
    page = await Visitor(app, {"session": keys.cookie}).get("/account/second-factor?way=app")
    assert page.location == "/account/second-factor"
    confirmed = await app.post(f"{OWN}/totp/confirm", {"otp": Phone(app, secret).code()}, token=keys.token)
    check_refusal(confirmed, 409, "CONFLICT")
    await ada.enrol(keys.token)
