"""Every route declares its callers, and credentials of users and system admins don't work on each other's routes."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from tests.http.bodies import send
from tests.support.application import PASSWORD, App, Reply
from tests.support.envelope import check_refusal
from tests.support.matrix import matrix
from tests.support.routes import ROUTES, Route, filled
from tests.support.rules import rule

pytestmark = pytest.mark.one_store

OPEN = [route for route in ROUTES if route.who == "open"]
CLIENT = [route for route in ROUTES if route.who == "client"]
ADMIN = [route for route in ROUTES if route.who == "admin"]


class Keys(NamedTuple):
    token: str
    refresh_token: str
    cookie: str
    admin: str
    admin_refresh: str


@pytest.fixture(scope="module")
async def keys(app: App) -> Keys:
    user = await app.sign_in("admin@acme.example")
    admin = (await app.post("/api/admin/auth/sign-in", {"username": "root", "password": PASSWORD})).data
    return Keys(
        user.data["token"], user.data["refreshToken"], user.cookie("session"), admin["token"], admin["refreshToken"]
    )


async def knock(app: App, route: Route, token: str | None = None, cookie: str | None = None) -> Reply:
    path = filled(route.path, client="acme", user=app.ids["author@acme.example"])
    body: dict[str, str] | None = {} if route.method in ("POST", "PUT", "PATCH") else None
    return await app.send(route.method, path, body, token=token, cookie=cookie)


def check_closed(route: Route, reply: Reply, code: str) -> None:
    if route.path == "/api/client/graphql":
        assert (reply.status, reply.json["errors"][0]["extensions"]["code"]) == (401, code)
        assert "data" not in reply.json
    else:
        check_refusal(reply, 401, code)


@rule("WAYS-IN", "DENY-BY-DEFAULT")
def test_routes_without_permission_are_for_signing_in_or_the_own_account() -> None:
    own = ("/api/client/auth/", "/api/admin/auth/")
    assert [route.path for route in OPEN if route.path.startswith("/api/") and not route.path.startswith(own)] == []
    without = {route.path for route in CLIENT if route.permission is None and not route.path.startswith(own)}
    assert without == {"/api/client/graphql", "/api/client/graphql/schema.graphql"}
    assert all(route.path.startswith("/api/client/") for route in CLIENT)
    assert all(route.path.startswith("/api/admin/") for route in ADMIN)
    assert len(CLIENT) >= 8
    assert len(ADMIN) >= 15
    assert len(OPEN) >= 40


@matrix("route", OPEN)
async def test_an_open_route_asks_for_no_caller(app: App, route: Route) -> None:
    reply = await send(app, route, None, client="acme")
    assert reply.status != 500, reply.text


@rule("DENY-BY-DEFAULT")
@matrix("route", CLIENT + ADMIN)
async def test_no_one_can_sign_in_without_a_key(app: App, route: Route) -> None:
    check_closed(route, await knock(app, route), "UNAUTHENTICATED")


@matrix("route", CLIENT)
async def test_an_admins_keys_open_nothing_of_the_clients(app: App, keys: Keys, route: Route) -> None:
    for token in (keys.admin, keys.admin_refresh):
        check_closed(route, await knock(app, route, token), "INVALID_TOKEN")
        check_closed(route, await knock(app, route, None, token), "INVALID_TOKEN")


@rule("ADMIN-PLANE")
@matrix("route", ADMIN)
async def test_a_users_keys_open_nothing_of_the_admins(app: App, keys: Keys, route: Route) -> None:
    for token in (keys.token, keys.refresh_token, keys.cookie):
        check_closed(route, await knock(app, route, token), "INVALID_TOKEN")


@rule("ADMIN-PLANE")
@matrix("route", ADMIN)
async def test_no_cookie_opens_a_route_of_the_admins(app: App, keys: Keys, route: Route) -> None:
    for cookie in (keys.cookie, keys.admin, keys.admin_refresh):
        check_closed(route, await knock(app, route, None, cookie), "UNAUTHENTICATED")


@matrix("route", CLIENT)
async def test_neither_refresh_token_nor_cookie_value_is_a_bearer(app: App, keys: Keys, route: Route) -> None:
    for token in (keys.refresh_token, keys.cookie):
        check_closed(route, await knock(app, route, token), "INVALID_TOKEN")


@matrix("route", CLIENT)
async def test_a_bad_bearer_never_falls_back_to_a_good_cookie(app: App, keys: Keys, route: Route) -> None:
    check_closed(route, await knock(app, route, keys.admin, keys.cookie), "INVALID_TOKEN")
    check_closed(route, await knock(app, route, "forged", keys.cookie), "INVALID_TOKEN")


@rule("TOKEN-PURPOSE")
async def test_refresh_tokens_are_good_at_their_own_routes_only(app: App, keys: Keys) -> None:
    check_refusal(await app.refresh(keys.admin_refresh), 401, "INVALID_TOKEN")
    body = {"refreshToken": keys.refresh_token}
    check_refusal(await app.post("/api/admin/auth/refresh", body), 401, "INVALID_TOKEN")


async def test_accounts_are_good_at_their_own_routes_only(app: App) -> None:
    check_refusal(await app.sign_in("root@acme.example"), 401, "INVALID_CREDENTIALS")
    body = {"username": "admin@acme.example", "password": PASSWORD}
    check_refusal(await app.post("/api/admin/auth/sign-in", body), 401, "INVALID_CREDENTIALS")


async def test_the_keys_still_open_their_own_routes(app: App, keys: Keys) -> None:
    assert (await app.me(keys.token)).status == 200
    assert (await app.me(cookie=keys.cookie)).status == 200
    assert (await app.get("/api/admin/auth/me", token=keys.admin)).status == 200
