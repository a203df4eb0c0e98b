"""Actions on several users: confirmed with their number, completed one by one, with a result for each.

Also covers the list of users as a file.
"""

from __future__ import annotations

import csv
import io
import json

import pytest

from tests.http.pages.console.test_factor_rules import browser_of
from tests.support.accounts import new_client, new_user, settle, trail
from tests.support.application import PASSWORD, App
from tests.support.matrix import matrix
from tests.support.people import set_roles
from tests.support.second_factors import person
from tests.support.visitor import Page, Visitor

pytestmark = pytest.mark.one_store

PATH = "/console/users"


async def manager(app: App, role: str = "Admin", **settings: object) -> tuple[Visitor, str]:
    """A manager of a new client, and the client."""
    client = await new_client(app, **settings)
    return await browser_of(await person(app, client, role)), client


async def select(visitor: Visitor, *users: int, query: str = "", **typed: str) -> Page:
    """The response to selecting these users, usually the confirmation page."""
    page = await visitor.get(f"{PATH}{query}")
    boxes = {box.get("value"): box.get("name") for box in page.tree.xpath("//tbody//input[@type='checkbox']")}
    ticked = {boxes.get(str(user), f"user{number}"): str(user) for number, user in enumerate(users)}
    return await visitor.post(PATH, page.form(PATH).fields | ticked | typed)


async def confirmed(visitor: Visitor, page: Page) -> Page:
    """The list with the results, after the action is confirmed."""
    assert page.status == 200, page.reply.text
    return await visitor.submit(page, PATH)


def results(page: Page) -> dict[str, str]:
    rows = page.tree.xpath("//section[@aria-labelledby='result']//tbody/tr")
    return {row.findtext("th/a"): " ".join(row.find("td").text_content().split()) for row in rows}


async def roles_of(app: App, client: str, user: int) -> list[str]:
    found = await app.get(f"/api/admin/clients/{client}/users/{user}", token=await app.admin_token())
    return list(found.data["roles"])


async def test_the_question_names_people_and_sessions_and_nothing_is_done_before(app: App) -> None:
    visitor, client = await manager(app)
    one, email = await new_user(app, client, firstName="Ada", lastName="One", password=PASSWORD)
    two, _ = await new_user(app, client, firstName="Bob", lastName="Two")
    for _ in range(2):
        keys = await app.sign_in(email, PASSWORD, client)
    page = await select(visitor, one, two, act="deactivate", query="?role=Viewer")
    assert page.heading == "Deactivate 2 users?"
    assert "Ends 2 open sessions." in page.text
    assert (await app.me(keys.data["token"])).status == 200
    page = await confirmed(visitor, page)
    assert page.heading == "Users"
    assert "Deactivate: 2 of 2 done" in page.text
    assert results(page) == {"Ada One": "Done", "Bob Two": "Done"}
    assert page.tree.xpath("//select[@name='role']/option[@selected]/@value") == ["Viewer"]
    assert (await app.me(keys.data["token"])).status == 401
    done = [event.subject for event in await trail(app, client) if event.event == "user_deactivated"]
    assert done == [f"user:{one}", f"user:{two}"]


async def test_one_who_is_rejected_stops_no_other_and_says_why(app: App) -> None:
    visitor, client = await manager(app)
    users = [(await new_user(app, client, firstName=name, lastName="X", roles=["Viewer"]))[0] for name in "ABC"]
    await set_roles(app, client, users[1], "Viewer", "Author")
    page = await confirmed(visitor, await select(visitor, *users, act="remove-role", forRole="Viewer"))
    assert "Remove a role: 1 of 3 done" in page.text
    refused = "Not done At least one role is required"
    assert results(page) == {"A X": refused, "B X": "Done", "C X": refused}
    assert [await roles_of(app, client, user) for user in users] == [["Viewer"], ["Author"], ["Viewer"]]
    page = await confirmed(visitor, await select(visitor, *users, act="add-role", forRole="Author"))
    assert results(page) == {"A X": "Done", "B X": "Not done This user already has this role", "C X": "Done"}
    assert await roles_of(app, client, users[0]) == ["Author", "Viewer"]


async def test_a_user_admin_changes_no_admin_and_no_one_themselves(app: App) -> None:
    visitor, client = await manager(app, "User Admin")
    me = int((await trail(app, client))[-1].subject.removeprefix("user:"))
    boss, email = await new_user(app, client, firstName="The", lastName="Boss", roles=["Admin"], password=PASSWORD)
    other, _ = await new_user(app, client, firstName="An", lastName="Other")
    keys = await app.sign_in(email, PASSWORD, client)
    for act in ("deactivate", "end-sessions"):
        page = await select(visitor, me, boss, other, act=act)
        assert "1 user" in page.heading
        assert "Skips 2 users." in page.text
        page = await confirmed(visitor, page)
        assert "1 of 3 done" in page.text
        assert results(page)["The Boss"] == "Not done Only an Admin can manage an Admin's account"
        assert "This is your own account" in page.text
        assert (await app.me(keys.data["token"])).status == 200
    page = await select(visitor, me, boss, act="deactivate")
    assert (page.status, page.problems) == (403, ["None of the selected users can be changed"])
    page = await confirmed(visitor, await select(visitor, other, act="remove-role", forRole="Admin"))
    assert results(page)["An Other"].startswith("Not done")


