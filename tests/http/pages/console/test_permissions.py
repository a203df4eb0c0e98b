"""Roles that can open each page of the console, and its menu: seven roles, every page."""

from __future__ import annotations

import re

import pytest

from tests.support.accounts import settle, trail
from tests.support.application import SLUGS, App
from tests.support.machines import new_account
from tests.support.matrix import matrix
from tests.support.roles import HOLDERS, Permission, Role
from tests.support.routes import PAGES, Route, filled
from tests.support.visitor import Page, Visitor

pytestmark = pytest.mark.one_store

#: Roles of the console's users: Admin and User Admin manage a client.
OF_THE_CONSOLE = {Permission.USERS_MANAGE, Permission.SETTINGS_MANAGE, Permission.AUDIT_READ}
EVERY_PAGE = [route for route in PAGES if route.path.startswith("/console")]
CONSOLE = [route for route in EVERY_PAGE if "/providers" not in route.path]
MADE: dict[str, str] = {}
#: Single-word paths, which the menu lists.
SECTIONS = {route.path for route in EVERY_PAGE if re.fullmatch(r"/console(/[a-z-]+)?", route.path)}


@pytest.fixture(autouse=True)
async def a_machine(app: App) -> None:
    if "machine" not in app.ids:
        app.ids["machine"] = (await new_account(app, "acme"))["id"]
        await settle(app, "acme", badge={"enabled": True})
        at, body = "/api/admin/clients/acme/apps", {"name": "A", "kind": "device"}
        MADE["app"] = (await app.post(at, body, token=await app.admin_token())).data["id"]
        await app.post("/api/admin/clients/acme/scim", {"name": "okta"}, token=await app.admin_token())


def address(app: App, route: Route) -> str:
    number = app.ids["machine" if "/service-accounts" in route.path else "viewer@acme.example"]
    path = filled(route.path, id=number, app=MADE["app"], connection="okta")
    return f"{path}?format=csv" if path.endswith("/export") else path


def listed(page: Page) -> list[str]:
    return [a.get("href") for a in page.tree.xpath("//nav[@aria-label='Console']//a")]


def holders(route: Route) -> frozenset[Role]:
    assert route.permission, str(route)
    return HOLDERS[route.permission]


def test_every_page_asks_for_a_permission_of_the_console() -> None:
    assert len(EVERY_PAGE) >= 30
    assert [str(route) for route in EVERY_PAGE if route.permission not in OF_THE_CONSOLE] == []


def test_a_form_asks_for_the_permission_of_its_page() -> None:
    pairs = {(route.path, route.permission) for route in EVERY_PAGE}
    assert len(pairs) == len({path for path, _ in pairs})


@matrix("role", Role)
@matrix("route", CONSOLE)
async def test_a_page_opens_for_those_with_its_permission_alone(app: App, route: Route, role: Role) -> None:
    app.clock.advance(3600)  # otherwise, this many sign-ins would be rate-limited
    visitor = await Visitor(app).signed_in(f"{SLUGS[role]}@acme.example")
    if route.method == "GET":
        page = await visitor.get(address(app, route))
        statuses = {200, 302}
    else:
        page = await visitor.post(address(app, route), {"form": await token_of(app, visitor, route, role)})
        statuses = {200, 400}
    if role in holders(route):
        is_saved = page.status == 303 and page.location == address(app, route)
        assert page.status in statuses or is_saved
    else:
        assert (page.status, page.heading) == (404, "Page not found")
        assert "@acme.example" not in page.text


async def token_of(app: App, visitor: Visitor, route: Route, role: Role) -> str:
    """A valid token for a page and a user who then loses the role for it, so that only the permission check rejects."""
    admin = await app.admin_token()
    path = f"/api/admin/clients/acme/users/{app.ids[f'{SLUGS[role]}@acme.example']}/roles"
    await app.send("PUT", path, {"roles": list({role.value, "User Admin"})}, token=admin)
    page = await visitor.get(f"{address(app, route)}?kind=web")
    await app.send("PUT", path, {"roles": [role.value]}, token=admin)
    posting = [form for form in page.forms() if "form" in form.fields]
    return next(form.fields["form"] for form in posting if form.action == address(app, route))


@matrix("route", [route for route in CONSOLE if route.method == "POST" and "act" in route.members])
async def test_an_act_that_a_page_does_not_have_changes_nothing(app: App, route: Route) -> None:
    visitor = await Visitor(app).signed_in("admin@acme.example")
    token, before = await token_of(app, visitor, route, Role.ADMIN), len(await trail(app, "acme"))
    page = await visitor.post(address(app, route), {"form": token, "act": "x"})
    assert page.status in {200, 400}
    assert [event.event for event in (await trail(app, "acme"))[before:]] == []


@matrix("role", Role)
async def test_the_menu_lists_what_opens(app: App, role: Role) -> None:
    visitor = await Visitor(app).signed_in(f"{SLUGS[role]}@acme.example")
    page = await visitor.get("/console")
    if role not in HOLDERS[Permission.SETTINGS_MANAGE]:
        assert (page.status, page.heading) == (404, "Page not found")
        return
    for href in listed(page):
        if href != "/console/providers":
            assert (await visitor.get(href)).status == 200
    assert set(listed(page)) == SECTIONS


async def test_the_menu_says_where_one_is(app: App) -> None:
    visitor = await Visitor(app).signed_in("admin@acme.example")
    for path, entry in (
        ("/console", "/console"),
        (f"/console/users/{app.ids['viewer@acme.example']}", "/console/users"),
        (f"/console/service-accounts/{app.ids['machine']}", "/console/service-accounts"),
    ):
        current = (await visitor.get(path)).tree.xpath("//nav[@aria-label='Console']//a[@aria-current='page']")
        assert [a.get("href") for a in current] == [entry]


@matrix("route", [route for route in CONSOLE if route.method == "GET"])
async def test_a_caller_who_is_not_signed_in_comes_back_after_it(app: App, route: Route) -> None:
    page = await Visitor(app).get(filled(route.path))
    assert page.status == 303
    assert page.location.startswith("/sign-in?returnTo=%2Fconsole")


@matrix("language", ["de", "ja"])
async def test_the_console_is_in_the_language_of_its_reader(app: App, language: str) -> None:
    page = await (await Visitor(app, language=language).signed_in("admin@acme.example")).get("/console")
    assert page.tree.get("lang") == language
    assert [form for form in page.forms() if form.action == "/language"]
