"""A one-time link changes nothing before the second factor is verified, so mailbox access can't bypass it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.accounts import Keys, opened_by, settle
from tests.support.application import PASSWORD, App
from tests.support.envelope import check_refusal, check_success
from tests.support.rows import all_that_rests
from tests.support.rules import rule
from tests.support.second_factors import OWN, REQUIRED, SIGN_IN, Person, enrolled, person
from tests.support.system_admins import Phone
from tests.support.team import Team, new_team
from tests.support.user_management import NEW, accept, invited, reset

pytestmark = [pytest.mark.usefixtures("another_day"), pytest.mark.one_store]


@pytest.fixture
async def ada(app: App) -> Person:
    return await enrolled(app)


async def waiting(who: Person, token: str) -> dict[str, Any]:
    """The error of a reset that waits for the second factor."""
    reply = await reset(who.app, token)
    assert "set-cookie" not in reply.headers
    return check_refusal(reply, 401, "MFA_REQUIRED")


async def test_a_reset_waits_for_the_factor_and_changes_nothing_before(app: App, ada: Person) -> None:
    keys = Keys.of(await ada.sign_in(otp=ada.code()))
    token = await ada.reset_link()
    error = await waiting(ada, token)
    assert [detail["field"] for detail in error["details"]] == ["otp", "recoveryCode"]
    check_refusal(await ada.go_on(error["challenge"], otp=ada.wrong()), 401, "MFA_REQUIRED")
    assert (await app.me(keys.token)).status == 200
    check_refusal(await ada.sign_in(password=NEW), 401, "INVALID_CREDENTIALS")
    assert NEW not in str(await all_that_rests(app))
    data = check_success(await ada.go_on(error["challenge"], otp=ada.code()))
    assert (await app.me(data["token"])).data["session"]["amr"] == ["link", "otp", "mfa"]
    assert (await app.me(data["token"])).data["session"]["method"] == "link"
    assert await opened_by(app, keys) == []
    check_refusal(await ada.sign_in(), 401, "INVALID_CREDENTIALS")
    check_success(await ada.sign_in(password=NEW, otp=ada.code()))
    check_refusal(await reset(app, token), 401, "INVALID_TOKEN")


@rule("RECENT-PROOF")
async def test_a_session_of_a_link_that_enrolls_a_factor_has_proved_no_two(app: App) -> None:
    """Otherwise, mailbox access would be enough to re-authenticate, because a thief could enroll their own app."""
    ada = await person(app)
    token = check_success(await reset(app, await ada.reset_link()))["token"]
    await ada.enrol(token)
    assert (await app.me(token)).data["session"]["amr"] == ["link"]
    check_refusal(await app.post(f"{OWN}/totp", token=token), 403, "REAUTHENTICATION_REQUIRED")


async def test_the_link_stays_open_while_the_answer_is_wrong(app: App, ada: Person) -> None:
    token = await ada.reset_link()
    for _ in range(2):
        error = await waiting(ada, token)
    for code in ("INVALID_TOKEN" if number == 5 else "MFA_REQUIRED" for number in range(1, 6)):
        check_refusal(await ada.go_on(error["challenge"], otp=ada.wrong()), 401, code)
    app.clock.advance(60)
    check_success(await ada.go_on((await waiting(ada, token))["challenge"], otp=ada.code()))


async def test_a_link_that_was_closed_in_the_meantime_sets_no_password(app: App, ada: Person) -> None:
    error = await waiting(ada, await ada.reset_link())
    await ada.reset_link()  # a newer link closes it
    check_refusal(await ada.go_on(error["challenge"], otp=ada.code()), 401, "INVALID_TOKEN")
    check_success(await ada.sign_in(otp=ada.code()))


async def test_a_link_that_ran_out_in_the_meantime_sets_no_password(app: App, ada: Person) -> None:
    token = await ada.reset_link()
    app.clock.advance(1795)
    error = await waiting(ada, token)
    app.clock.advance(10)
    check_refusal(await ada.go_on(error["challenge"], otp=ada.code()), 401, "INVALID_TOKEN")
    check_success(await ada.sign_in(otp=ada.code()))


async def test_where_passwords_were_turned_off_in_the_meantime_none_is_set(app: App, ada: Person) -> None:
    error = await waiting(ada, await ada.reset_link())
    await settle(app, ada.client, passwordSignIn=False)
    code = ada.code()
    check_refusal(await ada.go_on(error["challenge"], otp=code), 409, "CONFLICT")
    await settle(app, ada.client, passwordSignIn=True)
    check_success(await ada.sign_in(otp=code))  # the old password, and a code that wasn't used up


async def test_two_answers_for_one_link_set_one_password(app: App, ada: Person) -> None:
    token = await ada.reset_link()
    first, second = (await waiting(ada, token))["challenge"], (await waiting(ada, token))["challenge"]
    check_success(await ada.go_on(first, otp=ada.code()))
    check_refusal(await ada.go_on(second, otp=ada.code()), 401, "INVALID_TOKEN")


async def test_an_invitation_enrolls_the_factor_that_is_due(app: App) -> None:
    team: Team = await new_team(app)
    user_id, token = await invited(team, "new@engines.example", "Viewer")
    await settle(app, team.client, **REQUIRED)
    error = check_refusal(await accept(app, token), 401, "MFA_REQUIRED")
    assert [detail["field"] for detail in error["details"]] == ["enrol"]
    new = Person(app, team.client, user_id, "new@engines.example")
    check_refusal(await new.sign_in(password=NEW), 401, "INVALID_CREDENTIALS")
    begun = check_success(await app.post(f"{SIGN_IN}/enrol", {"challenge": error["challenge"], "method": "totp"}))
    new.phone = Phone(app, begun["secret"])
    data = check_success(await new.go_on(error["challenge"], otp=new.code()))
    assert len(data["recoveryCodes"]) == 10
    assert (await app.me(data["token"])).status == 200
    check_refusal(await accept(app, token), 401, "INVALID_TOKEN")
    check_refusal(await new.sign_in(password=PASSWORD), 401, "INVALID_CREDENTIALS")
    check_refusal(await new.sign_in(password=NEW), 401, "MFA_REQUIRED")
