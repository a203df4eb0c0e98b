"""Changes of an email address that are rejected, cancel a pending change, or race with another one."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.accounts import act_on, new_user, settle
from tests.support.application import PASSWORD
from tests.support.email_changes import (
    DAY,
    LOOK,
    PENDING,
    ask_own,
    changed,
    confirm,
    mails_by_recipient,
    person,
    stored,
    undo,
    until_idle,
)
from tests.support.envelope import check_refusal, check_success
from tests.support.faults import meanwhile
from tests.support.mail_server import MailServer
from tests.support.matrix import matrix
from tests.support.team import Team
from tests.support.user_management import NEW, UPDATE, accept, events, reset

pytestmark = pytest.mark.one_store


async def test_the_current_password_is_asked_for_and_throttled(team: Team, mail_server: MailServer) -> None:
    _, _, token = await person(team)
    new = f"other@{team.client}.example"
    for _ in range(5):
        check_refusal(await ask_own(team.app, token, new, "wrong-lantern-9-moss"), 401, "INVALID_CREDENTIALS")
    check_refusal(await ask_own(team.app, token, new, "wrong-lantern-9-moss"), 429, "RATE_LIMITED")
    body = {"currentPassword": PASSWORD, "newPassword": NEW}
    guess = await team.app.post("/api/client/auth/password", body, token=token)
    check_refusal(guess, 429, "RATE_LIMITED")  # the other route allows no additional guesses
    assert await mails_by_recipient(team.app, mail_server) == {}


async def test_a_password_that_was_replaced_in_the_meantime_starts_nothing(team: Team, mail_server: MailServer) -> None:
    _, _, token = await person(team)
    body = {"currentPassword": PASSWORD, "newPassword": NEW}
    with meanwhile(team.app, lambda: team.app.post("/api/client/auth/password", body, token=token)):
        reply = await ask_own(team.app, token, f"other@{team.client}.example")
    check_refusal(reply, 401, "INVALID_CREDENTIALS")
    assert f"other@{team.client}.example" not in await mails_by_recipient(team.app, mail_server)


async def test_an_invalid_address_or_the_callers_own_is_rejected(team: Team) -> None:
    _, old, token = await person(team)
    for new in (old, "not an address", "@x.example"):
        error = check_refusal(await ask_own(team.app, token, new), 400, "VALIDATION_ERROR")
        assert [detail["field"] for detail in error["details"]] == ["newEmail"]


async def test_a_user_without_a_password_sees_the_contact(team: Team) -> None:
    _, _, token = await person(team)
    await settle(team.app, team.client, passwordSignIn=False)
    check_refusal(await ask_own(team.app, token, f"other@{team.client}.example"), 409, "CONFLICT")


async def test_emails_to_one_mailbox_are_limited(team: Team, mail_server: MailServer) -> None:
    victim, statuses = f"victim@{team.client}.example", []
    people = [await person(team) for _ in range(4)]
    for _ in range(3):
        for _, _, token in people:
            statuses.append((await ask_own(team.app, token, victim)).status)
    await until_idle(team.app)
    assert statuses.count(200) <= 6
    assert statuses[-1] == 429
    assert len([received for received in mail_server.mails if received.recipients == [victim]]) == statuses.count(200)
    mail_server.mails.clear()
    user_id, _, token = await person(team)
    answers = [await ask_own(team.app, token, f"n{n}@{team.client}.example") for n in range(8)]
    assert [reply.status for reply in answers].count(200) <= 6
    refused = await team.refused("Admin", UPDATE, id=user_id, input={"email": f"m@{team.client}.example"})
    assert refused.code == "RATE_LIMITED"


async def test_a_new_request_closes_the_previous_one(team: Team, mail_server: MailServer) -> None:
    _, _, token = await person(team)
    links = []
    for name in ("one", "two"):
        check_success(await ask_own(team.app, token, f"{name}@{team.client}.example"))
        links.append((await mails_by_recipient(team.app, mail_server))[f"{name}@{team.client}.example"].token)
    check_refusal(await confirm(team.app, links[0]), 401, "INVALID_TOKEN")
    check_success(await confirm(team.app, links[1]))
    check_refusal(await confirm(team.app, links[1]), 401, "INVALID_TOKEN")


@matrix("stop", ["password", "reset", "sign-out-all", "sign-out-others", "deactivate", "time"])
async def test_events_that_cancel_a_pending_change(team: Team, mail_server: MailServer, stop: str) -> None:
    user_id, old, token = await person(team)
    new = f"other@{team.client}.example"
    check_success(await ask_own(team.app, token, new))
    link = (await mails_by_recipient(team.app, mail_server))[new].token
    if stop == "password":
        body = {"currentPassword": PASSWORD, "newPassword": NEW}
        check_success(await team.app.post("/api/client/auth/password", body, token=token))
    elif stop == "reset":
        await team.app.post("/api/client/auth/password/forgot", {"email": old, "client": team.client})
        check_success(await reset(team.app, (await mails_by_recipient(team.app, mail_server))[old].token))
    elif stop.startswith("sign-out"):
        check_success(await team.app.post(f"/api/client/auth/{stop}", token=token))
    elif stop == "deactivate":
        await act_on(team.app, f"{team.client}/users/{user_id}/deactivate")
        check_refusal(await confirm(team.app, link), 401, "INVALID_TOKEN")
        await act_on(team.app, f"{team.client}/users/{user_id}/restore")
    else:
        team.app.clock.advance(DAY)
    check_refusal(await confirm(team.app, link), 401, "INVALID_TOKEN")
    assert (await team.ask("Admin", PENDING, id=user_id)) == {"email": old, "pendingEmail": None}


async def test_the_password_that_an_undo_voids_does_not_come_back(team: Team, mail_server: MailServer) -> None:
    await settle(team.app, team.client, password={"history": 3})
    _, old, token = await person(team)
    back = await changed(team, mail_server, token, f"other@{team.client}.example")
    check_success(await undo(team.app, back))
    link = (await mails_by_recipient(team.app, mail_server))[old].token
    check_refusal(await reset(team.app, link, PASSWORD), 400, "VALIDATION_ERROR")
    check_success(await reset(team.app, link, NEW))


async def test_the_undo_link_works_for_seven_days(team: Team, mail_server: MailServer) -> None:
    _, _, token = await person(team)
    back = await changed(team, mail_server, token, f"other@{team.client}.example")
    team.app.clock.advance(7 * DAY)
    check_refusal(await undo(team.app, back), 401, "INVALID_TOKEN")
    check_refusal(await team.app.post(LOOK, {"token": back}), 401, "INVALID_TOKEN")


async def test_a_suspended_client_and_a_deactivated_user_confirm_and_undo_nothing(
    team: Team, mail_server: MailServer
) -> None:
    (user_id, _, token), new = await person(team), f"second@{team.client}.example"
    back = await changed(team, mail_server, token, f"first@{team.client}.example")
    check_success(await ask_own(team.app, token, new))
    link = (await mails_by_recipient(team.app, mail_server))[new].token
    user = f"{team.client}/users/{user_id}"
    for stop, restore in (
        (f"{team.client}/suspend", f"{team.client}/restore"),
        (f"{user}/deactivate", f"{user}/restore"),
    ):
        for each in (back, link):
            check_success(await team.app.post(LOOK, {"token": each}))
        await act_on(team.app, stop)
        for reply in (await undo(team.app, back), await confirm(team.app, link)):
            check_refusal(reply, 401, "INVALID_TOKEN")
        for each in (back, link):
            check_refusal(await team.app.post(LOOK, {"token": each}), 401, "INVALID_TOKEN")
        await act_on(team.app, restore)
    check_success(await undo(team.app, back))


async def test_a_token_works_only_for_its_purpose_and_client(team: Team, mail_server: MailServer) -> None:
    _, _, token = await person(team)
    new = f"other@{team.client}.example"
    check_success(await ask_own(team.app, token, new))
    link = (await mails_by_recipient(team.app, mail_server))[new].token
    for reply in (await undo(team.app, link), await accept(team.app, link), await reset(team.app, link)):
        check_refusal(reply, 401, "INVALID_TOKEN")
    check_refusal(await confirm(team.app, link, headers={"X-Client-ID": "globex"}), 403, "FORBIDDEN")
    check_success(await confirm(team.app, link, headers={"X-Client-ID": team.client}))
    [received] = (await mails_by_recipient(team.app, mail_server)).values()
    check_refusal(await confirm(team.app, received.token), 401, "INVALID_TOKEN")
    check_refusal(await undo(team.app, "made-up"), 401, "INVALID_TOKEN")


async def test_one_of_many_concurrent_confirmations_succeeds(team: Team, mail_server: MailServer) -> None:
    _, _, token = await person(team)
    new = f"other@{team.client}.example"
    check_success(await ask_own(team.app, token, new))
    link = (await mails_by_recipient(team.app, mail_server))[new].token
    replies = await asyncio.gather(*(confirm(team.app, link) for _ in range(8)))
    assert sorted(reply.status for reply in replies) == [200] + [401] * 7
    assert len(await events(team, "email_changed")) == 1
    assert len(await mails_by_recipient(team.app, mail_server)) == 1


async def test_an_address_that_was_taken_in_the_meantime_stays_whose_it_is(team: Team, mail_server: MailServer) -> None:
    user_id, old, token = await person(team)
    new = f"other@{team.client}.example"
    check_success(await ask_own(team.app, token, new))
    link = (await mails_by_recipient(team.app, mail_server))[new].token
    await new_user(team.app, team.client, new)
    check_refusal(await confirm(team.app, link), 409, "CONFLICT")
    assert (await stored(team, user_id)).email == old


async def test_of_two_users_who_confirm_one_address_at_the_same_time_one_gets_it(
    team: Team, mail_server: MailServer
) -> None:
    new, links = f"other@{team.client}.example", []
    for _ in range(2):
        _, _, token = await person(team)
        check_success(await ask_own(team.app, token, new))
        links.append((await mails_by_recipient(team.app, mail_server))[new].token)
    replies = await asyncio.gather(*(confirm(team.app, link) for link in links))
    assert sorted(reply.status for reply in replies) == [200, 409]


async def test_concurrent_undos_of_a_change_undo_it_once(team: Team, mail_server: MailServer) -> None:
    user_id, _, token = await person(team)
    back = await changed(team, mail_server, token, f"other@{team.client}.example")
    replies = await asyncio.gather(*(undo(team.app, back) for _ in range(5)))
    assert sorted(reply.status for reply in replies) == [200, 401, 401, 401, 401]
    events_of_undo = [event.subject for event in await events(team, "email_change_undone")]
    assert events_of_undo == [f"user:{user_id}"]
