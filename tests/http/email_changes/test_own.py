"""Another e-mail address: the new mailbox confirms it, the old one is told and can undo it."""

from __future__ import annotations

from tests.support.accounts import keys_of, new_user, opened_by
from tests.support.email_changes import (
    DAY,
    LOOK,
    PENDING,
    ask_own,
    changed,
    confirm,
    is_proved,
    person,
    quiet,
    stored,
    told,
    undo,
)
from tests.support.envelope import check_refusal, check_success
from tests.support.mail_server import MailServer
from tests.support.statements import counted_statements
from tests.support.team import Crew
from tests.support.user_management import NEW, events, reset


async def test_it_takes_effect_when_the_new_mailbox_confirms(crew: Crew, post: MailServer) -> None:
    user_id, old, token = await person(crew)
    new = f"other@{crew.client}.example"
    data = check_success(await ask_own(crew.app, token, new))
    assert data["pendingEmail"] == new
    assert (await crew.app.me(token)).data["user"]["email"] == old
    assert (await crew.ask("Admin", PENDING, id=user_id)) == {"email": old, "pendingEmail": new}
    mails = await told(crew.app, post)
    assert set(mails) == {old, new}
    assert "another e-mail address was asked for" in mails[old].message["Subject"]
    assert "welcome#" not in mails[old].text
    assert "24 hours" in mails[new].text
    looked = check_success(await crew.app.post(LOOK, {"token": mails[new].token}))
    assert (looked["purpose"], looked["email"]) == ("email", new)
    assert check_success(await confirm(crew.app, mails[new].token)) == {"email": new}
    assert (await crew.app.me(token)).data["user"]["email"] == new  # no one is signed out
    assert (await crew.ask("Admin", PENDING, id=user_id)) == {"email": new, "pendingEmail": None}
    assert (await crew.app.sign_in(new, client=crew.client)).status == 200
    check_refusal(await crew.app.sign_in(old, client=crew.client), 401, "INVALID_CREDENTIALS")
    mails = await told(crew.app, post)
    assert set(mails) == {old}
    assert "7 days" in mails[old].text
    assert await is_proved(crew, user_id) == (
        True,
        False,
    )  # the password was chosen before, by the one who had the account then
    [started] = await events(crew, "email_change_started")
    assert (started.actor, started.subject) == (f"user:{user_id}", f"user:{user_id}")
    [event] = await events(crew, "email_changed")
    assert event.members["before"] == {"email": old}
    assert event.members["after"] == {"email": new}


async def test_the_old_mailbox_undoes_it(crew: Crew, post: MailServer) -> None:
    user_id, old, token = await person(crew)
    new = f"thief@{crew.client}.example"
    back = await changed(crew, post, token, new)
    keys = await keys_of(crew.app, new, client=crew.client)
    await crew.app.post("/api/client/auth/password/forgot", {"email": new, "client": crew.client})
    stolen = (await told(crew.app, post))[new].token
    looked = check_success(await crew.app.post(LOOK, {"token": back}))
    assert (looked["purpose"], looked["email"]) == ("email-undo", old)
    crew.app.clock.advance(6.9 * DAY)
    assert check_success(await undo(crew.app, back)) == {"email": old, "resets": True}
    assert await opened_by(crew.app, keys) == []
    for email in (old, new):
        check_refusal(await crew.app.sign_in(email, client=crew.client), 401, "INVALID_CREDENTIALS")
    check_refusal(await reset(crew.app, stolen), 401, "INVALID_TOKEN")
    mails = await told(crew.app, post)
    assert set(mails) == {old}
    check_success(await reset(crew.app, mails[old].token))
    assert (await crew.app.sign_in(old, NEW, crew.client)).status == 200
    assert (await is_proved(crew, user_id))[1]
    [event] = await events(crew, "email_change_undone")
    assert event.members["after"] == {"email": old}
    check_refusal(await undo(crew.app, back), 401, "INVALID_TOKEN")


async def test_a_new_password_by_forgot_leaves_the_way_back_open(crew: Crew, post: MailServer) -> None:
    """Change the address, then "forgot password": what this is there against."""
    _, old, token = await person(crew)
    new = f"thief@{crew.client}.example"
    back = await changed(crew, post, token, new)
    await crew.app.post("/api/client/auth/password/forgot", {"email": new, "client": crew.client})
    check_success(await reset(crew.app, (await told(crew.app, post))[new].token))
    assert check_success(await undo(crew.app, back))["email"] == old
    check_refusal(await crew.app.sign_in(old, NEW, crew.client), 401, "INVALID_CREDENTIALS")


async def test_the_first_mailbox_undoes_all_that_came_after(crew: Crew, post: MailServer) -> None:
    _, old, token = await person(crew)
    second, third = (f"{name}@{crew.client}.example" for name in ("second", "third"))
    first_back = await changed(crew, post, token, second)
    crew.app.clock.advance(1)
    second_back = await changed(crew, post, token, third)
    check_success(await ask_own(crew.app, token, f"fourth@{crew.client}.example"))
    pending = (await told(crew.app, post))[f"fourth@{crew.client}.example"].token
    assert check_success(await undo(crew.app, first_back))["email"] == old
    for reply in (await undo(crew.app, second_back), await confirm(crew.app, pending)):
        check_refusal(reply, 401, "INVALID_TOKEN")


async def test_a_later_mailbox_undoes_nothing_of_what_came_before(crew: Crew, post: MailServer) -> None:
    _, old, token = await person(crew)
    first_back = await changed(crew, post, token, f"second@{crew.client}.example")
    crew.app.clock.advance(1)
    second_back = await changed(crew, post, token, f"third@{crew.client}.example")
    assert check_success(await undo(crew.app, second_back))["email"] == f"second@{crew.client}.example"
    assert check_success(await undo(crew.app, first_back))["email"] == old


async def test_a_taken_address_is_answered_like_a_free_one(crew: Crew, post: MailServer) -> None:
    user_id, _, token = await person(crew)
    other_id, other, other_token = await person(crew)
    _, taken = await new_user(crew.app, crew.client)
    replies, work = [], []
    for who, new in ((token, f"free@{crew.client}.example"), (other_token, taken)):
        with counted_statements() as seen:
            replies.append(await ask_own(crew.app, who, new))
            await quiet(crew.app)
        # Counters may be there already; what is deleted are e-mails that were taken meanwhile.
        writes = [sql for sql in seen if sql.startswith(("INSERT", "UPDATE")) or "FROM users" in sql]
        work.append([sql for sql in writes if "throttles" not in sql])
    free, refused = replies
    assert (free.status, set(free.data)) == (refused.status, set(refused.data))
    assert work[0] == work[1]
    assert refused.data["pendingEmail"] == taken
    mails = await told(crew.app, post)
    assert "belongs to\nanother account" in mails[taken].text
    assert "welcome#" not in mails[taken].text
    me = "{ me { email pendingEmail } }"
    for who, new in ((token, f"free@{crew.client}.example"), (other_token, taken)):
        assert (await crew.app.graphql(me, who)).json["data"]["me"]["pendingEmail"] == new
    assert (await stored(crew, other_id)).email == other
    assert user_id != other_id


async def test_links_that_went_to_the_old_address_close(crew: Crew, post: MailServer) -> None:
    _, old, token = await person(crew)
    await crew.app.post("/api/client/auth/password/forgot", {"email": old, "client": crew.client})
    link = (await told(crew.app, post))[old].token
    await changed(crew, post, token, f"other@{crew.client}.example")
    check_refusal(await reset(crew.app, link), 401, "INVALID_TOKEN")
