"""A user changes their own email address: the new mailbox confirms it, and the old one is notified and can undo it."""

from __future__ import annotations

import pytest

from tests.support.accounts import keys_of, new_user, opened_by
from tests.support.application import PASSWORD
from tests.support.email_changes import (
    DAY,
    LOOK,
    NOTHING_REMOVED,
    PENDING,
    ask_own,
    changed,
    confirm,
    is_proved,
    mails_by_recipient,
    person,
    stored,
    undo,
    until_idle,
)
from tests.support.envelope import check_refusal, check_success
from tests.support.mail_server import MailServer
from tests.support.matrix import matrix
from tests.support.rules import rule
from tests.support.statements import counted_statements
from tests.support.team import Team
from tests.support.user_management import NEW, events, reset

pytestmark = pytest.mark.one_store


async def test_it_takes_effect_when_the_new_mailbox_confirms(team: Team, mail_server: MailServer) -> None:
    user_id, old, token = await person(team)
    new = f"other@{team.client}.example"
    data = check_success(await ask_own(team.app, token, new))
    assert data["pendingEmail"] == new
    assert (await team.app.me(token)).data["user"]["email"] == old
    assert (await team.ask("Admin", PENDING, id=user_id)) == {"email": old, "pendingEmail": new}
    mails = await mails_by_recipient(team.app, mail_server)
    assert set(mails) == {old, new}
    assert "a change of email address was requested" in mails[old].message["Subject"]
    assert "welcome#" not in mails[old].text
    assert "24 hours" in mails[new].text
    looked = check_success(await team.app.post(LOOK, {"token": mails[new].token}))
    assert (looked["purpose"], looked["email"]) == ("email", new)
    assert check_success(await confirm(team.app, mails[new].token)) == {"email": new}
    assert (await team.app.me(token)).data["user"]["email"] == new  # nobody is signed out
    assert (await team.ask("Admin", PENDING, id=user_id)) == {"email": new, "pendingEmail": None}
    assert (await team.app.sign_in(new, client=team.client)).status == 200
    check_refusal(await team.app.sign_in(old, client=team.client), 401, "INVALID_CREDENTIALS")
    mails = await mails_by_recipient(team.app, mail_server)
    assert set(mails) == {old}
    assert "7 days" in mails[old].text
    assert await is_proved(team, user_id) == (
        True,
        False,
    )  # the account's earlier owner chose the password
    [started] = await events(team, "email_change_started")
    assert (started.actor, started.subject) == (f"user:{user_id}", f"user:{user_id}")
    [event] = await events(team, "email_changed")
    assert event.members["before"] == {"email": old}
    assert event.members["after"] == {"email": new}


@rule("RESET-UNSEEN")
async def test_the_old_mailbox_undoes_it(team: Team, mail_server: MailServer) -> None:
    user_id, old, token = await person(team)
    new = f"thief@{team.client}.example"
    back = await changed(team, mail_server, token, new)
    keys = await keys_of(team.app, new, client=team.client)
    await team.app.post("/api/client/auth/password/forgot", {"email": new, "client": team.client})
    stolen = (await mails_by_recipient(team.app, mail_server))[new].token
    looked = check_success(await team.app.post(LOOK, {"token": back}))
    assert (looked["purpose"], looked["email"]) == ("email-undo", old)
    team.app.clock.advance(6.9 * DAY)
    assert check_success(await undo(team.app, back)) == {"email": old, "resets": True, "removed": NOTHING_REMOVED}
    assert await opened_by(team.app, keys) == []
    for email in (old, new):
        check_refusal(await team.app.sign_in(email, client=team.client), 401, "INVALID_CREDENTIALS")
    check_refusal(await reset(team.app, stolen), 401, "INVALID_TOKEN")
    mails = await mails_by_recipient(team.app, mail_server)
    assert set(mails) == {old}
    check_success(await reset(team.app, mails[old].token))
    assert (await team.app.sign_in(old, NEW, team.client)).status == 200
    assert (await is_proved(team, user_id))[1]
    [event] = await events(team, "email_change_undone")
    assert event.members["after"] == {"email": old}
    check_refusal(await undo(team.app, back), 401, "INVALID_TOKEN")


@rule("RESET-UNSEEN")
async def test_a_password_reset_keeps_the_undo_link_valid(team: Team, mail_server: MailServer) -> None:
    """Someone changes the address and then resets the password, which is the attack that the undo link is for."""
    _, old, token = await person(team)
    new = f"thief@{team.client}.example"
    back = await changed(team, mail_server, token, new)
    await team.app.post("/api/client/auth/password/forgot", {"email": new, "client": team.client})
    check_success(await reset(team.app, (await mails_by_recipient(team.app, mail_server))[new].token))
    assert check_success(await undo(team.app, back))["email"] == old
    check_refusal(await team.app.sign_in(old, NEW, team.client), 401, "INVALID_CREDENTIALS")


