"""The list of users is searched, filtered, sorted, and paged."""

from __future__ import annotations

import pytest

from tests.http.pages.console.test_factor_rules import browser_of
from tests.support.accounts import act_on, new_client, new_user
from tests.support.application import PASSWORD, App
from tests.support.matrix import matrix
from tests.support.roles import ROLES
from tests.support.second_factors import enrolled, person
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
    for q in ("grace", "HOPPER", "Grace+Hop", "hopper+grace", "Hopper,+Grace", "hop+gr", email.replace("@", "%40")):
        assert names(await visitor.get(f"/console/users?q={q}")) == ["Grace Hopper"]
    await new_user(app, firstName="Maria José", lastName="de la Cruz")
    for q in ("cruz+maria+josé", "josé+la+maria", "JOSÉ+CRUZ"):
        assert names(await visitor.get(f"/console/users?q={q}")) == ["Maria José de la Cruz"]
    page = await visitor.get("/console/users?q=hopper+maria")
    assert "No users found" in page.text
    assert page.links()["All users"] == "/console/users"


async def test_the_total_is_that_of_the_filters(app: App) -> None:
    client = await new_client(app)
    visitor = await browser_of(await person(app, client, "Admin"))

    async def said(query: str) -> str:
        return str((await visitor.get(f"/console/users?{query}")).tree.xpath("string(//*[@class='lead'])"))

    assert await said("") == "1 user"
    for number in range(51):
        await new_user(app, client, firstName="Odd" if number % 2 else "Even", lastName="Counted")
    assert await said("") == "52 users"
    assert await said("q=counted+odd") == "25 users found"
    assert await said("role=Admin") == "1 user found"


async def test_states_and_second_factors_are_filters(app: App) -> None:
    ada = await enrolled(app, "Admin")
    visitor = Visitor(app, {"session": (await ada.answered()).cookie("session")})
    await new_user(app, ada.client, firstName="Not", lastName="Yet")
    await new_user(app, ada.client, firstName="With", lastName="Password", password=PASSWORD)
    number, _ = await new_user(app, ada.client, firstName="No", lastName="More")
    await act_on(app, f"{ada.client}/users/{number}/deactivate")
    for query, found in {
        "state=invited": ["Not Yet"], "state=active": [ada.email, "With Password"], "state=inactive": ["No More"],
        "factor=yes": [ada.email], "factor=no&state=active": ["With Password"],
        "factor=no": ["No More", "With Password", "Not Yet"], "role=Viewer&state=invited&q=yet+not": ["Not Yet"],
    }.items():  # fmt: skip
        assert names(await visitor.get(f"/console/users?{query}")) == found, query


async def test_state_and_order(app: App) -> None:
    visitor = await admin(app)
    number, _ = await new_user(app, firstName="Zoe", lastName="Aaron")
    await app.post(f"/api/admin/clients/acme/users/{number}/deactivate", token=await app.admin_token())
    assert names(await visitor.get("/console/users?state=inactive")) == ["Zoe Aaron"]
    assert "Zoe Aaron" not in names(await visitor.get("/console/users?state=active"))
    assert names(await visitor.get("/console/users"))[0] == "Zoe Aaron"
    assert names(await visitor.get("/console/users?sort=ID_DESC"))[0] == "Zoe Aaron"
    assert names(await visitor.get("/console/users?sort=LAST_NAME_DESC"))[-1] == "Zoe Aaron"


@matrix("sort", ["EMAIL", "ID_DESC", "LAST_NAME"])
async def test_page_by_page_forth_and_back_each_user_once(app: App, sort: str) -> None:
    client = await new_client(app)
    visitor = await browser_of(await person(app, client, "Admin"))
    for number in range(101):
        await new_user(app, client, firstName=f"Page {number:03}", lastName="Paged")
    start = f"/console/users?q=Paged&sort={sort}"
    forth = [names(page := await visitor.get(start))]
    assert not {"First page", "Previous page"} & page.links().keys()
    while following := page.links().get("Next page"):
        forth.append(names(page := await visitor.get(following)))
        assert page.links()["First page"] == start
    assert [len(one) for one in forth] == [50, 50, 1]
    assert sorted(name for one in forth for name in one) == [f"Page {number:03} Paged" for number in range(101)]
    back = [forth[-1]]
    while previous := page.links().get("Previous page"):
        back.append(names(page := await visitor.get(previous)))
        assert "Next page" in page.links()
    assert back[::-1] == forth


async def test_before_the_first_user_there_is_the_first_page(app: App) -> None:
    """Users who were added in the meantime aren't skipped."""
    client = await new_client(app)
    visitor = await browser_of(await person(app, client, "Admin"))
    for number in range(51):
        await new_user(app, client, firstName="Some", lastName=f"N{number:02}")
    page = await visitor.get((await visitor.get("/console/users?q=some")).links()["Next page"])
    previous = page.links()["Previous page"]
    await new_user(app, client, firstName="Some", lastName="Aardvark")
    first = await visitor.get(previous)
    assert names(first) == [f"Some N{number:02}" for number in range(50)]
    assert names(await visitor.get(first.links()["Previous page"]))[:2] == ["Some Aardvark", "Some N00"]


@matrix(
    "query",
    [
        "role=Owner",
        "state=gone",
        "factor=maybe",
        "sort=AGE",
        "after=nonsense",
        "before=nonsense",
        "q=" + "x" * 201,
        "q=a&q=b",
        "q=%00",
        "q=%FF",
    ],
)
async def test_an_invalid_filter_is_a_page_that_says_so(app: App, query: str) -> None:
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
    assert page.tree.xpath("//tbody//td[@data-label='State']/span/text()") == ["Invited"]
    page = await visitor.get("/console/users?q=author%40acme.example")
    assert page.tree.xpath("//tbody//td[@data-label='State']/span/text()") == ["Active"]
    assert "within three days" in (await visitor.get("/console/invite")).text
    assert "Updated every five minutes" in (await visitor.get("/console")).text
