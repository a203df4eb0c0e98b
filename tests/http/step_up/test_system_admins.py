"""What decides over the installation or a client needs password and code of the last ten minutes, by token too."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from tests.http.step_up.sensitive_acts import ACTS as USERS_ACTS
from tests.http.step_up.sensitive_acts import DIRECTORY, code_of
from tests.support.accounts import new_client, new_user
from tests.support.application import PASSWORD, App
from tests.support.envelope import check_refusal, check_success
from tests.support.routes import ROUTES
from tests.support.rules import rule
from tests.support.system_admins import ADMINS, AUTH, SystemAdmin, another, enrolled, events, signed_in_admin

pytestmark = pytest.mark.one_store

AGAIN, ASKED = f"{AUTH}/reauthenticate", "REAUTHENTICATION_REQUIRED"
MINUTE = 60
CLIENT, ADMIN = "/api/admin/clients/{client}", f"{ADMINS}/{{admin}}"
USERS = f"{CLIENT}/users/{{user}}"
GRANT, NAMES = "/api/admin/directories/{directory}/clients/{client}", "/api/admin/provider-names/{name}"
WHY = {"reason": "they showed us the contract"}


def _twins() -> dict[tuple[str, str], tuple[str, Any]]:
    """The acts of users that system admins have as well, about a client that they name."""
    found: dict[tuple[str, str], tuple[str, Any]] = {}
    known = {(one.method, one.path) for one in ROUTES}
    for act in USERS_ACTS:
        route = (act.method, (act.route or act.path).replace("/api/client/", f"{CLIENT}/"))
        if route in known and "<me>" not in act.path:
            found[route] = act.path.replace("/api/client/", f"{CLIENT}/"), act.body
    return found


#: By route: its address and its body, which may name values in braces and angle brackets.
ACTS: dict[tuple[str, str], tuple[str, Any]] = {
    ("POST", ADMINS): (ADMINS, {"username": "new-<client>"}),
    **{("POST", f"{ADMIN}/{act}"): (f"{ADMIN}/{act}", None)
       for act in ("disable", "enable", "reset-password", "reset-second-factor")},
    ("DELETE", f"{ADMIN}/sessions"): (f"{ADMIN}/sessions", None),
    ("POST", "/api/admin/keys/rotate"): ("/api/admin/keys/rotate", {}),
    ("POST", "/api/admin/keys/{key}/retire"): ("/api/admin/keys/no-such-key/retire", {}),
    ("PATCH", "/api/admin/settings"): ("/api/admin/settings", {"adminAddresses": ""}),
    ("POST", "/api/admin/license-on-prem"): ("/api/admin/license-on-prem", {"licenseKey": "x"}),
    **_twins(),
    ("PATCH", CLIENT): (CLIENT, {"settings": {"stepUp": "management"}}),
    ("POST", f"{CLIENT}/users"): (f"{CLIENT}/users", {"email": "a@x.example", "roles": ["Admin"]}),
    ("PATCH", USERS): (f"{CLIENT}/users/<viewer>", {"email": "moved@x.example"}),
    ("PUT", f"{USERS}/roles"): (f"{CLIENT}/users/<viewer>/roles", {"roles": ["Admin"]}),
    ("POST", f"{USERS}/restore"): (f"{CLIENT}/users/<gone>/restore", None),
    ("POST", f"{USERS}/password-reset"): (f"{CLIENT}/users/<viewer>/password-reset", None),
    ("POST", f"{CLIENT}/domains/{{domain}}/vouch"): (f"{CLIENT}/domains/acme-x.example/vouch", WHY),
    ("POST", f"{CLIENT}/directories/{{directory}}/vouch"): (f"{CLIENT}/directories/{DIRECTORY}/vouch", WHY),
    ("PUT", GRANT): (f"/api/admin/directories/{DIRECTORY}/clients/{{client}}", WHY),
    ("DELETE", GRANT): (f"/api/admin/directories/{DIRECTORY}/clients/{{client}}", None),
    ("PUT", NAMES): ("/api/admin/provider-names/company", {"client": "<client>"}),
    ("DELETE", NAMES): ("/api/admin/provider-names/company", None),
    ("DELETE", CLIENT): (CLIENT, None),
}  # fmt: skip
#: Changes for which a session of a system admin is enough, however old.
FREE = {
    *(("POST", f"{AUTH}/{one}") for one in ("sign-out", "reauthenticate")),
    *(("POST", f"{AUTH}/{one}") for one in ("password", "second-factor", "second-factor/confirm",
      "second-factor/recovery-codes", "second-factor/remove")),  # each brings the password
    ("POST", "/api/admin/clients"),
    *(("POST", f"{CLIENT}/{one}") for one in ("suspend", "restore")),
    ("POST", f"{CLIENT}/providers/{{provider}}/test"), ("POST", f"{CLIENT}/domains/{{domain}}/check"),  # only look
    ("PUT", f"{CLIENT}/branding/logo"), ("DELETE", f"{CLIENT}/branding/logo"),
    # These take away.
    ("POST", f"{USERS}/deactivate"), ("DELETE", f"{USERS}/identities/{{identity}}"),
    *(("DELETE", f"{one}/sessions{end}") for one in (CLIENT, USERS) for end in ("", "/{session}")),
    ("POST", f"{CLIENT}/service-accounts/{{account}}/disable"),
    *(("DELETE", f"{CLIENT}/service-accounts/{{account}}/{one}/{{secret}}") for one in ("keys", "secrets")),
    ("DELETE", f"{USERS}/badges/{{badge}}"), ("DELETE", f"{CLIENT}/devices/{{device}}"),
    ("DELETE", f"{CLIENT}/devices/enrolments/{{enrolment}}"),
    ("DELETE", "/api/admin/throttles"), ("POST", "/api/admin/throttles/clear"),
}  # fmt: skip


@pytest.fixture
async def me(app: App) -> SystemAdmin:
    return await another(await signed_in_admin(app))


async def values_of(me: SystemAdmin) -> dict[str, str]:
    """What the acts name: a client with a provider and users, and another system admin."""
    root, client = await signed_in_admin(me.app), await new_client(me.app)
    found = {"client": client, "admin": str((await another(root)).id)}
    users = {"viewer": ["Viewer"], "both": ["Viewer", "Operator"], "manager": ["User Admin"], "gone": ["User Admin"]}
    for name, roles in users.items():
        found[name] = str((await new_user(me.app, client, roles=roles))[0])
    check_success(await root.post(f"/api/admin/clients/{client}/users/{found['gone']}/deactivate"))
    provider = {"name": "company", "oidc": {"issuer": "https://op.example", "clientId": "x"}}
    check_success(await root.post(f"/api/admin/clients/{client}/providers", provider), 201)
    return found


async def do(me: SystemAdmin, route: tuple[str, str], values: dict[str, str], *, ends: bool = False) -> str:
    """``ends``: the session does, after the head of the request and before its body."""

    def filled(text: Any) -> Any:
        for name, value in values.items() if isinstance(text, str) else ():
            text = text.replace(f"<{name}>", value).replace(f"{{{name}}}", value)
        return text

    path, body = ACTS[route]
    if body is not None:
        body = {name: filled(value) for name, value in body.items()}
    if not ends:
        return code_of(await me.send(route[0], filled(path), body))
    own = await me.again()
    end = partial(me.app.post, f"{AUTH}/sign-out", token=own.token)
    return code_of(await me.app.send(route[0], filled(path), body or {}, token=own.token, meanwhile=end))


@rule("ACT-OF-OPEN-SESSION")
async def test_none_follows_the_end_of_its_session(me: SystemAdmin) -> None:
    values, done, wrong = await values_of(me), set(), []
    for route in ACTS:
        late = await do(me, route, values, ends=True)
        if await do(me, route, values) == "":
            done.add(route)
            wrong += [] if late == "INVALID_TOKEN" else [(route, late)]
    assert not wrong
    assert done >= {("POST", ADMINS), ("POST", f"{CLIENT}/users"), ("PUT", f"{USERS}/roles"), ("DELETE", CLIENT)}


@rule("RECENT-PROOF")
async def test_ten_minutes_after_the_sign_in_it_asks_again(me: SystemAdmin) -> None:
    values = await values_of(me)
    me.app.clock.advance(10 * MINUTE)
    assert [route for route in ACTS if await do(me, route, values) != ASKED] == []
    check_refusal(await me.post(AGAIN, {"password": "a-wrong-password-1"}), 401, "INVALID_CREDENTIALS")
    assert await do(me, ("PUT", f"{USERS}/roles"), values) == ASKED
    check_success(await me.post(AGAIN, {"password": PASSWORD}))
    me.app.clock.advance(10 * MINUTE - 1)
    assert [route for route in ACTS if await do(me, route, values) == ASKED] == []


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
def test_every_route_of_system_admins_is_known_to_be_sensitive_or_not() -> None:
    changing = {(one.method, one.path) for one in ROUTES if one.who == "admin" and one.method != "GET"}
    assert changing == ACTS.keys() | FREE
    assert not ACTS.keys() & FREE