@matrix(
    ("typed", "problem"),
    [
        ({}, "Choose an action"),
        ({"act": "delete"}, "Choose an action"),
        ({"act": "add-role"}, "Choose a role"),
        ({"act": "add-role", "forRole": "King"}, "Choose a role"),
        ({"act": "add-role", "forRole": "Admin"}, "To make someone an Admin, open the page of that user"),
    ],
)
async def test_half_an_act_is_rejected_and_keeps_the_selection(app: App, typed: dict[str, str], problem: str) -> None:
    visitor, client = await manager(app)
    user, _ = await new_user(app, client)
    page = await select(visitor, user, **typed)
    assert (page.status, page.problems) == (400, [problem])
    assert page.tree.xpath("//tbody//input[@type='checkbox'][@checked]/@value") == [str(user)]


async def test_no_one_selected_is_rejected(app: App) -> None:
    visitor, _ = await manager(app)
    reach = "An action changes only users selected on this page, which has up to 50."
    assert reach in (await visitor.get(PATH)).text
    page = await select(visitor, act="deactivate")
    assert (page.status, page.problems) == (400, ["Select at least one user"])
    assert page.tree.xpath("//*[@id='users']")


async def test_invitations_are_shown_once_for_each(app: App) -> None:
    visitor, client = await manager(app)
    new, _ = await new_user(app, client, firstName="New", lastName="One")
    old, _ = await new_user(app, client, firstName="Old", lastName="One", password=PASSWORD)
    page = await confirmed(visitor, await select(visitor, new, old, act="invite"))
    assert results(page)["Old One"] == "Not done This user has already joined"
    [link] = page.tree.xpath("//code[starts-with(@id, 'link-')]/text()")
    assert "/welcome#" in link
    assert (await visitor.get(PATH)).tree.xpath("//code[starts-with(@id, 'link-')]") == []


async def test_another_clients_users_are_not_found(app: App) -> None:
    visitor, _ = await manager(app)
    other, _ = await new_user(app, "globex", firstName="Globexian", lastName="X")
    page = await select(visitor, other, act="deactivate")
    assert (page.status, page.problems) == (403, ["None of the selected users can be changed"])
    assert "Globexian" not in page.text
    assert (
        await visitor.post(PATH, (await visitor.get(PATH)).form(PATH).fields | {"act": "invite", "user0": "x"})
    ).status == 404


async def test_a_recent_proof_is_asked_before_the_first_of_them(app: App) -> None:
    visitor, client = await manager(app)
    users = [(await new_user(app, client))[0] for _ in range(2)]
    app.clock.advance(601)
    page = await confirmed(visitor, await select(visitor, *users, act="add-role", forRole="Author"))
    assert "2 of 2 done" in page.text, "a role that manages no one needs no proof"
    await settle(app, client, stepUp="management")
    page = await select(visitor, *users, act="add-role", forRole="User Admin")
    page = await visitor.post(PATH, page.form(PATH).fields)
    assert page.location.startswith("/reauthenticate")
    assert [await roles_of(app, client, user) for user in users] == [["Author", "Viewer"]] * 2
    page = await visitor.submit(await visitor.follow(page), "/reauthenticate", currentPassword=PASSWORD)
    page = await visitor.shown(await visitor.get(page.location, Sec_Fetch_Site="same-origin"))
    assert "2 of 2 done" in page.text
    assert [await roles_of(app, client, user) for user in users] == [["User Admin", "Author", "Viewer"]] * 2


async def test_the_list_as_a_file_is_in_the_audit_trail(app: App) -> None:
    visitor, client = await manager(app, "User Admin")
    await new_user(app, client, firstName="=HYPERLINK(A1)", lastName='O\'Hara, "Ann"', roles=["Author", "Viewer"])
    await new_user(app, client, firstName="@SUM", lastName="-1+1", password=PASSWORD)
    me = (await trail(app, client))[-1].actor
    page = await visitor.get(f"{PATH}?q=o%27hara")
    answer = (await visitor.get(page.links()["Export CSV"])).reply
    assert (answer.status, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    assert answer.headers["content-disposition"] == f'attachment; filename="users-{client}.csv"'
    [row] = csv.DictReader(io.StringIO(answer.text))
    assert (row["firstName"], row["lastName"]) == ("'=HYPERLINK(A1)", 'O\'Hara, "Ann"')
    assert (row["roles"], row["state"], row["secondFactor"], row["lastSignInAt"]) == (
        "Author;Viewer",
        "invited",
        "no",
        "",
    )
    rows = list(csv.DictReader(io.StringIO((await visitor.get(f"{PATH}/export")).reply.text)))
    assert [(one["firstName"], one["lastName"]) for one in rows[1:]] == [
        ("'=HYPERLINK(A1)", 'O\'Hara, "Ann"'),
        ("'@SUM", "'-1+1"),
    ]
    assert [one["state"] for one in rows] == ["active", "invited", "active"]
    exported = [one for one in await trail(app, client) if one.event == "users_exported"]
    assert [json.loads(one.detail) for one in exported] == [
        {"users": 1, "filters": {"q": "o'hara"}},
        {"users": 3, "filters": {}},
    ]
    number = rows[0]["id"]
    assert {(one.actor, one.subject.partition(":")[0]) for one in exported} == {(f"user:{number}", "client")}
    assert me
    await settle(app, client, stepUp="management")
    app.clock.advance(601)
    assert (await visitor.get(f"{PATH}/export")).location.startswith("/reauthenticate")
    viewer = await browser_of(await person(app, client, "Viewer"))
    assert (await viewer.get(f"{PATH}/export")).status == 404
