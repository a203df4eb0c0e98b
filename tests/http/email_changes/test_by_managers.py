"""Another e-mail address for others: by those who manage them, by rank, and where no mail is set up."""

from __future__ import annotations

from tests.support.accounts import new_user, trail
from tests.support.application import PASSWORD, App, running
from tests.support.email_changes import DAY, ask_own, changed, confirm, person, quiet, stored, told, undo
from tests.support.envelope import check_refusal, check_success
from tests.support.mail_server import MailServer
from tests.support.one_time_links import random_texts
from tests.support.team import Crew
from tests.support.user_management import RESET, SET_ROLES, UPDATE, events, reset


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
    await crew.ask("User Admin", RESET, id=user_id)
    link = (await told(crew.app, post))[right].token
    assert check_success(await undo(crew.app, back)) == {"email": wrong, "resets": False}
    assert await told(crew.app, post) == {}
    check_refusal(await reset(crew.app, link), 401, "INVALID_TOKEN")  # it went to the address that was taken back


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


async def test_an_address_that_a_user_admin_gave_is_an_admins_to_confirm_before_the_role(
    crew: Crew, post: MailServer
) -> None:
    """Either address may be a mailbox of the User Admin's: the one before, too."""
    user_id, planted, _ = await person(crew)
    boss = f"boss@{crew.client}.example"
    await crew.ask("User Admin", UPDATE, id=user_id, input={"email": boss})
    check_success(await confirm(crew.app, (await told(crew.app, post))[boss].token))
    back = (await told(crew.app, post))[planted].token
    refused = await crew.refused("Admin", SET_ROLES, id=user_id, roles=["Admin"])
    assert (refused.code, "an Admin sets the address first" in refused.message) == ("CONFLICT", True)
    await crew.ask("User Admin", UPDATE, id=user_id, input={"email": boss})
    assert (await crew.refused("Admin", SET_ROLES, id=user_id, roles=["Admin"])).code == "CONFLICT"
    await crew.ask("Admin", UPDATE, id=user_id, input={"email": boss})
    await crew.ask("Admin", SET_ROLES, id=user_id, roles=["Admin"])
    check_refusal(await undo(crew.app, back), 401, "INVALID_TOKEN")
    assert (await stored(crew, user_id)).email == boss


async def test_after_a_week_the_address_is_no_ones_to_undo_and_in_no_doubt(crew: Crew, post: MailServer) -> None:
    user_id, _, _ = await person(crew)
    other = f"other-{user_id}@{crew.client}.example"
    await crew.ask("User Admin", UPDATE, id=user_id, input={"email": other})
    check_success(await confirm(crew.app, (await told(crew.app, post))[other].token))
    crew.app.clock.advance(7 * DAY + 1)
    crew.members.clear()
    await crew.ask("Admin", SET_ROLES, id=user_id, roles=["Admin"])
    assert (await stored(crew, user_id)).email == other


async def test_no_one_gets_round_their_own_password(crew: Crew) -> None:
    for role in ("Admin", "User Admin"):
        me = await crew.member(role)
        refused = await crew.refused(role, UPDATE, id=me.id, input={"email": f"x@{crew.client}.example"})
        assert refused.code == "FORBIDDEN"
        await crew.ask(role, UPDATE, id=me.id, input={"title": "Chief"})


async def test_no_answer_and_no_event_holds_a_token(crew: Crew, post: MailServer) -> None:
    post.refuses = "550 no such mailbox"
    user_id, _, token = await person(crew)
    admin = await crew.app.admin_token()
    with random_texts(crew.app) as tokens:
        path = f"/api/admin/clients/{crew.client}/users/{user_id}"
        replies = [
            await ask_own(crew.app, token, f"one@{crew.client}.example"),
            await crew.send("User Admin", UPDATE, id=user_id, input={"email": f"two@{crew.client}.example"}),
            await crew.app.send("PATCH", path, {"email": f"three@{crew.client}.example"}, token=admin),
        ]
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
