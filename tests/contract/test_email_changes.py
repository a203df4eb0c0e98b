"""Another e-mail address: the new mailbox confirms it, the old one is told and can undo it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from manifest_auth import users
from manifest_auth.mail_queue import sending
from manifest_auth.users import User
from tests.support.accounts import act_on, keys_of, new_user, opened_by, settle, trail
from tests.support.crew import Crew, new_crew
from tests.support.envelope import check_refusal, check_success
from tests.support.house import PASSWORD, App, Reply, running
from tests.support.mail_server import MailServer, Received
from tests.support.managing import NEW, SET_ROLES, UPDATE, accept, events, reset
from tests.support.statements import counted_statements

ADDRESS, CONFIRM, UNDO, LOOK = (f"/api/client/auth/{path}" for path in ("email", "email/confirm", "email/undo", "link"))
DAY = 86_400
PENDING = "query($id: Int!) { user(id: $id) { email pendingEmail } }"


@pytest.fixture(scope="module")
def post() -> Iterator[MailServer]:
    """The server that takes our mail."""
    with MailServer() as server:
        yield server


@pytest.fixture(scope="module")
async def app(database_url: str, post: MailServer) -> AsyncIterator[App]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sending, "EVERY_S", 3600)
        async with running(database_url, **post.settings) as application:
            yield application


@pytest.fixture
async def crew(app: App, post: MailServer) -> Crew:
    app.clock.advance(2 * DAY)
    await quiet(app)
    post.letters.clear()
    post.refuses = ""
    return await new_crew(app)


async def quiet(app: App) -> None:
    """Waits until nothing is under way in the background."""
    while app.house.mail._chores:
        await asyncio.sleep(0.01)


async def told(app: App, post: MailServer) -> dict[str, Received]:
    """The e-mails that came since the last time, by their recipient."""
    await quiet(app)
    found = {letter.recipients[0]: letter for letter in post.letters}
    assert len(found) == len(post.letters)
    post.letters.clear()
    return found


async def person(crew: Crew, **members: Any) -> tuple[int, str, str]:
    """A user with a password: id, address, access token."""
    user_id, email = await new_user(crew.app, crew.client, password=PASSWORD, **members)
    return user_id, email, (await keys_of(crew.app, email, client=crew.client)).token


async def ask_own(app: App, token: str, new: str, password: str = PASSWORD) -> Reply:
    return await app.post(ADDRESS, {"newEmail": new, "currentPassword": password}, token=token)


async def confirm(app: App, token: str, **options: Any) -> Reply:
    return await app.post(CONFIRM, {"token": token}, **options)


async def undo(app: App, token: str, **options: Any) -> Reply:
    return await app.post(UNDO, {"token": token}, **options)


async def stored(crew: Crew, user_id: int) -> User:
    from manifest_auth import tenants

    def work(unit: Any) -> User:
        tenant = tenants.find(unit, crew.client)
        assert tenant is not None
        return users.get(unit.of(tenant.id), user_id)

    return await crew.app.house.store.read(work)


async def changed(crew: Crew, post: MailServer, token: str, new: str) -> str:
    """Changes one's own address to ``new``; the token that undoes it."""
    check_success(await ask_own(crew.app, token, new))
    check_success(await confirm(crew.app, (await told(crew.app, post))[new].token))
    [letter] = (await told(crew.app, post)).values()
    return letter.token


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
    user = await stored(crew, user_id)
    assert user.email_proved_at is not None
    assert not users.password_is_proved(user)  # it was chosen before, by the one who had the account then
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
    assert users.password_is_proved(await stored(crew, user_id))
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


async def test_those_who_manage_a_user_ask_for_it_too(crew: Crew, post: MailServer) -> None:
    user_id, old, _ = await person(crew)
    new = f"other@{crew.client}.example"
    document = UPDATE.replace("title", "title pendingEmail")
    found = await crew.ask("User Admin", document, id=user_id, input={"email": new, "title": "Chief"})
    assert (found["email"], found["title"], found["pendingEmail"]) == (old, "Chief", new)
    mails = await told(crew.app, post)
    assert set(mails) == {old, new}
    [event] = await events(crew, "user_changed")
    assert event.members["after"] == {"title": "Chief"}
    check_success(await confirm(crew.app, mails[new].token))
    assert (await stored(crew, user_id)).email == new
    _, taken = await new_user(crew.app, crew.client)
    assert (await crew.refused("User Admin", UPDATE, id=user_id, input={"email": taken})).code == "CONFLICT"


async def test_a_system_admin_asks_for_it_too(crew: Crew, post: MailServer) -> None:
    user_id, old, _ = await person(crew)
    new, admin = f"other@{crew.client}.example", await crew.app.admin_token()
    path = f"/api/admin/clients/{crew.client}/users/{user_id}"
    data = check_success(await crew.app.send("PATCH", path, {"email": new}, token=admin))
    assert (data["email"], data["pendingEmail"], data["emailProvedAt"]) == (old, new, None)
    listed = check_success(await crew.app.get(f"/api/admin/clients/{crew.client}/users?q={old}", token=admin))
    assert [user["pendingEmail"] for user in listed["items"]] == [new]
    check_success(await confirm(crew.app, (await told(crew.app, post))[new].token))
    data = check_success(await crew.app.get(path, token=admin))
    assert (data["email"], data["pendingEmail"]) == (new, None)
    assert data["emailProvedAt"]


