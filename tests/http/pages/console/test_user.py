"""A user's page: roles, ranks, sessions, links, and identities, and actions that aren't offered."""

from __future__ import annotations

import pytest

from tests.support.accounts import new_user, settle, trail
from tests.support.application import PASSWORD, App
from tests.support.matrix import matrix
from tests.support.visitor import Page, Visitor

pytestmark = pytest.mark.one_store


def path_of(number: int) -> str:
    return f"/console/users/{number}"


async def admin(app: App) -> Visitor:
    return await Visitor(app).signed_in("admin@acme.example")


def acts(page: Page, path: str) -> set[str]:
    return {form.fields["act"] for form in page.forms() if form.action == path}


async def done(visitor: Visitor, page: Page) -> str:
    """The page's message after a change."""
    assert page.status == 303, page.text
    shown = await visitor.follow(page)
    [status] = shown.tree.xpath("//*[@role='status']")
    return str(status.text_content()).strip()


async def test_roles_are_set(app: App) -> None:
    visitor, (number, _) = await admin(app), await new_user(app)
    path = path_of(number)
    page = await visitor.submit(await visitor.get(path), path, {"act": "roles"}, roleAuthor="on")
    assert await done(visitor, page) == "Roles saved. They apply immediately."
    found = await app.get(f"/api/admin/clients/acme/users/{number}", token=await app.admin_token())
    assert found.data["roles"] == ["Author", "Viewer"]


async def test_no_role_is_rejected_beside_the_boxes(app: App) -> None:
    visitor, (number, _) = await admin(app), await new_user(app)
    path = path_of(number)
    form = (await visitor.get(path)).form(path, act="roles")
    page = await visitor.post(path, {"act": "roles", "form": form.fields["form"]})
    assert (page.status, page.problems) == (400, ["At least one role is required"])
    assert page.title.startswith("Error: ")
    assert page.tree.xpath("//*[@id='roles-error']")


async def test_a_new_admin_gets_a_link_where_no_way_is_left(app: App) -> None:
    visitor, (number, email) = await admin(app), await new_user(app, password=PASSWORD)
    await app.sign_in(email)
    path = path_of(number)
    page = await visitor.submit(await visitor.get(path), path, {"act": "roles"}, roleAdmin="on")
    assert page.status == 200  # only this response contains the link
    link = page.tree.xpath("//code[@id='link']")[0].text
    assert "/welcome#" in link
    assert (await app.sign_in(email)).status == 401
    assert link not in (await visitor.get(path)).reply.text


async def test_a_user_admin_is_not_offered_what_rank_forbids(app: App) -> None:
    visitor = await Visitor(app).signed_in("user-admin@acme.example")
    path = path_of(app.ids["admin@acme.example"])
    page = await visitor.get(path)
    assert "Only an Admin can manage an Admin's account" in page.text
    assert acts(page, path) == set()
    assert "Open sessions" not in page.text
    number, _ = await new_user(app)
    page = await visitor.get(path_of(number))
    assert "roleAdmin" not in page.reply.text
    form = page.form(path_of(number), act="roles").fields
    page = await visitor.post(path_of(number), form | {"roleAdmin": "on"})
    assert (page.status, page.problems) == (403, ["Only an Admin can grant or remove the Admin role"])


@matrix("act", ["roles", "details", "deactivate", "reset", "invite", "end-sessions"])
async def test_what_is_not_offered_is_rejected_when_it_is_posted(app: App, act: str) -> None:
    visitor = await Visitor(app).signed_in("user-admin@acme.example")
    number, email = await new_user(app)
    path = path_of(number)
    token = (await visitor.get(path)).form(path, act="roles").fields["form"]
    roles = f"/api/admin/clients/acme/users/{number}/roles"
    assert (await app.send("PUT", roles, {"roles": ["Admin"]}, token=await app.admin_token())).status == 200
    page = await visitor.post(path, {"act": act, "form": token, "roleViewer": "on", "email": email})
    assert (page.status, page.problems) == (403, ["Only an Admin can manage an Admin's account"])


