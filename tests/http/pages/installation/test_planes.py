"""System admins' cookies, users' cookies, and tokens are three separate credentials for three parts of the product.

Each is accepted only in its own part.
"""

from __future__ import annotations

import pytest

from tests.support.application import App, running
from tests.support.matrix import matrix
from tests.support.routes import PAGES, ROUTES, Route, filled
from tests.support.visitor import Visitor

pytestmark = pytest.mark.one_store

ADMIN_ROUTES = [route for route in ROUTES if route.who == "admin"]
CLIENT_ROUTES = [route for route in ROUTES if route.who == "client" and not route.streams]
OURS = [route for route in PAGES if route.path.startswith("/installation")]
SIGN_IN = "/installation/sign-in"


def cookie_line(**cookies: str) -> dict[str, str]:
    return {"Cookie": "; ".join(f"{key}={value}" for key, value in cookies.items())}


async def test_the_cookie_of_system_admins_opens_nothing_of_the_api(app: App) -> None:
    visitor = await Visitor(app).system_admin()
    value = visitor.cookies["admin"]
    assert len(ADMIN_ROUTES) > 60
    for route in ADMIN_ROUTES + CLIENT_ROUTES:
        for cookies in ({"admin": value}, {"__Host-admin": value}, {"session": value}):
            reply = await app.send(route.method, filled(route.path), headers=cookie_line(**cookies))
            assert reply.status == 401, str(route)
    assert (await visitor.get("/installation")).status == 200


@matrix("route", [route for route in OURS if route.audience != "everyone"])
async def test_no_other_credential_opens_a_page_of_the_installation(app: App, route: Route) -> None:
    user = await Visitor(app).signed_in("admin@acme.example")
    session = user.cookies["session"]
    bearer = await app.admin_token()
    values = (session, bearer, "", "x" * 300)
    shown = [{}, {"session": session}, *({"admin": value} for value in values), {"__Host-admin": session}]
    for cookies in shown:
        visitor = Visitor(app, dict(cookies))
        page = await (
            visitor.get(filled(route.path)) if route.method == "GET" else visitor.post(filled(route.path), {})
        )
        assert (page.status, page.location.partition("?")[0]) == (303, SIGN_IN)
    page = await Visitor(app).send(route.method, filled(route.path), Authorization=f"Bearer {bearer}")
    assert page.status == 400


async def test_a_users_session_says_nothing_on_pages_of_the_installation(app: App) -> None:
    visitor = await Visitor(app).signed_in("admin@acme.example")
    page = await visitor.get(SIGN_IN)
    assert "admin@acme.example" not in page.text
    both = await visitor.system_admin()
    assert "root" in (await both.get("/installation")).text
    assert (await both.get("/account")).heading == "Your account"


async def test_the_cookie_of_system_admins_opens_no_page_of_users(app: App) -> None:
    visitor = await Visitor(app).system_admin()
    for value in ({}, {"session": visitor.cookies["admin"]}):
        page = await Visitor(app, visitor.cookies | value).get("/account")
        assert (page.status, page.location) == (303, "/sign-in?returnTo=%2Faccount")


async def test_a_form_is_good_in_its_own_session_alone(app: App) -> None:
    visitor, other = await Visitor(app).system_admin(), await Visitor(app).system_admin()
    token = (await visitor.get("/installation")).form("/installation/sign-out").fields["form"]
    other.cookies["form"] = visitor.cookies["form"]
    page = await other.post("/installation/sign-out", {"form": token})
    assert (page.status, page.location) == (303, "/installation/sign-in")
    assert (await other.get("/installation")).status == 200
    assert (await visitor.post("/installation/sign-out", {"form": token})).status == 303


async def test_to_an_address_that_is_not_listed_no_page_is_there(app: App, database_url: str) -> None:
    async with running(
        database_url, MANIFEST_TRUSTED_PROXIES="192.0.2.1", MANIFEST_ADMIN_ADDRESSES="203.0.113.0/24"
    ) as fenced:
        for route in OURS:
            page = await Visitor(fenced).send(route.method, filled(route.path), X_Forwarded_For="198.51.100.7")
            assert (page.status, page.heading) == (404, "Page not found"), str(route)
        inside = Visitor(fenced, headers={"X-Forwarded-For": "203.0.113.9"})
        assert (await (await inside.system_admin()).get("/installation")).status == 200
        outside = Visitor(fenced, inside.cookies, headers={"X-Forwarded-For": "198.51.100.7"})
        assert (await outside.get("/installation")).status == 404


async def test_on_plain_http_that_others_reach_no_page_is_there(app: App, database_url: str) -> None:
    public = {"MANIFEST_PUBLIC_URL": "http://auth.internal:8080", "MANIFEST_INSECURE_PUBLIC_URL": "allowed"}
    async with running(database_url, **public) as plain:
        for route in OURS:
            page = await Visitor(plain).send(route.method, filled(route.path))
            assert (page.status, page.heading) == (404, "Page not found"), str(route)
        assert (await Visitor(plain).get("/sign-out")).status == 200