async def test_a_mistyped_address_that_was_put_right_gives_its_mailbox_no_password(
    crew: Crew, post: MailServer
) -> None:
    user_id, wrong = await new_user(crew.app, crew.client, password=PASSWORD)
    right = f"right@{crew.client}.example"
    await crew.ask("Admin", UPDATE, id=user_id, input={"email": right})
    check_success(await confirm(crew.app, (await told(crew.app, post))[right].token))
    back = (await told(crew.app, post))[wrong].token
    assert check_success(await undo(crew.app, back)) == {"email": wrong, "resets": False}
    assert await told(crew.app, post) == {}


async def test_a_user_admin_never_changes_an_admins_address(crew: Crew, post: MailServer) -> None:
    admin = await crew.member("Admin")
    refused = await crew.refused("User Admin", UPDATE, id=admin.id, input={"email": f"x@{crew.client}.example"})
    assert refused.code == "FORBIDDEN"
    user_id, old, _ = await person(crew)
    new = f"planted@{crew.client}.example"
    await crew.ask("User Admin", UPDATE, id=user_id, input={"email": new})
    link = (await told(crew.app, post))[new].token
    await crew.ask("Admin", SET_ROLES, id=user_id, roles=["Admin"])
    check_refusal(await confirm(crew.app, link), 401, "INVALID_TOKEN")
    assert (await stored(crew, user_id)).email == old


async def test_who_becomes_an_admin_cannot_be_put_back_to_a_planted_address(crew: Crew, post: MailServer) -> None:
    user_id, planted, _ = await person(crew)
    boss = f"boss@{crew.client}.example"
    await crew.ask("User Admin", UPDATE, id=user_id, input={"email": boss})
    check_success(await confirm(crew.app, (await told(crew.app, post))[boss].token))
    back = (await told(crew.app, post))[planted].token
    await crew.ask("Admin", SET_ROLES, id=user_id, roles=["Admin"])
    check_refusal(await undo(crew.app, back), 401, "INVALID_TOKEN")
    assert (await stored(crew, user_id)).email == boss


async def test_no_one_gets_round_their_own_password(crew: Crew) -> None:
    for role in ("Admin", "User Admin"):
        me = await crew.member(role)
        refused = await crew.refused(role, UPDATE, id=me.id, input={"email": f"x@{crew.client}.example"})
        assert refused.code == "FORBIDDEN"
        await crew.ask(role, UPDATE, id=me.id, input={"title": "Chief"})


async def test_links_that_went_to_the_old_address_close(crew: Crew, post: MailServer) -> None:
    _, old, token = await person(crew)
    await crew.app.post("/api/client/auth/password/forgot", {"email": old, "client": crew.client})
    link = (await told(crew.app, post))[old].token
    await changed(crew, post, token, f"other@{crew.client}.example")
    check_refusal(await reset(crew.app, link), 401, "INVALID_TOKEN")


async def test_no_answer_and_no_event_holds_a_token(crew: Crew, post: MailServer) -> None:
    post.refuses = "550 no such mailbox"
    tokens: list[str] = []
    original = crew.app.house.random.text

    def text(count: int = 16) -> str:
        tokens.append(original(count))
        return tokens[-1]

    user_id, _, token = await person(crew)
    admin = await crew.app.admin_token()
    crew.app.house.random.text = text  # type: ignore[method-assign]
    try:
        path = f"/api/admin/clients/{crew.client}/users/{user_id}"
        replies = [
            await ask_own(crew.app, token, f"one@{crew.client}.example"),
            await crew.send("User Admin", UPDATE, id=user_id, input={"email": f"two@{crew.client}.example"}),
            await crew.app.send("PATCH", path, {"email": f"three@{crew.client}.example"}, token=admin),
        ]
    finally:
        crew.app.house.random.text = original  # type: ignore[method-assign]
    secrets = [text for text in tokens if len(text) == 32]
    assert len(secrets) >= 3
    for reply in replies:
        assert reply.status == 200
        assert not [secret for secret in secrets if secret in reply.text]
    details = "".join(event.detail for event in await trail(crew.app, crew.client))
    assert not [secret for secret in secrets if secret in details]
    await quiet(crew.app)


async def test_without_mail_those_who_manage_change_it_at_once_and_it_is_not_proved(
    database_url: str, app: App, crew: Crew, post: MailServer
) -> None:
    user_id, old, token = await person(crew)
    await changed(crew, post, token, f"proved@{crew.client}.example")
    assert (await stored(crew, user_id)).email_proved_at is not None
    async with running(database_url) as other:
        other.clock.ms = app.clock.ms
        bare = Crew(other, crew.client)
        reply = await ask_own(other, token, f"own@{crew.client}.example")
        check_refusal(reply, 409, "CONFLICT")
        await bare.ask("User Admin", UPDATE, id=user_id, input={"email": f"given@{crew.client}.example"})
    user = await stored(crew, user_id)
    assert (user.email, user.email_proved_at) == (f"given@{crew.client}.example", None)
    assert old != user.email
