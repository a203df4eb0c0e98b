"""Decisions about the installation or a client need the admin's password and code from the last ten minutes."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from tests.http.bodies import body_of, send, target
from tests.http.step_up.sensitive_acts import DIRECTORY, OF_ONESELF, code_of
from tests.support.accounts import new_client, new_user
from tests.support.application import PASSWORD, App
from tests.support.envelope import check_refusal, check_success
from tests.support.routes import ROUTES, Route
from tests.support.rules import rule
from tests.support.system_admins import ADMINS, AUTH, SystemAdmin, another, enrolled, events, signed_in_admin

pytestmark = pytest.mark.one_store

AGAIN, ASKED = f"{AUTH}/reauthenticate", "REAUTHENTICATION_REQUIRED"
MINUTE = 60
CLIENT = "/api/admin/clients/{client}"
USERS, ADMIN_USERS = f"{CLIENT}/users", f"{CLIENT}/users/{{user}}"
#: Actions that require a system admin to re-authenticate, and all other changes.
ACTS = [
    route
    for route in ROUTES
    if route.who == "admin" and route.proof and str(route).replace(CLIENT, "/api/client") not in OF_ONESELF
]
FREE = [route for route in ROUTES if route.who == "admin" and route.method != "GET" and route not in ACTS]
#: Bodies of actions that don't always require re-authentication, or that refer to existing objects.
_BODIES: dict[str, Any] = {
    "POST /api/admin/admins": {"username": "new-<client>"},
    "PATCH /api/admin/settings": {"adminAddresses": ""},
    f"PATCH {CLIENT}": {"settings": {"stepUp": "management"}},
    f"PATCH {ADMIN_USERS}": {"email": "moved@x.example"},
    "PUT /api/admin/provider-names/{name}": {"client": "<client>"},
}


@pytest.fixture
async def me(app: App) -> SystemAdmin:
    return await another(await signed_in_admin(app))


async def values_of(me: SystemAdmin) -> dict[str, str]:
    """The objects of the actions: a client with a provider and users, and another system admin."""
    root, client = await signed_in_admin(me.app), await new_client(me.app)
    found = {"client": client, "admin": str((await another(root)).id)}
    users = {"viewer": ["Viewer"], "both": ["Viewer", "Operator"], "manager": ["User Admin"], "gone": ["User Admin"]}
    for name, roles in users.items():
        found[name] = str((await new_user(me.app, client, roles=roles))[0])
    check_success(await root.post(f"/api/admin/clients/{client}/users/{found['gone']}/deactivate"))
    provider = {"name": "company", "oidc": {"issuer": "https://op.example", "clientId": "x"}}
    check_success(await root.post(f"/api/admin/clients/{client}/providers", provider), 201)
    return found


async def do(me: SystemAdmin, route: Route, values: dict[str, str], *, ends: bool = False) -> str:
    """Perform an action; ``ends`` ends the session between the head of the request and its body."""
    body = _BODIES.get(str(route), body_of(route))
    if isinstance(body, dict):
        client = values["client"]
        body = {name: value.replace("<client>", client) if isinstance(value, str) else value
                for name, value in body.items()}  # fmt: skip
    user = values["gone" if route.path.endswith("/restore") else "viewer"]
    named = {"user": user, "provider": "company", "domain": "acme-x.example", "directory": DIRECTORY, "key": "none"}
    path = target(route, **values, **named, name="company")
    if not ends:
        return code_of(await me.send(route.method, path, body))
    own = await me.again()
    end = partial(me.app.post, f"{AUTH}/sign-out", token=own.token)
    return code_of(await me.app.send(route.method, path, body or {}, token=own.token, meanwhile=end))


@rule("ACT-OF-OPEN-SESSION")
async def test_none_follows_the_end_of_its_session(me: SystemAdmin) -> None:
    values, done, wrong = await values_of(me), set(), []
    for route in ACTS:
        late = await do(me, route, values, ends=True)
        if await do(me, route, values) == "":
            done.add(str(route))
            wrong += [] if late == "INVALID_TOKEN" else [(str(route), late)]
    assert not wrong
    assert done >= {f"POST {ADMINS}", f"POST {USERS}", f"PUT {ADMIN_USERS}/roles", f"DELETE {CLIENT}"}


@rule("RECENT-PROOF")
async def test_ten_minutes_after_the_sign_in_it_asks_again(me: SystemAdmin) -> None:
    values = await values_of(me)
    me.app.clock.advance(10 * MINUTE)
    assert [str(route) for route in ACTS if await do(me, route, values) != ASKED] == []
    check_refusal(await me.post(AGAIN, {"password": "a-wrong-password-1"}), 401, "INVALID_CREDENTIALS")
    assert await do(me, ACTS[0], values) == ASKED
    check_success(await me.post(AGAIN, {"password": PASSWORD}))
    me.app.clock.advance(10 * MINUTE - 1)
    assert [str(route) for route in ACTS if await do(me, route, values) == ASKED] == []


@rule("RECENT-PROOF")
async def test_of_changes_of_users_those_are_free_that_give_no_access(me: SystemAdmin) -> None:
    values = await values_of(me)
    users = f"/api/admin/clients/{values['client']}/users"
    me.app.clock.advance(10 * MINUTE)
    check_success(await me.send("PATCH", f"{users}/{values['viewer']}", {"title": "Fitter"}))
    check_success(await me.send("PUT", f"{users}/{values['both']}/roles", {"roles": ["Viewer"]}))
    for method, path, body in (
        ("POST", "", {"email": "b@x.example", "roles": ["Viewer"], "password": PASSWORD}),
        ("PUT", f"/{values['viewer']}/roles", {"roles": ["Viewer", "Operator"]}),
        ("POST", f"/{values['viewer']}/invitation", None),
    ):  # fmt: skip
        assert code_of(await me.send(method, f"{users}{path}", body)) == ASKED
    check_success(await me.send("PATCH", f"/api/admin/clients/{values['client']}", {"name": "Another name"}))


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


@rule("RECENT-PROOF")
async def test_no_other_route_asks(me: SystemAdmin) -> None:
    values, asked = await values_of(me), []
    for route in FREE:
        old = await me.again()
        me.app.clock.advance(10 * MINUTE)
        code = code_of(await send(me.app, route, old.token, **values, user=values["viewer"], provider="company"))
        assert code not in ("UNAUTHENTICATED", "INVALID_TOKEN", "TOKEN_EXPIRED"), str(route)
        if code == ASKED:
            asked.append(str(route))
    assert not asked
    assert len(FREE) > 20