@rule("EMAIL-UNDO")
async def test_the_first_mailbox_undoes_all_that_came_after(team: Team, mail_server: MailServer) -> None:
    _, old, token = await person(team)
    second, third = (f"{name}@{team.client}.example" for name in ("second", "third"))
    first_back = await changed(team, mail_server, token, second)
    team.app.clock.advance(1)
    second_back = await changed(team, mail_server, token, third)
    check_success(await ask_own(team.app, token, f"fourth@{team.client}.example"))
    pending = (await mails_by_recipient(team.app, mail_server))[f"fourth@{team.client}.example"].token
    assert check_success(await undo(team.app, first_back))["email"] == old
    for reply in (await undo(team.app, second_back), await confirm(team.app, pending)):
        check_refusal(reply, 401, "INVALID_TOKEN")


async def test_a_later_mailbox_cannot_undo_earlier_changes(team: Team, mail_server: MailServer) -> None:
    _, old, token = await person(team)
    first_back = await changed(team, mail_server, token, f"second@{team.client}.example")
    team.app.clock.advance(1)
    second_back = await changed(team, mail_server, token, f"third@{team.client}.example")
    assert check_success(await undo(team.app, second_back))["email"] == f"second@{team.client}.example"
    assert check_success(await undo(team.app, first_back))["email"] == old


async def test_a_taken_address_gets_the_same_response_as_a_free_one(team: Team, mail_server: MailServer) -> None:
    user_id, _, token = await person(team)
    other_id, other, other_token = await person(team)
    _, taken = await new_user(team.app, team.client)
    replies, work = [], []
    for who, new in ((token, f"free@{team.client}.example"), (other_token, taken)):
        with counted_statements() as seen:
            replies.append(await ask_own(team.app, who, new))
            await until_idle(team.app)
        # Counters might already exist; emails that were delivered in the meantime are deleted.
        writes = [sql for sql in seen if sql.startswith(("INSERT", "UPDATE")) or "FROM users" in sql]
        work.append([sql for sql in writes if "throttles" not in sql])
    free, refused = replies
    assert (free.status, set(free.data)) == (refused.status, set(refused.data))
    assert work[0] == work[1]
    assert refused.data["pendingEmail"] == taken
    mails = await mails_by_recipient(team.app, mail_server)
    assert "belongs to another account" in mails[taken].text
    assert "welcome#" not in mails[taken].text
    me = "{ me { email pendingEmail } }"
    for who, new in ((token, f"free@{team.client}.example"), (other_token, taken)):
        assert (await team.app.graphql(me, who)).json["data"]["me"]["pendingEmail"] == new
    assert (await stored(team, other_id)).email == other
    assert user_id != other_id


async def test_links_that_went_to_the_old_address_close(team: Team, mail_server: MailServer) -> None:
    _, old, token = await person(team)
    await team.app.post("/api/client/auth/password/forgot", {"email": old, "client": team.client})
    link = (await mails_by_recipient(team.app, mail_server))[old].token
    await changed(team, mail_server, token, f"other@{team.client}.example")
    check_refusal(await reset(team.app, link), 401, "INVALID_TOKEN")


@rule("PENDING-SIGN-INS")
@matrix("act", ["all", "others", "password", "by a manager", "factors reset"])
async def test_ending_all_sessions_cancels_their_requests(team: Team, mail_server: MailServer, act: str) -> None:
    user_id, _, token = await person(team)
    new = f"thief@{team.client}.example"
    check_success(await ask_own(team.app, token, new))
    link = (await mails_by_recipient(team.app, mail_server))[new].token
    of_user, root = f"/api/admin/clients/{team.client}/users/{user_id}", await team.app.admin_token()
    if act in ("all", "others"):
        check_success(await team.app.post(f"/api/client/auth/sign-out-{act}", token=token))
    elif act == "password":
        body = {"currentPassword": PASSWORD, "newPassword": f"{PASSWORD}!"}
        check_success(await team.app.post("/api/client/auth/password", body, token=token))
    elif act == "by a manager":
        check_success(await team.app.send("DELETE", f"{of_user}/sessions", token=root))
    else:
        check_success(await team.app.post(f"{of_user}/factors/reset", {"reason": "taken over"}, token=root))
    check_refusal(await confirm(team.app, link), 401, "INVALID_TOKEN")
