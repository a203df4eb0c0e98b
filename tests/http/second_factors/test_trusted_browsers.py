"""A trusted browser skips the second factor for a while, but only after a correct password."""

from __future__ import annotations

import hashlib
from datetime import datetime

import pytest

from tests.support.accounts import act_on, number_of, settle
from tests.support.application import App, Reply
from tests.support.envelope import check_refusal, check_success
from tests.support.rows import add_row, rows
from tests.support.rules import rule
from tests.support.second_factors import REQUIRED, Person, enrolled, person
from tests.support.user_management import reset

DAY = 86_400
pytestmark = [pytest.mark.usefixtures("another_day"), pytest.mark.one_store]


@pytest.fixture
async def ada(app: App) -> Person:
    return await enrolled(app)


def trust_of(reply: Reply) -> str:
    return f"trust={reply.cookie('trust')}"


async def trusted(who: Person, before: str = "") -> str:
    """The cookie of a browser that the user trusts from then on."""
    reply = await who.sign_in(cookies=before, otp=who.code(), trust=True)
    check_success(reply)
    return trust_of(reply)


async def test_a_trusted_browser_is_not_asked_for_thirty_days(app: App, ada: Person) -> None:
    challenge = (await ada.challenge())["challenge"]
    reply = await ada.go_on(challenge, otp=ada.code(), trust=True)
    check_success(reply)
    [line] = [line for line in reply.headers.get_list("set-cookie") if line.startswith("trust=")]
    assert "; Max-Age=2592000; Path=/; HttpOnly; SameSite=Lax" in line
    assert reply.cookie("trust") not in str(await rows(app, "trusted_browsers", user_id=ada.id))
    cookie = trust_of(reply)
    app.clock.advance(30 * DAY - 1)
    data = check_success(await ada.sign_in(cookies=cookie))
    session = (await app.me(data["token"])).data["session"]
    assert session["amr"] == ["pwd", "trusted"]
    app.clock.advance(1)
    check_refusal(await ada.sign_in(cookies=cookie), 401, "MFA_REQUIRED")
    assert await ada.events("browser_trusted") == [{"days": 30}]


async def test_the_password_still_has_to_be_right(app: App, ada: Person) -> None:
    cookie = await trusted(ada)
    reply = await ada.sign_in(cookies=cookie, password="wrong-otter-47-lantern")
    check_refusal(reply, 401, "INVALID_CREDENTIALS")


async def test_a_code_beside_the_password_trusts_too_and_an_answer_without_the_wish_does_not(ada: Person) -> None:
    with pytest.raises(KeyError):
        (await ada.sign_in(otp=ada.code())).cookie("trust")
    check_success(await ada.sign_in(cookies=await trusted(ada)))


async def test_a_recovery_code_trusts_no_browser(ada: Person) -> None:
    challenge = (await ada.challenge())["challenge"]
    reply = await ada.go_on(challenge, recoveryCode=ada.recovery_codes[0], trust=True)
    check_success(reply)
    with pytest.raises(KeyError):
        reply.cookie("trust")


async def test_a_wrong_code_trusts_no_browser(ada: Person) -> None:
    challenge = (await ada.challenge())["challenge"]
    reply = await ada.go_on(challenge, otp=ada.wrong(), trust=True)
    assert "set-cookie" not in reply.headers
    assert await rows(ada.app, "trusted_browsers", "id", user_id=ada.id) == []


async def test_the_cookie_counts_for_its_user_alone(app: App, ada: Person) -> None:
    eve = await enrolled(app)
    eve_too = await person(app, ada.client)
    await settle(app, ada.client, **REQUIRED)
    await eve_too.enrol_at_sign_in()
    cookie = await trusted(ada)
    for other in (eve, eve_too):
        check_refusal(await other.sign_in(cookies=cookie), 401, "MFA_REQUIRED")
    check_refusal(await ada.sign_in(cookies="trust=planted"), 401, "MFA_REQUIRED")


async def test_a_new_grant_replaces_the_one_that_the_browser_had(app: App, ada: Person) -> None:
    first = await trusted(ada)
    app.clock.advance(DAY)
    challenge = (await ada.challenge())["challenge"]
    reply = await ada.go_on(challenge, cookies=first, otp=ada.code(), trust=True)
    second = trust_of(reply)
    assert second != first
    check_refusal(await ada.sign_in(cookies=first), 401, "MFA_REQUIRED")
    check_success(await ada.sign_in(cookies=second))
    assert len(await rows(app, "trusted_browsers", "id", user_id=ada.id)) == 1