async def test_the_callers_own_account_is_changed_elsewhere(app: App) -> None:
    visitor, path = await admin(app), path_of(app.ids["admin@acme.example"])
    page = await visitor.get(path)
    assert acts(page, path) == {"details", "end-sessions", "end-session"}
    assert page.links()["Go to your account"] == "/account"


async def test_details_are_saved_and_errors_appear_beside_their_fields(app: App) -> None:
    visitor, (number, _) = await admin(app), await new_user(app)
    path = path_of(number)
    page = await visitor.submit(await visitor.get(path), path, {"act": "details"}, firstName="Ada", lastName="L.")
    assert await done(visitor, page) == "Details saved."
    page = await visitor.submit(
        await visitor.get(path), path, {"act": "details"}, firstName="Eve", email="no address", title="x" * 100
    )
    assert (page.status, page.problems) == (400, ["Enter a valid email address"])
    assert page.form(path, act="details").fields["firstName"] == "Eve"
    assert page.form(path, act="details").fields["email"] == "no address"
    page = await visitor.submit(await visitor.get(path), path, {"act": "details"}, title="x" * 101)
    assert page.status == 400


async def test_an_address_that_another_has_is_rejected_in_words(app: App) -> None:
    visitor, (number, _), (_, taken) = await admin(app), await new_user(app), await new_user(app)
    path = path_of(number)
    page = await visitor.submit(await visitor.get(path), path, {"act": "details"}, email=taken)
    assert (page.status, page.problems) == (409, ["A user with this email address already exists"])


async def test_an_address_is_changed_after_a_recent_proof_alone(app: App) -> None:
    visitor, (number, before) = await admin(app), await new_user(app)
    path, after = path_of(number), f"moved-{before}"
    app.clock.advance(601)
    page = await visitor.submit(await visitor.get(path), path, {"act": "details"}, email=after)
    asked = await visitor.follow(page)
    assert asked.heading == "Confirm that it's you"
    assert (await visitor.get(path)).form(path, act="details").fields["email"] == before
    page = await visitor.submit(await visitor.get(path), path, {"act": "details"}, firstName="Ada")
    assert await done(visitor, page) == "Details saved."
    page = await visitor.submit(asked, "/reauthenticate", currentPassword=PASSWORD)
    assert await done(visitor, page) == "Details saved."
    assert (await visitor.get(path)).form(path, act="details").fields["email"] == after


async def test_out_and_in_again(app: App) -> None:
    visitor, (number, email) = await admin(app), await new_user(app, password=PASSWORD)
    path = path_of(number)
    page = await visitor.submit(await visitor.get(path), path, {"act": "deactivate"})
    assert "deactivated" in await done(visitor, page)
    assert (await app.sign_in(email)).code == "ACCOUNT_DISABLED"
    page = await visitor.get(path)
    assert {"deactivate", "reset"}.isdisjoint(acts(page, path))
    page = await visitor.submit(page, path, {"act": "restore"})
    assert await done(visitor, page) == "Account reactivated."
    assert (await app.sign_in(email)).status == 200


async def test_sessions_are_listed_and_ended(app: App) -> None:
    visitor, (number, email) = await admin(app), await new_user(app, password=PASSWORD)
    path = path_of(number)
    tokens = [(await app.sign_in(email, headers={"User-Agent": f"Browser {n}"})).data["token"] for n in range(3)]
    page = await visitor.get(path)
    assert [f"Browser {n}" in page.text for n in range(3)] == [True] * 3
    forms = [form for form in page.forms() if form.fields.get("act") == "end-session"]
    assert len(forms) == 3
    assert await done(visitor, await visitor.post(path, forms[0].fields)) == "Session ended."
    page = await visitor.get(path)
    assert sum(f"Browser {n}" in page.text for n in range(3)) == 2
    assert await done(visitor, await visitor.post(path, forms[0].fields)) == "Session ended."
    assert [one.event for one in await trail(app, "acme")][-3:].count("session_ended") == 1
    page = await visitor.submit(page, path, {"act": "end-sessions"})
    assert await done(visitor, page) == "All sessions ended."
    assert [(await app.me(token)).status for token in tokens] == [401] * 3


