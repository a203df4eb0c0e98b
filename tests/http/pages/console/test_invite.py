"""Invitations for one or many lines, with a result for each."""

from __future__ import annotations

import itertools

import pytest

from tests.support.accounts import new_user
from tests.support.application import App
from tests.support.matrix import matrix
from tests.support.visitor import Page, Visitor

pytestmark = pytest.mark.one_store

PATH = "/console/invite"
_numbers = itertools.count(1)


def fresh() -> str:
    return f"invited-{next(_numbers)}@acme.example"


async def inviting(app: App, people: str, **roles: str) -> Page:
    visitor = await Visitor(app).signed_in("admin@acme.example")
    return await visitor.submit(await visitor.get(PATH), PATH, None, people=people, **roles)


def results(page: Page) -> list[tuple[str, str]]:
    """Each line and its result."""
    rows = page.tree.xpath("//table//tbody/tr")
    texts = [[" ".join(cell.text_content().split()) for cell in row] for row in rows]
    return [(line, result) for line, result in texts]


async def user(app: App, email: str) -> dict[str, object]:
    found = await app.get(f"/api/admin/clients/acme/users?q={email}", token=await app.admin_token())
    [one] = found.data["items"]
    return dict(one)


async def test_one_address(app: App) -> None:
    email = fresh()
    page = await inviting(app, f"  {email}  ")
    assert page.status == 200
    [(line, result)] = results(page)
    assert line == email
    assert result.startswith("Invited")
    [link] = page.tree.xpath("//code[@id='link-1']")
    assert link.text.startswith(f"{app.public_url.rstrip('/')}/welcome#")
    assert "Invitation links" in page.text
    assert (await user(app, email))["roles"] == ["Viewer"]


async def test_a_name_with_the_address(app: App) -> None:
    email, other = fresh(), fresh()
    page = await inviting(app, f'"Ada King Lovelace" <{email}>,\nCher <{other}>', roleAuthor="on")
    assert page.status == 200
    one = await user(app, email)
    assert (one["firstName"], one["lastName"]) == ("Ada King", "Lovelace")
    assert one["roles"] == ["Author", "Viewer"]
    assert ((await user(app, other))["firstName"], (await user(app, other))["lastName"]) == ("Cher", "")


async def test_of_many_lines_each_has_its_result_and_those_rejected_can_be_tried_again(app: App) -> None:
    _, taken = await new_user(app)
    good, bad = fresh(), "no address"
    page = await inviting(app, f"{good}\n\n{taken}\n{bad}\n{good}")
    assert page.status == 200
    assert [(line, result.split(" ")[0]) for line, result in results(page)] == [
        (good, "Invited"), (taken, "Not"), (bad, "Not"), (good, "Not"),
    ]  # fmt: skip
    assert "A user with this email address already exists" in page.text
    assert "Enter a valid email address" in page.text
    assert "1 of 4 invited" in page.text
    assert page.form(PATH, roleViewer="on").fields["people"].split("\n") == [taken, bad, good]


async def test_fifty_lines_are_taken_and_one_more_is_not(app: App) -> None:
    lines = [fresh() for _ in range(51)]
    page = await inviting(app, "\n".join(lines))
    assert (page.status, page.problems) == (400, ["Enter at most 50 lines"])
    assert page.form(PATH).fields["people"].count("@") == 51
    page = await inviting(app, "\n".join(lines[:50]))
    assert "50 of 50 invited" in page.text


@matrix(
    ("people", "status", "problem"),
    [
        ("", 400, "Enter an email address"),
        (" \n \n", 400, "Enter an email address"),
        ("no address", 400, "Enter a valid email address"),
        ("<>", 400, "Enter a valid email address"),
        ("viewer@acme.example", 409, "A user with this email address already exists"),
    ],
)
async def test_what_is_rejected_stays_in_the_form(app: App, people: str, status: int, problem: str) -> None:
    page = await inviting(app, people)
    assert (page.status, page.problems) == (status, [problem])
    assert page.title.startswith("Error: ")
    assert page.form(PATH).fields["people"] == people


async def test_where_all_lines_are_rejected_the_status_says_so(app: App) -> None:
    page = await inviting(app, "one\ntwo")
    assert page.status == 400
    assert "0 of 2 invited" in page.text


async def test_no_role(app: App) -> None:
    visitor = await Visitor(app).signed_in("admin@acme.example")
    token = (await visitor.get(PATH)).form(PATH).fields["form"]
    page = await visitor.post(PATH, {"form": token, "people": fresh()})
    assert (page.status, page.problems) == (400, ["Choose at least one role"])


async def test_a_user_admin_invites_no_admin(app: App) -> None:
    visitor = await Visitor(app).signed_in("user-admin@acme.example")
    page = await visitor.get(PATH)
    assert "roleAdmin" not in page.form(PATH).fields
    assert "roleAdmin" not in page.reply.text
    page = await visitor.submit(page, PATH, people=fresh(), roleAdmin="on")
    assert (page.status, page.problems) == (403, ["Only an Admin can grant or remove the Admin role"])