async def test_trust_ends_with_a_new_password(ada: Person) -> None:
    cookie = await trusted(ada)
    data = check_success(await ada.sign_in(cookies=cookie))
    assert ada.phone is not None
    ada.app.clock.advance(30)
    check_success(await ada.app.post("/api/client/auth/reauthenticate", {"otp": ada.phone.code()}, token=data["token"]))
    body = {"currentPassword": "kestrel-harbor-21-violet", "newPassword": "granite-otter-47-lantern"}
    check_success(await ada.app.post("/api/client/auth/password", body, token=data["token"]))
    check_refusal(await ada.sign_in(cookies=cookie, password=body["newPassword"]), 401, "MFA_REQUIRED")


async def test_trust_ends_with_the_sign_out_of_all_devices_but_not_of_the_others(ada: Person) -> None:
    cookie = await trusted(ada)
    token = check_success(await ada.sign_in(cookies=cookie))["token"]
    check_success(await ada.app.post("/api/client/auth/sign-out-others", token=token))
    token = check_success(await ada.sign_in(cookies=cookie))["token"]
    check_success(await ada.app.post("/api/client/auth/sign-out-all", token=token))
    check_refusal(await ada.sign_in(cookies=cookie), 401, "MFA_REQUIRED")


async def test_trust_ends_with_a_deactivation(app: App, ada: Person) -> None:
    cookie, of = await trusted(ada), f"{ada.client}/users/{ada.id}"
    await act_on(app, f"{of}/deactivate")
    await act_on(app, f"{of}/restore")
    check_refusal(await ada.sign_in(cookies=cookie), 401, "MFA_REQUIRED")


async def test_trust_ends_for_good_where_the_client_allows_none(app: App, ada: Person) -> None:
    cookie = await trusted(ada)
    await settle(app, ada.client, secondFactor={"trustedDays": 0})
    reply = await ada.sign_in(cookies=cookie, otp=ada.code(), trust=True)
    check_success(reply)
    with pytest.raises(KeyError):
        reply.cookie("trust")
    await settle(app, ada.client, secondFactor={"trustedDays": 30})
    check_refusal(await ada.sign_in(cookies=cookie), 401, "MFA_REQUIRED")


@rule("SECOND-FACTOR-GATE")
async def test_fewer_days_count_for_a_browser_that_is_trusted_already(app: App, ada: Person) -> None:
    cookie = await trusted(ada)
    await settle(app, ada.client, secondFactor={"trustedDays": 7})
    app.clock.advance(7 * DAY - 1)
    token = check_success(await ada.sign_in(cookies=cookie))["token"]
    [shown] = check_success(await app.get("/api/client/auth/second-factors", token=token))["trusted"]
    assert datetime.fromisoformat(shown["endsAt"]).timestamp() == app.clock.now_ms() / 1000 + 1
    app.clock.advance(1)
    check_refusal(await ada.sign_in(cookies=cookie), 401, "MFA_REQUIRED")
    await settle(app, ada.client, secondFactor={"trustedDays": 3})
    await settle(app, ada.client, secondFactor={"trustedDays": 30})
    check_refusal(await ada.sign_in(cookies=cookie), 401, "MFA_REQUIRED")  # an expired trust doesn't return


async def test_trust_spares_no_question_after_a_link(ada: Person) -> None:
    cookie = await trusted(ada)
    reply = await reset(ada.app, await ada.reset_link(), headers={"cookie": cookie})
    error = check_refusal(reply, 401, "MFA_REQUIRED")
    reply = await ada.go_on(error["challenge"], cookies=cookie, otp=ada.code(), trust=True)
    check_success(reply)
    again = {"password": "granite-otter-47-lantern"}
    check_refusal(await ada.sign_in(cookies=cookie, **again), 401, "MFA_REQUIRED")
    check_success(await ada.sign_in(cookies=trust_of(reply), **again))


async def test_behind_https_other_hosts_cannot_set_the_cookie(secure: App, app: App) -> None:
    ada = await enrolled(app)
    ada.app = secure
    secure.goes_by_the_clock_of(app)
    reply = await ada.sign_in(otp=ada.code(), trust=True)
    value = reply.cookie("__Host-trust")
    check_refusal(await ada.sign_in(cookies=f"trust={value}"), 401, "MFA_REQUIRED")
    check_success(await ada.sign_in(cookies=f"__Host-trust={value}"))


async def test_where_no_browser_can_be_trusted_a_row_that_is_left_spares_nothing(app: App, ada: Person) -> None:
    """Such a row can come from a sign-in that ran while the client's policy changed."""
    cookie = await trusted(ada)
    await settle(app, ada.client, secondFactor={"trustedDays": 0})
    assert await rows(app, "trusted_browsers", user_id=ada.id) == []
    await add_row(
        app, "trusted_browsers", tenant_id=await number_of(app, ada.client), id="left", user_id=ada.id,
        key=hashlib.sha256(cookie.partition("=")[2].encode()).hexdigest(), user_agent="", address="", created_at=1,
        ends_at=app.clock.now_ms() + 1000,
    )  # fmt: skip
    check_refusal(await ada.sign_in(cookies=cookie), 401, "MFA_REQUIRED")
