"""Service accounts are created, listed, changed, disabled, enabled, and deleted by users with the necessary roles."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.support.accounts import new_client
from tests.support.application import App
from tests.support.background_jobs import sweep_clients
from tests.support.envelope import check_refusal, check_success
from tests.support.machines import OWN, machine, new_account, of_client
from tests.support.matrix import matrix
from tests.support.people import Member, member, users_of
from tests.support.rows import rows
from tests.support.rules import rule

pytestmark = pytest.mark.one_store

NEW = {"name": "nightly-export", "roles": ["Operator"]}
KEY = {"kty": "EC", "kid": "k1", "crv": "P-256",
       "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
       "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}  # fmt: skip


def _modulus(bits: int) -> str:
    return base64.urlsafe_b64encode((2**bits - 1).to_bytes(-(-bits // 8))).decode().rstrip("=")


async def _client(app: App) -> tuple[str, Member]:
    client = await new_client(app)
    return client, await member(app, client, "Admin")


async def test_a_new_one_has_what_was_asked_for_and_nothing_else(app: App) -> None:
    client, admin = await _client(app)
    made = check_success(await app.post(OWN, NEW, token=admin.token), 201)
    assert made == {
        "id": made["id"], "oauthClientId": f"svc_{made['id']}", "name": "nightly-export", "description": "",
        "roles": ["Operator"], "scopes": None, "addresses": [], "mayIntrospect": False,
        "mayForwardAddress": False, "jwks": None,
        "createdBy": f"user:{admin.id}", "createdAt": made["createdAt"], "disabledAt": None, "keys": [], "secrets": [],
    }  # fmt: skip
    assert (await app.get(f"{OWN}/{made['id']}", token=admin.token)).data == made
    assert (await app.get(OWN, token=admin.token)).data == {"items": [made], "nextCursor": None}
    twin = await app.get(of_client(client), token=await app.admin_token())
    assert twin.data["items"] == [made]


async def test_every_member_can_be_given_and_changed_and_null_removes_it(app: App) -> None:
    _, admin = await _client(app)
    full = {
        "name": "loader", "roles": ["Author", "Operator"], "description": "Loads jobs.", "scopes": ["jobs:execute"],
        "addresses": ["192.0.2.7/24", "2001:db8::1"], "mayIntrospect": True, "jwks": {"keys": [KEY]},
    }  # fmt: skip
    made = check_success(await app.post(OWN, full, token=admin.token), 201)
    assert {name: made[name] for name in full} == {**full, "addresses": ["192.0.2.0/24", "2001:db8::1/128"]}
    one = f"{OWN}/{made['id']}"
    changed = check_success(await app.send("PATCH", one, {"description": ""}, token=admin.token))
    assert changed == {**made, "description": ""}
    less: dict[str, Any] = {"name": "loader-2", "scopes": None, "jwks": None, "addresses": [], "mayIntrospect": False}
    changed = check_success(await app.send("PATCH", one, less, token=admin.token))
    assert {name: changed[name] for name in less} == less
    assert check_success(await app.send("PATCH", one, {}, token=admin.token)) == changed


@matrix(
    ("members", "field"),
    [
        ({"name": "Nightly"}, "name"),
        ({"name": "a"}, "name"),
        ({"name": "-ab"}, "name"),
        ({"name": "a.b"}, "name"),
        ({"roles": []}, "roles"),
        ({"roles": ["Admin"]}, "roles"),
        ({"roles": ["Viewer", "Admin"]}, "roles"),
        ({"roles": ["Boss"]}, "roles[0]"),
        ({"scopes": ["jobs:destroy"]}, "scopes[0]"),
        ({"scopes": []}, "scopes"),
        ({"addresses": ["here"]}, "addresses"),
        ({"addresses": ["192.0.2.0/24,198.51.100.0/24"]}, "addresses"),
        ({"addresses": [" "]}, "addresses"),
        ({"jwks": {"keys": []}}, "jwks.keys"),
        ({"jwks": {"keys": [{"kty": "EC", "kid": "a", "crv": "P-256", "x": "AA", "y": "AA"}]}}, "jwks"),
        ({"jwks": {"keys": [{"kty": "RSA", "kid": "a", "n": "AQAB", "e": "AQAB"}]}}, "jwks"),
        ({"jwks": {"keys": [{"kty": "oct", "kid": "a"}]}}, "jwks"),
        ({"jwks": {"keys": [{"kty": "RSA", "kid": "a", "n": _modulus(2047), "e": "AQAB"}]}}, "jwks"),
        ({"jwks": {"keys": [{"kty": "RSA", "kid": "a", "n": _modulus(8193), "e": "AQAB"}]}}, "jwks"),
        ({"jwks": {"keys": [KEY | {"d": "AQAB"}]}}, "jwks.keys[0].d"),
        ({"jwks": {"keys": [KEY | {"crv": "P-384"}]}}, "jwks"),
        ({"jwks": {"keys": [KEY | {"use": "enc"}]}}, "jwks"),
        ({"jwks": {"keys": [KEY | {"alg": "RS256"}]}}, "jwks"),
        ({"jwks": {"keys": [KEY, KEY]}}, "jwks"),
        ({"jwks": {"keys": [KEY | {"kid": f"k{number}"} for number in range(6)]}}, "jwks.keys"),
        ({"jwks_uri": "https://example.com/keys"}, "jwks_uri"),
        ({"password": "secret"}, "password"),
        ({"email": "a@b.example"}, "email"),
    ],
)
async def test_what_is_wrong_is_rejected_by_name(app: App, members: dict[str, Any], field: str) -> None:
    _, admin = await _client(app)
    error = check_refusal(await app.post(OWN, {**NEW, **members}, token=admin.token), 400, "VALIDATION_ERROR")
    assert [detail["field"] for detail in error["details"]] == [field]
    assert (await app.get(OWN, token=admin.token)).data["items"] == []


@matrix("role", ["Author", "Approver", "Publisher", "Operator", "Viewer"])
async def test_who_does_not_manage_users_manages_none(app: App, role: str) -> None:
    client, _ = await _client(app)
    person = await member(app, client, role)
    for method, path, body in (
        ("POST", OWN, NEW), ("GET", OWN, None), ("GET", f"{OWN}/1", None), ("POST", f"{OWN}/1/keys", {}),
    ):  # fmt: skip
        check_refusal(await app.send(method, path, body, token=person.token), 403, "FORBIDDEN")


@rule("MACHINE-RANK")
async def test_a_user_admin_gives_no_machine_the_role_user_admin_in_any_way(app: App) -> None:
    client, admin = await _client(app)
    lesser = await member(app, client, "User Admin")
    roles = {"roles": ["User Admin"]}
    check_refusal(await app.post(OWN, {**NEW, **roles}, token=lesser.token), 403, "FORBIDDEN")
    own = check_success(await app.post(OWN, NEW, token=lesser.token), 201)
    check_refusal(await app.send("PATCH", f"{OWN}/{own['id']}", roles, token=lesser.token), 403, "FORBIDDEN")
    higher = check_success(await app.post(OWN, {"name": "higher", **roles}, token=admin.token), 201)
    one = f"{OWN}/{higher['id']}"
    for method, path, body in (
        ("PATCH", one, {"roles": ["Viewer"]}),
        ("PATCH", one, {"jwks": None}),
        ("POST", f"{one}/keys", {}),
        ("POST", f"{one}/secrets", {}),
    ):
        check_refusal(await app.send(method, path, body, token=lesser.token), 403, "FORBIDDEN")
    for kind in ("keys", "secrets"):
        made = check_success(await app.post(f"{one}/{kind}", {}, token=admin.token), 201)
        rotate = f"{one}/{kind}/{made['id']}/rotate"
        check_refusal(await app.post(rotate, {}, token=lesser.token), 403, "FORBIDDEN")
        check_success(await app.send("DELETE", f"{one}/{kind}/{made['id']}", token=lesser.token))
    check_success(await app.post(f"{one}/disable", token=lesser.token))
    check_refusal(await app.post(f"{one}/enable", token=lesser.token), 403, "FORBIDDEN")
    check_success(await app.post(f"{one}/enable", token=admin.token))


async def test_it_belongs_to_the_client_and_not_to_its_maker(app: App) -> None:
    client, admin = await _client(app)
    maker = await member(app, client, "User Admin")
    made = check_success(await app.post(OWN, NEW, token=maker.token), 201)
    key = check_success(await app.post(f"{OWN}/{made['id']}/keys", {}, token=maker.token), 201)["key"]
    gone = f"/api/admin/clients/{client}/users/{maker.id}/deactivate"
    check_success(await app.post(gone, token=await app.admin_token()))
    assert (await app.me(key)).data["service"]["id"] == made["id"]
    assert (await app.get(f"{OWN}/{made['id']}", token=admin.token)).data["createdBy"] == f"user:{maker.id}"


async def test_a_name_is_there_once_and_is_free_again_after_the_deletion(app: App) -> None:
    client, admin = await _client(app)
    first = check_success(await app.post(OWN, NEW, token=admin.token), 201)
    check_refusal(await app.post(OWN, NEW, token=admin.token), 409, "CONFLICT")
    other = await new_account(app, client)
    check_refusal(await app.send("PATCH", f"{OWN}/{other['id']}", {"name": NEW["name"]}, token=admin.token),
                  409, "CONFLICT")  # fmt: skip
    check_success(await app.send("DELETE", f"{OWN}/{first['id']}", token=admin.token))
    second = check_success(await app.post(OWN, NEW, token=admin.token), 201)
    assert second["id"] != first["id"]
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/enable"), ("POST", "/keys"), ("PATCH", "")):
        body: dict[str, Any] | None = {} if method in ("POST", "PATCH") and path != "/enable" else None
        check_refusal(await app.send(method, f"{OWN}/{first['id']}{path}", body, token=admin.token), 404, "NOT_FOUND")


async def test_a_client_has_at_most_fifty(app: App) -> None:
    client, admin = await _client(app)
    made = [await new_account(app, client) for _ in range(50)]
    check_refusal(await app.post(OWN, NEW, token=admin.token), 409, "CONFLICT")
    check_success(await app.send("DELETE", f"{OWN}/{made[7]['id']}", token=admin.token))
    check_success(await app.post(OWN, NEW, token=admin.token), 201)
    page = (await app.get(f"{OWN}?first=30", token=admin.token)).data
    rest = (await app.get(f"{OWN}?first=30&after={page['nextCursor']}", token=admin.token)).data
    assert (len(page["items"]), len(rest["items"]), rest["nextCursor"]) == (30, 20, None)
    found = (await app.get(f"{OWN}?q=NIGHTLY", token=admin.token)).data["items"]
    assert [one["name"] for one in found] == ["nightly-export"]


async def test_disabled_and_enabled_once_each(app: App) -> None:
    client, admin = await _client(app)
    it = await machine(app, client)
    one = f"{OWN}/{it.id}"
    assert check_success(await app.post(f"{one}/disable", token=admin.token))["disabledAt"] is not None
    check_refusal(await app.post(f"{one}/disable", token=admin.token), 409, "CONFLICT")
    check_refusal(await app.me(it.key.text), 401, "INVALID_TOKEN")
    assert [one["id"] for one in (await app.get(f"{OWN}?state=inactive", token=admin.token)).data["items"]] == [it.id]
    assert (await app.get(f"{OWN}?state=active", token=admin.token)).data["items"] == []
    assert check_success(await app.post(f"{one}/enable", token=admin.token))["disabledAt"] is None
    check_refusal(await app.post(f"{one}/enable", token=admin.token), 409, "CONFLICT")
    assert (await app.me(it.key.text)).status == 200


async def test_another_clients_accounts_and_keys_are_not_there(app: App) -> None:
    client, _ = await _client(app)
    it = await machine(app, client)
    _, stranger = await _client(app)
    one = f"{OWN}/{it.id}"
    for method, path in (
        ("GET", one), ("PATCH", one), ("DELETE", one), ("POST", f"{one}/disable"), ("POST", f"{one}/enable"),
        ("POST", f"{one}/keys"), ("POST", f"{one}/keys/{it.key.id}/rotate"), ("DELETE", f"{one}/keys/{it.key.id}"),
        ("POST", f"{one}/secrets"),
    ):  # fmt: skip
        body: dict[str, Any] | None = {} if method in ("POST", "PATCH") else None
        check_refusal(await app.send(method, path, body, token=stranger.token), 404, "NOT_FOUND")
    assert (await app.me(it.key.text)).status == 200


async def test_a_key_is_found_only_below_its_own_account_and_kind(app: App) -> None:
    client, admin = await _client(app)
    it, other = await machine(app, client), await machine(app, client)
    for path in (f"{OWN}/{other.id}/keys/{it.key.id}", f"{OWN}/{it.id}/secrets/{it.key.id}"):
        check_refusal(await app.send("DELETE", path, token=admin.token), 404, "NOT_FOUND")
        check_refusal(await app.post(f"{path}/rotate", {}, token=admin.token), 404, "NOT_FOUND")
    assert (await app.me(it.key.text)).status == 200


@rule("MACHINE-APART")
async def test_no_list_of_users_shows_one(app: App) -> None:
    client, admin = await _client(app)
    it = await machine(app, client)
    assert set(await users_of(app, client)) == {admin.email}
    plane = f"/api/admin/clients/{client}/users/{it.id}"
    token = await app.admin_token()
    for method, path, body in (
        ("GET", plane, None), ("PATCH", plane, {"title": "x"}), ("PUT", f"{plane}/roles", {"roles": ["Admin"]}),
        ("POST", f"{plane}/deactivate", None), ("POST", f"{plane}/password-reset", None),
        ("POST", f"{plane}/invitation", None), ("POST", f"{plane}/factors/reset", {"reason": "lost it somewhere"}),
        ("DELETE", f"{plane}/sessions", None),
    ):  # fmt: skip
        check_refusal(await app.send(method, path, body, token=token), 404, "NOT_FOUND")


async def test_the_deletion_of_a_client_takes_its_machines_along(app: App) -> None:
    client = await new_client(app)
    it = await machine(app, client)
    check_success(await app.send("DELETE", f"/api/admin/clients/{client}", token=await app.admin_token()))
    app.clock.advance(31 * 86_400)
    await sweep_clients(app)
    for table, column in (("users", "id"), ("service_accounts", "user_id"), ("service_secrets", "user_id")):
        assert await rows(app, table, column, **{column: it.id}) == []
    check_refusal(await app.me(it.key.text), 401, "INVALID_TOKEN")
