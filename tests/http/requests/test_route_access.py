"""Every route declares who may call it, and users' and system admins' credentials do not open each other's routes."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from tests.support.application import PASSWORD, App, Reply
from tests.support.envelope import check_refusal
from tests.support.matrix import matrix
from tests.support.routes import ROUTES, Route, filled
from tests.support.rules import rule

pytestmark = pytest.mark.one_store

#: What anybody may ask for; a route that is added to this list was thought about.
OPEN = {
    ("POST", "/api/client/auth/sign-in"), ("POST", "/api/client/auth/refresh"),
    ("GET", "/api/client/auth/directory/callback"),
    ("GET", "/api/client/auth/oidc"), ("GET", "/api/client/auth/oidc/callback"),
    ("GET", "/api/client/auth/oidc/callback/{client}/{provider}"), ("GET", "/api/client/auth/okta-saml"),
    ("POST", "/api/client/auth/okta-saml"), ("GET", "/api/client/auth/okta-saml/metadata"),
    ("GET", "/api/client/auth/ms-dynamics"), ("GET", "/api/client/auth/ms-dynamics/callback"),
    ("POST", "/api/client/auth/exchange"), ("POST", "/api/client/auth/discover"),
    ("POST", "/api/client/auth/link"), ("POST", "/api/client/auth/invitations/accept"),
    ("POST", "/api/client/auth/password/reset"), ("POST", "/api/client/auth/password/forgot"),
    ("POST", "/api/client/auth/link/start"), ("GET", "/api/client/auth/okta-saml/form"),
    ("POST", "/api/client/auth/email/confirm"), ("POST", "/api/client/auth/email/undo"),
    ("POST", "/api/client/auth/sign-in/passkey"), ("POST", "/api/client/auth/sign-in/passkey/options"),
    ("POST", "/api/client/auth/sign-in/continue"), ("POST", "/api/client/auth/sign-in/enrol"),
    ("POST", "/api/admin/auth/sign-in"), ("POST", "/api/admin/auth/refresh"),
    ("POST", "/api/client/auth/sign-in/continue"), ("POST", "/api/client/auth/sign-in/enrol"),
    ("POST", "/api/admin/auth/sign-in/continue"),
    ("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/metrics"), ("GET", "/.well-known/jwks.json"),
    ("GET", "/openapi.json"), ("GET", "/docs"), ("GET", "/explorer"), ("GET", "/power-apps.json"),
    ("GET", "/assets/brand/{client}/{file}"), ("GET", "/.well-known/oauth-authorization-server"),
    ("POST", "/api/client/auth/devices/enrol"), ("POST", "/api/client/auth/badge"),
    ("POST", "/oauth2/device_authorization"), ("POST", "/oauth2/pairing"),
    ("POST", "/oauth2/token"), ("POST", "/oauth2/revoke"), ("POST", "/oauth2/introspect"),
}  # fmt: skip
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
def test_every_route_is_under_its_address_and_the_open_ones_are_known() -> None:
    assert {(route.method, route.path) for route in ROUTES if route.who == "open"} == OPEN
    assert all(route.path.startswith("/api/client/") for route in CLIENT)
    assert all(route.path.startswith("/api/admin/") for route in ADMIN)
    assert len(CLIENT) >= 8
    assert len(ADMIN) >= 15


@rule("DENY-BY-DEFAULT")
@matrix("route", CLIENT + ADMIN)
async def test_no_one_gets_in_without_a_key(app: App, route: Route) -> None:
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
