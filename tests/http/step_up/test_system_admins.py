"""What decides over the installation needs password and code of the last ten minutes, with a bearer token too."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.accounts import new_client
from tests.support.application import PASSWORD, App
from tests.support.envelope import check_refusal, check_success
from tests.support.routes import ROUTES
from tests.support.sensitive_acts import code_of
from tests.support.system_admins import ADMINS, AUTH, SystemAdmin, another, enrolled, events, signed_in_admin

pytestmark = pytest.mark.one_store

AGAIN, ASKED = f"{AUTH}/reauthenticate", "REAUTHENTICATION_REQUIRED"
MINUTE = 60
#: By route: the address for a client and another admin, and the body.
ACTS: dict[tuple[str, str], tuple[str, Any]] = {
    ("DELETE", "/api/admin/clients/{client}"): ("/api/admin/clients/{client}", None),
    ("POST", ADMINS): (ADMINS, {"username": "new-{client}"}),
    ("POST", f"{ADMINS}/{{admin}}/disable"): (f"{ADMINS}/{{admin}}/disable", None),
    ("POST", f"{ADMINS}/{{admin}}/enable"): (f"{ADMINS}/{{admin}}/enable", None),
    ("POST", f"{ADMINS}/{{admin}}/reset-password"): (f"{ADMINS}/{{admin}}/reset-password", None),
    ("POST", f"{ADMINS}/{{admin}}/reset-second-factor"): (f"{ADMINS}/{{admin}}/reset-second-factor", None),
    ("DELETE", f"{ADMINS}/{{admin}}/sessions"): (f"{ADMINS}/{{admin}}/sessions", None),
    ("POST", "/api/admin/keys/rotate"): ("/api/admin/keys/rotate", {}),
    ("POST", "/api/admin/keys/{key}/retire"): ("/api/admin/keys/no-such-key/retire", {}),
    ("PATCH", "/api/admin/settings"): ("/api/admin/settings", {"adminAddresses": ""}),
    ("POST", "/api/admin/license-on-prem"): ("/api/admin/license-on-prem", {"licenseKey": "x"}),
}
#: Changes for which a session of a system admin is enough, however old: by the beginning of the route.
FREE = (
    "/api/admin/clients", "/api/admin/directories/", "/api/admin/provider-names/", "/api/admin/throttles",
    f"{AUTH}/",  # about the own account, where each change brings the password
)  # fmt: skip


@pytest.fixture
async def me(app: App) -> SystemAdmin:
    return await another(await signed_in_admin(app))


async def do(me: SystemAdmin, route: tuple[str, str], client: str, admin: int) -> str:
    path, body = ACTS[route]
    if body is not None:
        body = {name: text.format(client=client) if isinstance(text, str) else text for name, text in body.items()}
    return code_of(await me.send(route[0], path.format(client=client, admin=admin), body))


@pytest.mark.parametrize("route", ACTS, ids=" ".join)
async def test_ten_minutes_after_the_sign_in_it_asks_again(me: SystemAdmin, route: tuple[str, str]) -> None:
    client, other = await new_client(me.app), await another(await signed_in_admin(me.app))
    me.app.clock.advance(10 * MINUTE)
    assert await do(me, route, client, other.id) == ASKED
    check_refusal(await me.post(AGAIN, {"password": "a-wrong-password-1"}), 401, "INVALID_CREDENTIALS")
    assert await do(me, route, client, other.id) == ASKED
    check_success(await me.post(AGAIN, {"password": PASSWORD}))
    me.app.clock.advance(10 * MINUTE - 1)
    assert await do(me, route, client, other.id) != ASKED


async def test_who_has_a_second_factor_needs_its_code_too(me: SystemAdmin) -> None:
    phone = await enrolled(me)
    me.app.clock.advance(10 * MINUTE)
    wrong = check_refusal(await me.post(AGAIN, {"password": PASSWORD}), 401, "INVALID_CREDENTIALS")
    assert [detail["field"] for detail in wrong["details"]] == ["otp"]
    assert code_of(await me.post("/api/admin/keys/rotate", {})) == ASKED
    done = check_success(await me.post(AGAIN, {"password": PASSWORD, "otp": phone.code()}))
    assert done["authenticatedAt"].endswith("Z")
    assert code_of(await me.post("/api/admin/keys/rotate", {})) == ""
    assert [event for event, actor, *_ in await events(me.app) if actor == f"admin:{me.id}"][-2] == "reauthenticated"


async def test_refresh_does_not_renew_the_proof(app: App) -> None:
    data = check_success(await app.post(f"{AUTH}/sign-in", {"username": "root", "password": PASSWORD}))
    app.clock.advance(10 * MINUTE)
    fresh = check_success(await app.post(f"{AUTH}/refresh", {"refreshToken": data["refreshToken"]}))["token"]
    assert code_of(await app.post("/api/admin/keys/rotate", {}, token=fresh)) == ASKED


async def test_the_proof_of_one_session_is_none_of_another(me: SystemAdmin) -> None:
    other = await me.again()
    me.app.clock.advance(10 * MINUTE)
    check_success(await other.post(AGAIN, {"password": PASSWORD}))
    assert code_of(await me.post("/api/admin/keys/rotate", {})) == ASKED


def test_every_route_of_system_admins_is_known_to_be_sensitive_or_not() -> None:
    changing = {(one.method, one.path) for one in ROUTES if one.who == "admin" and one.method != "GET"}
    assert {route for route in changing - ACTS.keys() if not route[1].startswith(FREE)} == set()
    assert changing >= ACTS.keys()
