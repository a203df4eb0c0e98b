"""Managers change another user's email address, depending on rank, and also without mail set up."""

from __future__ import annotations

import pytest

from tests.support.accounts import act_on, new_user, trail
from tests.support.application import PASSWORD, App, running
from tests.support.email_changes import (
    DAY,
    LOOK,
    NOTHING_REMOVED,
    ask_own,
    changed,
    confirm,
    mails_by_recipient,
    person,
    random_texts,
    stored,
    undo,
    until_idle,
)
from tests.support.envelope import check_refusal, check_success
from tests.support.mail_server import MailServer
from tests.support.matrix import matrix
from tests.support.people import member, set_roles
from tests.support.rules import rule
from tests.support.team import Team
from tests.support.user_management import RESET, SET_ROLES, UPDATE, events, reset

pytestmark = pytest.mark.one_store


async def test_those_who_manage_a_user_ask_for_it_too(team: Team, mail_server: MailServer) -> None:
    user_id, old, _ = await person(team)
    new = f"other@{team.client}.example"
    document = UPDATE.replace("title", "title pendingEmail")
    found = await team.ask("User Admin", document, id=user_id, input={"email": new, "title": "Chief"})
    assert (found["email"], found["title"], found["pendingEmail"]) == (old, "Chief", new)
    mails = await mails_by_recipient(team.app, mail_server)
    assert set(mails) == {old, new}
    [event] = await events(team, "user_changed")
    assert event.members["after"] == {"title": "Chief"}
    check_success(await confirm(team.app, mails[new].token))
    assert (await stored(team, user_id)).email == new
    _, taken = await new_user(team.app, team.client)
    assert (await team.refused("User Admin", UPDATE, id=user_id, input={"email": taken})).code == "CONFLICT"


async def test_a_system_admin_asks_for_it_too(team: Team, mail_server: MailServer) -> None:
    user_id, old, _ = await person(team)
    new, admin = f"other@{team.client}.example", await team.app.admin_token()
    path = f"/api/admin/clients/{team.client}/users/{user_id}"
    data = check_success(await team.app.send("PATCH", path, {"email": new}, token=admin))
    assert (data["email"], data["pendingEmail"], data["emailProvedAt"]) == (old, new, None)
    listed = check_success(await team.app.get(f"/api/admin/clients/{team.client}/users?q={old}", token=admin))
    assert [user["pendingEmail"] for user in listed["items"]] == [new]
    check_success(await confirm(team.app, (await mails_by_recipient(team.app, mail_server))[new].token))
    data = check_success(await team.app.get(path, token=admin))
    assert (data["email"], data["pendingEmail"]) == (new, None)
    assert data["emailProvedAt"]


async def test_a_mistyped_address_that_was_put_right_gives_its_mailbox_no_password(
    team: Team, mail_server: MailServer
) -> None:
    user_id, wrong = await new_user(team.app, team.client, password=PASSWORD)
    right = f"right@{team.client}.example"
    await team.ask("Admin", UPDATE, id=user_id, input={"email": right})
    check_success(await confirm(team.app, (await mails_by_recipient(team.app, mail_server))[right].token))
    back = (await mails_by_recipient(team.app, mail_server))[wrong].token
    await team.ask("User Admin", RESET, id=user_id)
    link = (await mails_by_recipient(team.app, mail_server))[right].token
    assert check_success(await undo(team.app, back)) == {"email": wrong, "resets": False, "removed": NOTHING_REMOVED}
    assert await mails_by_recipient(team.app, mail_server) == {}
    check_refusal(await reset(team.app, link), 401, "INVALID_TOKEN")  # it was sent to the address that was reverted


async def test_a_user_admin_never_changes_an_admins_address(team: Team, mail_server: MailServer) -> None:
    admin = await team.member("Admin")
    refused = await team.refused("User Admin", UPDATE, id=admin.id, input={"email": f"x@{team.client}.example"})
    assert refused.code == "FORBIDDEN"
    user_id, old, _ = await person(team)
    new = f"planted@{team.client}.example"
    await team.ask("User Admin", UPDATE, id=user_id, input={"email": new})
    link = (await mails_by_recipient(team.app, mail_server))[new].token
    await team.ask("Admin", SET_ROLES, id=user_id, roles=["Admin"])
    check_refusal(await confirm(team.app, link), 401, "INVALID_TOKEN")
    assert (await stored(team, user_id)).email == old


