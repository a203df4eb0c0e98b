"""Another e-mail address: what is refused, what stops a change that waits, and who wins a race."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.accounts import act_on, new_user, settle
from tests.support.application import PASSWORD
from tests.support.email_changes import DAY, LOOK, PENDING, ask_own, changed, confirm, person, quiet, stored, told, undo
from tests.support.envelope import check_refusal, check_success
from tests.support.faults import meanwhile
from tests.support.mail_server import MailServer
from tests.support.team import Crew
from tests.support.user_management import NEW, UPDATE, accept, events, reset


async def test_the_current_password_is_asked_for_and_throttled(crew: Crew, post: MailServer) -> None:
    _, _, token = await person(crew)
    new = f"other@{crew.client}.example"
    for _ in range(5):
        check_refusal(await ask_own(crew.app, token, new, "wrong-lantern-9-moss"), 401, "INVALID_CREDENTIALS")
    check_refusal(await ask_own(crew.app, token, new, "wrong-lantern-9-moss"), 429, "RATE_LIMITED")
    body = {"currentPassword": PASSWORD, "newPassword": NEW}
    guess = await crew.app.post("/api/client/auth/password", body, token=token)
    check_refusal(guess, 429, "RATE_LIMITED")  # no second row of guesses at the other door
    assert await told(crew.app, post) == {}


async def test_a_password_that_was_replaced_meanwhile_starts_nothing(crew: Crew, post: MailServer) -> None:
    _, _, token = await person(crew)
    body = {"currentPassword": PASSWORD, "newPassword": NEW}
    with meanwhile(crew.app, lambda: crew.app.post("/api/client/auth/password", body, token=token)):
        reply = await ask_own(crew.app, token, f"other@{crew.client}.example")
    check_refusal(reply, 401, "INVALID_CREDENTIALS")
    assert f"other@{crew.client}.example" not in await told(crew.app, post)


async def test_what_is_no_address_or_ones_own_is_refused(crew: Crew) -> None:
    _, old, token = await person(crew)
    for new in (old, "not an address", "@x.example"):
        error = check_refusal(await ask_own(crew.app, token, new), 400, "VALIDATION_ERROR")
        assert [detail["field"] for detail in error["details"]] == ["newEmail"]


async def test_who_has_no_password_is_told_whom_to_ask(crew: Crew) -> None:
    _, _, token = await person(crew)
    await settle(crew.app, crew.client, passwordSignIn=False)
    check_refusal(await ask_own(crew.app, token, f"other@{crew.client}.example"), 409, "CONFLICT")


async def test_a_mailbox_is_no_target_for_floods(crew: Crew, post: MailServer) -> None:
    victim, statuses = f"victim@{crew.client}.example", []
    people = [await person(crew) for _ in range(4)]
    for _ in range(3):
        for _, _, token in people:
            statuses.append((await ask_own(crew.app, token, victim)).status)
    await quiet(crew.app)
    assert statuses.count(200) <= 6
    assert statuses[-1] == 429
    assert len([letter for letter in post.letters if letter.recipients == [victim]]) == statuses.count(200)
    post.letters.clear()
    user_id, _, token = await person(crew)
    answers = [await ask_own(crew.app, token, f"n{n}@{crew.client}.example") for n in range(8)]
    assert [reply.status for reply in answers].count(200) <= 6
    refused = await crew.refused("Admin", UPDATE, id=user_id, input={"email": f"m@{crew.client}.example"})
    assert refused.code == "RATE_LIMITED"


async def test_asking_again_closes_what_was_asked_before(crew: Crew, post: MailServer) -> None:
    _, _, token = await person(crew)
    links = []
    for name in ("one", "two"):
        check_success(await ask_own(crew.app, token, f"{name}@{crew.client}.example"))
        links.append((await told(crew.app, post))[f"{name}@{crew.client}.example"].token)
    check_refusal(await confirm(crew.app, links[0]), 401, "INVALID_TOKEN")
    check_success(await confirm(crew.app, links[1]))
    check_refusal(await confirm(crew.app, links[1]), 401, "INVALID_TOKEN")


@pytest.mark.parametrize("stop", ["password", "reset", "deactivate", "time"])
async def test_what_stops_a_change_that_waits(crew: Crew, post: MailServer, stop: str) -> None:
    user_id, old, token = await person(crew)
    new = f"other@{crew.client}.example"
    check_success(await ask_own(crew.app, token, new))
    link = (await told(crew.app, post))[new].token
    if stop == "password":
        body = {"currentPassword": PASSWORD, "newPassword": NEW}
        check_success(await crew.app.post("/api/client/auth/password", body, token=token))
    elif stop == "reset":
        await crew.app.post("/api/client/auth/password/forgot", {"email": old, "client": crew.client})
        check_success(await reset(crew.app, (await told(crew.app, post))[old].token))
    elif stop == "deactivate":
        await act_on(crew.app, f"{crew.client}/users/{user_id}/deactivate")
        check_refusal(await confirm(crew.app, link), 401, "INVALID_TOKEN")
        await act_on(crew.app, f"{crew.client}/users/{user_id}/restore")
    else:
        crew.app.clock.advance(DAY)
    check_refusal(await confirm(crew.app, link), 401, "INVALID_TOKEN")
    assert (await crew.ask("Admin", PENDING, id=user_id)) == {"email": old, "pendingEmail": None}


async def test_the_way_back_is_open_for_seven_days(crew: Crew, post: MailServer) -> None:
    _, _, token = await person(crew)
    back = await changed(crew, post, token, f"other@{crew.client}.example")
    crew.app.clock.advance(7 * DAY)
    check_refusal(await undo(crew.app, back), 401, "INVALID_TOKEN")
    check_refusal(await crew.app.post(LOOK, {"token": back}), 401, "INVALID_TOKEN")


async def test_a_suspended_client_and_a_deactivated_user_confirm_and_undo_nothing(crew: Crew, post: MailServer) -> None:
    user_id, _, token = await person(crew)
    back = await changed(crew, post, token, f"other@{crew.client}.example")
    for path in (f"{crew.client}/users/{user_id}/deactivate", f"{crew.client}/suspend"):
        await act_on(crew.app, path)
        check_refusal(await undo(crew.app, back), 401, "INVALID_TOKEN")
    await act_on(crew.app, f"{crew.client}/restore")
    await act_on(crew.app, f"{crew.client}/users/{user_id}/restore")
    check_success(await undo(crew.app, back))


async def test_a_token_is_good_for_its_own_purpose_and_client(crew: Crew, post: MailServer) -> None:
    _, _, token = await person(crew)
    new = f"other@{crew.client}.example"
    check_success(await ask_own(crew.app, token, new))
    link = (await told(crew.app, post))[new].token
    for reply in (await undo(crew.app, link), await accept(crew.app, link), await reset(crew.app, link)):
        check_refusal(reply, 401, "INVALID_TOKEN")
    check_refusal(await confirm(crew.app, link, headers={"X-Client-ID": "globex"}), 403, "FORBIDDEN")
    check_success(await confirm(crew.app, link, headers={"X-Client-ID": crew.client}))
    [letter] = (await told(crew.app, post)).values()
    check_refusal(await confirm(crew.app, letter.token), 401, "INVALID_TOKEN")
    check_refusal(await undo(crew.app, "made-up"), 401, "INVALID_TOKEN")


async def test_of_many_who_confirm_at_once_one_does(crew: Crew, post: MailServer) -> None:
    _, _, token = await person(crew)
    new = f"other@{crew.client}.example"
    check_success(await ask_own(crew.app, token, new))
    link = (await told(crew.app, post))[new].token
    replies = await asyncio.gather(*(confirm(crew.app, link) for _ in range(8)))
    assert sorted(reply.status for reply in replies) == [200] + [401] * 7
    assert len(await events(crew, "email_changed")) == 1
    assert len(await told(crew.app, post)) == 1


async def test_an_address_that_was_taken_meanwhile_stays_whose_it_is(crew: Crew, post: MailServer) -> None:
    user_id, old, token = await person(crew)
    new = f"other@{crew.client}.example"
    check_success(await ask_own(crew.app, token, new))
    link = (await told(crew.app, post))[new].token
    await new_user(crew.app, crew.client, new)
    check_refusal(await confirm(crew.app, link), 409, "CONFLICT")
    assert (await stored(crew, user_id)).email == old


async def test_of_two_users_who_confirm_one_address_at_once_one_gets_it(crew: Crew, post: MailServer) -> None:
    new, links = f"other@{crew.client}.example", []
    for _ in range(2):
        _, _, token = await person(crew)
        check_success(await ask_own(crew.app, token, new))
        links.append((await told(crew.app, post))[new].token)
    replies = await asyncio.gather(*(confirm(crew.app, link) for link in links))
    assert sorted(reply.status for reply in replies) == [200, 409]


async def test_who_undoes_a_change_twice_at_once_undoes_it_once(crew: Crew, post: MailServer) -> None:
    user_id, _, token = await person(crew)
    back = await changed(crew, post, token, f"other@{crew.client}.example")
    replies = await asyncio.gather(*(undo(crew.app, back) for _ in range(5)))
    assert sorted(reply.status for reply in replies) == [200, 401, 401, 401, 401]
    events_of_undo = [event.subject for event in await events(crew, "email_change_undone")]
    assert events_of_undo == [f"user:{user_id}"]