async def test_a_session_of_another_user_is_not_there(app: App) -> None:
    visitor, (number, _) = await admin(app), await new_user(app)
    (_, other) = await new_user(app, password=PASSWORD)
    token = (await app.sign_in(other)).data["token"]
    session = (await app.me(token)).data
    path = path_of(number)
    form = (await visitor.get(path)).form(path, act="details").fields["form"]
    for name in ("A" * 22, "", "../x", str(session)[:30]):
        page = await visitor.post(path, {"form": form, "act": "end-session", "session": name})
        assert page.status == 404
    assert (await app.me(token)).status == 200


async def test_a_reset_link_is_shown_once(app: App) -> None:
    visitor, (number, _) = await admin(app), await new_user(app)
    path = path_of(number)
    page = await visitor.submit(await visitor.get(path), path, {"act": "reset"})
    assert page.status == 200
    link = page.tree.xpath("//code[@id='link']")[0].text
    assert link.startswith(f"{app.public_url.rstrip('/')}/welcome#")
    assert page.tree.xpath("//button[@data-copies='link'][@hidden]")
    assert "take over the account" in page.text
    assert link not in (await visitor.get(path)).reply.text
    assert link.partition("#")[2] not in str(await trail(app, "acme"))


async def test_where_no_one_uses_a_password_no_reset_is_offered(app: App) -> None:
    visitor, (number, _) = await admin(app), await new_user(app)
    path = path_of(number)
    token = (await visitor.get(path)).form(path, act="reset").fields
    await settle(app, "acme", passwordSignIn=False)
    try:
        page = await visitor.get(path)
        assert "reset" not in acts(page, path)
        page = await visitor.post(path, token)
        assert (page.status, page.problems) == (409, ["Passwords are turned off for this client"])
    finally:
        await settle(app, "acme", passwordSignIn=True)


@matrix("number", ["0", "-1", "01", "1e3", "999999999", "9" * 30, "x", "%2e%2e", "1;2"])
async def test_an_invalid_user_is_not_there(app: App, number: str) -> None:
    page = await (await admin(app)).get(f"/console/users/{number}")
    assert (page.status, page.heading) == (404, "Page not found")


async def test_a_user_of_another_client_is_not_there(app: App) -> None:
    visitor, other = await admin(app), app.ids["viewer@globex.example"]
    assert (await visitor.get(path_of(other))).status == 404
    theirs = await Visitor(app).signed_in("admin@globex.example")
    before = (await theirs.get(path_of(other))).text
    own = await visitor.get(path_of(app.ids["viewer@acme.example"]))
    token = own.form(path_of(app.ids["viewer@acme.example"]), act="roles").fields["form"]
    page = await visitor.post(path_of(other), {"form": token, "act": "deactivate"})
    assert page.status == 403  # the token of one user's page isn't valid for another's
    assert (await theirs.get(path_of(other))).text == before


@matrix("act", ["", "delete", "Roles"])
async def test_an_act_that_there_is_not_changes_nothing(app: App, act: str) -> None:
    visitor, (number, _) = await admin(app), await new_user(app)
    path = path_of(number)
    form = (await visitor.get(path)).form(path, act="roles").fields
    page = await visitor.post(path, form | {"act": act, "roleAdmin": "on"})
    assert page.status == 400
    assert (await app.get(f"/api/admin/clients/acme/users/{number}", token=await app.admin_token())).data["roles"] == [
        "Viewer"
    ]