@rule("RANK")
@matrix("loses", [None, "rank", "account"])
async def test_an_admins_new_address_counts_while_the_one_who_asked_is_an_admin(
    team: Team, mail_server: MailServer, loses: str | None
) -> None:
    """Checked when the link is opened and when it's used."""
    (maker, other), new = (await team.member("Admin"), await member(team.app, team.client, "Admin")), "x@acme.example"
    await team.ask("Admin", UPDATE, id=other.id, input={"email": new})
    link = (await mails_by_recipient(team.app, mail_server))[new].token
    if loses == "rank":
        await set_roles(team.app, team.client, maker.id, "User Admin")
    elif loses == "account":
        await act_on(team.app, f"{team.client}/users/{maker.id}/deactivate")
    for reply in (await team.app.post(LOOK, {"token": link}), await confirm(team.app, link)):
        if loses:
            check_refusal(reply, 401, "INVALID_TOKEN")
        else:
            check_success(reply)
    assert (await stored(team, other.id)).email == (other.email if loses else new)


async def test_an_address_that_a_user_admin_gave_is_an_admins_to_confirm_before_the_role(
    team: Team, mail_server: MailServer
) -> None:
    """Either address can be a mailbox of the User Admin, even the old one."""
    user_id, planted, _ = await person(team)
    client_admin = f"boss@{team.client}.example"
    await team.ask("User Admin", UPDATE, id=user_id, input={"email": client_admin})
    check_success(await confirm(team.app, (await mails_by_recipient(team.app, mail_server))[client_admin].token))
    back = (await mails_by_recipient(team.app, mail_server))[planted].token
    refused = await team.refused("Admin", SET_ROLES, id=user_id, roles=["Admin"])
    assert (refused.code, "An Admin must set the address first" in refused.message) == ("CONFLICT", True)
    await team.ask("User Admin", UPDATE, id=user_id, input={"email": client_admin})
    assert (await team.refused("Admin", SET_ROLES, id=user_id, roles=["Admin"])).code == "CONFLICT"
    await team.ask("Admin", UPDATE, id=user_id, input={"email": client_admin})
    await team.ask("Admin", SET_ROLES, id=user_id, roles=["Admin"])
    check_refusal(await undo(team.app, back), 401, "INVALID_TOKEN")
    assert (await stored(team, user_id)).email == client_admin


async def test_after_a_week_the_address_is_no_ones_to_undo_and_in_no_doubt(team: Team, mail_server: MailServer) -> None:
    user_id, _, _ = await person(team)
    other = f"other-{user_id}@{team.client}.example"
    await team.ask("User Admin", UPDATE, id=user_id, input={"email": other})
    check_success(await confirm(team.app, (await mails_by_recipient(team.app, mail_server))[other].token))
    team.app.clock.advance(7 * DAY + 1)
    team.members.clear()
    await team.ask("Admin", SET_ROLES, id=user_id, roles=["Admin"])
    assert (await stored(team, user_id)).email == other


async def test_no_one_gets_round_their_own_password(team: Team) -> None:
    for role in ("Admin", "User Admin"):
        me = await team.member(role)
        refused = await team.refused(role, UPDATE, id=me.id, input={"email": f"x@{team.client}.example"})
        assert refused.code == "FORBIDDEN"
        await team.ask(role, UPDATE, id=me.id, input={"title": "Chief"})


@rule("RESET-UNSEEN")
async def test_no_answer_and_no_event_holds_a_token(team: Team, mail_server: MailServer) -> None:
    mail_server.refuses = "550 no such mailbox"
    user_id, _, token = await person(team)
    admin = await team.app.admin_token()
    with random_texts(team.app) as tokens:
        path = f"/api/admin/clients/{team.client}/users/{user_id}"
        replies = [
            await ask_own(team.app, token, f"one@{team.client}.example"),
            await team.send("User Admin", UPDATE, id=user_id, input={"email": f"two@{team.client}.example"}),
            await team.app.send("PATCH", path, {"email": f"three@{team.client}.example"}, token=admin),
        ]
    secrets = [text for text in tokens if len(text) == 32]
    assert len(secrets) >= 3
    for reply in replies:
        assert reply.status == 200
        assert not [secret for secret in secrets if secret in reply.text]
    details = "".join(event.detail for event in await trail(team.app, team.client))
    assert not [secret for secret in secrets if secret in details]
    await until_idle(team.app)


async def test_without_mail_those_who_manage_change_it_immediately_and_it_is_not_proved(
    database_url: str, app: App, team: Team, mail_server: MailServer
) -> None:
    user_id, old, token = await person(team)
    await changed(team, mail_server, token, f"proved@{team.client}.example")
    assert (await stored(team, user_id)).email_proved_at is not None
    async with running(database_url) as other:
        other.clock.ms = app.clock.ms
        bare = Team(other, team.client)
        reply = await ask_own(other, token, f"own@{team.client}.example")
        check_refusal(reply, 409, "CONFLICT")
        await bare.ask("User Admin", UPDATE, id=user_id, input={"email": f"given@{team.client}.example"})
    user = await stored(team, user_id)
    assert (user.email, user.email_proved_at) == (f"given@{team.client}.example", None)
    assert old != user.email
