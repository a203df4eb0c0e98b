"""The list of users: searched, filtered, sorted, page by page."""

from __future__ import annotations

import pytest

from tests.support.accounts import new_user
from tests.support.application import App
from tests.support.matrix import matrix
from tests.support.roles import ROLES
from tests.support.visitor import Page, Visitor

pytestmark = pytest.mark.one_store


def names(page: Page) -> list[str]:
    return [each.text_content() for each in page.tree.xpath("//table//th[@scope='row']//a")]


async def admin(app: App, client: str = "acme") -> Visitor:
    return await Visitor(app).signed_in(f"admin@{client}.example")


async def test_all_of_the_client_and_no_one_else(app: App) -> None:
    page = await (await admin(app)).get("/console/users")
    assert len(names(page)) == 7
    assert "globex" not in page.text
    assert "Admin Tester (you)" in page.text


@matrix("role", ROLES)
async def test_a_role_is_a_filter(app: App, role: str) -> None:
    page = await (await admin(app, "globex")).get(f"/console/users?role={role.replace(' ', '+')}")
    assert names(page) == [f"{role.lower().replace(' ', '-').title()} Tester"]


async def test_searched_by_name_and_address(app: App) -> None:
    visitor = await admin(app)
    _, email = await new_user(app, firstName="Grace", lastName="Hopper")
    for q in ("grace", "HOPPER", "Grace+Hop", email.replace("@", "%40")):
        assert names(await visitor.get(f"/console/users?q={q}")) == ["Grace Hopper"]
    page = await visitor.get("/console/users?q=no-such-user")
    assert "No user fits" in page.text
    assert page.links()["Show all users"] == "/console/users"


async def test_state_and_order(app: App) -> None:
    visitor = await admin(app)
    number, _ = await new_user(app, firstName="Zoe", lastName="Aaron")
    await app.post(f"/api/admin/clients/acme/users/{number}/deactivate", token=await app.admin_token())
    assert names(await visitor.get("/console/users?state=inactive")) == ["Zoe Aaron"]
    assert "Zoe Aaron" not in names(await visitor.get("/console/users?state=active"))
    assert names(await visitor.get("/console/users"))[0] == "Zoe Aaron"
    assert names(await visitor.get("/console/users?sort=ID_DESC"))[0] == "Zoe Aaron"
    assert names(await visitor.get("/console/users?sort=LAST_NAME_DESC"))[-1] == "Zoe Aaron"


async def test_page_by_page_each_user_once(app: App) -> None:
    visitor = await admin(app, "globex")
    for number in range(60):
        await new_user(app, "globex", firstName=f"Page {number:02}", lastName="Paged")
    seen, page = list[str](), await visitor.get("/console/users?q=Paged&sort=EMAIL")
    while True:
        seen += names(page)
        following = page.links().get("Next page")
        if following is None:
            break
        page = await visitor.get(following)
        assert page.links()["First page"] == "/console/users?q=Paged&sort=EMAIL"
    assert sorted(seen) == [f"Page {number:02} Paged" for number in range(60)]


@matrix(
    "query", ["role=Owner", "state=gone", "sort=AGE", "after=nonsense", "q=" + "x" * 201, "q=a&q=b", "q=%00", "q=%FF"]
)
async def test_what_is_no_filter_is_a_page_that_says_so(app: App, query: str) -> None:
    page = await (await admin(app)).get(f"/console/users?{query}")
    assert page.status == 400
    assert page.heading == "This link is incomplete"


async def test_a_client_whose_search_finds_nothing_of_another(app: App) -> None:
    page = await (await admin(app)).get("/console/users?q=globex")
    assert names(page) == []


async def test_who_was_invited_and_never_came_is_called_invited(app: App) -> None:
    visitor = await admin(app)
    await new_user(app, firstName="Yet", lastName="Tocome")
    page = await visitor.get("/console/users?q=Tocome")
    assert page.tree.xpath("//tbody//td[@data-label='State']/text()") == ["Invited"]
    page = await visitor.get("/console/users?q=author%40acme.example")
    assert page.tree.xpath("//tbody//td[@data-label='State']/text()") == ["Active"]
    assert "within three days" in (await visitor.get("/console/invite")).text
    assert "Updated every five minutes" in (await visitor.get("/console")).text
