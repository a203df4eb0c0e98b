"""Apps are added, changed, and removed; covers their settings and their secrets."""

from __future__ import annotations

from typing import Any

import pytest

from tests.http.apps.relying import relying
from tests.support.accounts import new_client, trail
from tests.support.application import App
from tests.support.client_assertions import Maker, ec_key, public_set
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.oauth_callers import ASSERTION_TYPE, basic, form
from tests.support.people import member
from tests.support.rules import rule

pytestmark = pytest.mark.one_store
APPS = "/api/client/apps"
REPORTS = "https://reports.example.com/callback"
WEB = {"name": "Reports", "kind": "web", "redirectUris": [REPORTS]}


async def admin_of(app: App, role: str = "Admin") -> tuple[str, str]:
    """A new client, and the token of its user with the role."""
    client = await new_client(app)
    return client, (await member(app, client, role)).token


async def make(app: App, token: str, body: dict[str, Any]) -> Any:
    return check_success(await app.post(APPS, body, token=token), 201)


async def test_they_are_added_changed_and_removed(app: App) -> None:
    client, clerk = await admin_of(app, "User Admin")
    made = await make(app, clerk, WEB)
    at = f"{APPS}/{made['id']}"
    assert made["id"].startswith("app_")
    assert len(made["id"]) == 26
    assert made["issuer"].endswith(f"/o/{client}")
    usual = {
        "kind": "web", "redirectUris": [REPORTS], "postLogoutRedirectUris": [], "allowedOrigins": [],
        "scopes": ["openid"], "roles": [], "consent": False, "secondFactor": False, "accessTokenSeconds": 900,
        "refreshTokenDays": 30, "idTokenAlgorithm": "RS256", "backchannelLogoutUri": None, "jwks": None,
        "lastUsedAt": None, "secrets": [], "users": 0, "sessions": 0,
    }  # fmt: skip
    assert {name: made[name] for name in usual} == usual
    asked = {"name": "Reports 2", "scopes": ["jobs:read", "email", "openid"], "roles": ["Operator"], "consent": True}
    changed = check_success(await app.send("PATCH", at, asked, token=clerk))
    assert changed == made | asked | {"scopes": ["openid", "email", "jobs:read"]}
    assert check_success(await app.get(at, token=clerk)) == changed
    app.clock.advance(1)  # lists are sorted by time
    device = await make(app, clerk, {"name": "Inspection", "kind": "device"})
    assert (device["scopes"], device["redirectUris"]) == ([], [])
    items = check_success(await app.get(APPS, token=clerk))["items"]
    assert [(one["id"], one["kind"]) for one in items] == [
        (f"manifest.{client}", "device"), (made["id"], "web"), (device["id"], "device"),
    ]  # fmt: skip
    twin = check_success(await app.get(f"/api/admin/clients/{client}/apps", token=await app.admin_token()))
    assert twin["items"] == items
    assert check_success(await app.send("DELETE", at, token=clerk)) == {"ended": 0}
    for method, body in (("GET", None), ("PATCH", {"name": "X"}), ("DELETE", None)):
        check_refusal(await app.send(method, at, body, token=clerk), 404, "NOT_FOUND")
    events = [one for one in await trail(app, client) if one.event.startswith("app_")]
    subject = f"app:{made['id']}"
    assert [(one.event, one.subject) for one in events] == [
        ("app_created", subject), ("app_changed", subject), ("app_created", f"app:{device['id']}"),
        ("app_deleted", subject),
    ]  # fmt: skip
    created, altered, of_device, deleted = (one.members for one in events)
    assert created == {
        "name": "Reports", "kind": "web", "redirect_uris": REPORTS, "post_logout_uris": "", "allowed_origins": "",
        "scopes": "openid", "roles": [], "consent": 0, "second_factor": 0, "access_s": 900, "refresh_days": 30,
        "id_token_alg": "RS256", "backchannel_uri": None, "jwks": [],
    }  # fmt: skip
    before = {"name": "Reports", "scopes": "openid", "roles": [], "consent": 0}
    after = {"name": "Reports 2", "scopes": "openid email jobs:read", "roles": ["Operator"], "consent": 1}
    assert altered == {"name": "Reports 2", "before": before, "after": after, "sessions_ended": 0}
    assert of_device == {"name": "Inspection", "kind": "device"}
    assert deleted == {"name": "Reports 2", "sessions_ended": 0}


HTTPS, LOOPBACK, SCHEME = "https://a.example/cb", "http://127.0.0.1:8400/cb", "com.example.app:/cb"
EVERYWHERE = [HTTPS, "https://a.example:8443/cb?x=1", LOOPBACK, "http://localhost/cb", "http://[::1]:1/cb"]
NOWHERE = [
    "http://a.example/cb", "https://a.example/cb#part", "https://user@a.example/cb", "https://:p@a.example/cb",
    "https://*.a.example/cb", "https://a.example/*", "http://127.0.0.1.a.example/cb", "http://localhost.a.example/cb",
    "javascript:alert(1)", "data:text/html,x", "myapp:/cb", "//a.example/cb", "/cb", "", "https://", "https:///cb",
    "https://a.example\\@b.example/", "https://a.example/\ncb", "https://ä.example/", "https://a.example:0/",
    "http://0.0.0.0/cb", "http://[::ffff:127.0.0.1]/cb",
]  # fmt: skip
KINDS = ("web", "browser", "native")
ADDRESSES = {
    **{(kind, address): True for kind in KINDS for address in EVERYWHERE},
    **{(kind, address): False for kind in KINDS for address in NOWHERE},
    **{(kind, SCHEME): kind == "native" for kind in KINDS},
}


@rule("APP-REDIRECTS")
async def test_redirect_uris_are_validated(app: App) -> None:
    _, token = await admin_of(app)
    at = {kind: f"{APPS}/{(await make(app, token, WEB | {'kind': kind}))['id']}" for kind in KINDS}
    found = {}
    for kind, address in ADDRESSES:
        for name in ("redirectUris", "postLogoutRedirectUris"):
            reply = await app.send("PATCH", at[kind], {name: [address]}, token=token)
            found[kind, address] = reply.status == 200
            if reply.status != 200:
                error = check_refusal(reply, 400, "VALIDATION_ERROR")
                assert [one["field"] for one in error["details"]] == [f"{name}[0]"], address
            assert found[kind, address] == ADDRESSES[kind, address], (kind, address, name)


WRONG = [
    ({"name": " "}, "name"),
    ({"redirectUris": []}, "redirectUris"),
    ({"redirectUris": [f"https://a.example/{number}" for number in range(21)]}, "redirectUris"),
    ({"redirectUris": [REPORTS, REPORTS]}, "redirectUris"),
    ({"scopes": ["openid", "phone"]}, "scopes"),
    ({"roles": ["Boss"]}, "roles[0]"),
    ({"accessTokenSeconds": 59}, "accessTokenSeconds"),
    ({"accessTokenSeconds": 3601}, "accessTokenSeconds"),
    ({"refreshTokenDays": 0}, "refreshTokenDays"),
    ({"refreshTokenDays": 366}, "refreshTokenDays"),
    ({"idTokenAlgorithm": "HS256"}, "idTokenAlgorithm"),
    ({"backchannelLogoutUri": "http://a.example/out"}, "backchannelLogoutUri"),
    ({"allowedOrigins": ["https://a.example"]}, "allowedOrigins"),
    ({"jwks": {"keys": []}}, "jwks.keys"),
    ({"kind": "browser", "refreshTokenDays": 2}, "refreshTokenDays"),
    ({"kind": "browser", "allowedOrigins": ["https://a.example/"]}, "allowedOrigins[0]"),
    ({"kind": "browser", "backchannelLogoutUri": "https://a.example/out"}, "backchannelLogoutUri"),
    ({"kind": "native", "backchannelLogoutUri": "https://a.example/out"}, "backchannelLogoutUri"),
    ({"kind": "device"}, "redirectUris"),
    ({"kind": "device", "redirectUris": [], "consent": True}, "consent"),
    ({"kind": "spa"}, "kind"),
]


@matrix(("members", "field"), WRONG)
async def test_invalid_settings_are_rejected(app: App, members: dict[str, Any], field: str) -> None:
    error = check_refusal(await app.post(APPS, WEB | members, token=(await admin_of(app))[1]), 400, "VALIDATION_ERROR")
    assert [one["field"] for one in error["details"]] == [field]


async def test_each_kind_has_its_own_settings(app: App) -> None:
    _, token = await admin_of(app)
    browser = {"kind": "browser", "allowedOrigins": ["https://a.example"]}
    assert (await make(app, token, WEB | browser))["refreshTokenDays"] == 1
    web = await make(app, token, WEB | {"backchannelLogoutUri": "https://a.example/out", "refreshTokenDays": 365})
    at = f"{APPS}/{web['id']}"
    assert check_success(await app.send("PATCH", at, {"backchannelLogoutUri": None}, token=token)) == web | {
        "backchannelLogoutUri": None
    }


async def test_the_built_in_app_stays_and_other_clients_apps_are_hidden(app: App) -> None:
    (client, clerk), (other, foreign) = await admin_of(app), await admin_of(app)
    for method, body in (("PATCH", {"name": "X"}), ("DELETE", None)):
        check_refusal(await app.send(method, f"{APPS}/manifest.{client}", body, token=clerk), 409, "CONFLICT")
        check_refusal(await app.send(method, f"{APPS}/manifest.{other}", body, token=clerk), 404, "NOT_FOUND")
    made = await make(app, foreign, WEB)
    check_refusal(await app.send("DELETE", f"{APPS}/{made['id']}", token=clerk), 404, "NOT_FOUND")


async def test_a_client_has_at_most_a_hundred_apps(app: App) -> None:
    client = await new_client(app)
    path, root = f"/api/admin/clients/{client}/apps", await app.admin_token()
    for number in range(100):
        made = check_success(await app.post(path, {"name": f"App {number}", "kind": "device"}, token=root), 201)
    check_refusal(await app.post(path, WEB, token=root), 409, "CONFLICT")
    check_success(await app.send("DELETE", f"{path}/{made['id']}", token=root))
    check_success(await app.post(path, WEB, token=root), 201)


@rule("APP-RANK")
@matrix("scope", ["users:manage", "settings:manage"])
async def test_only_an_admin_manages_an_app_that_can_grant_access(app: App, scope: str) -> None:
    client, admin = await admin_of(app)
    clerk = (await member(app, client, "User Admin")).token
    powerful = WEB | {"scopes": ["openid", scope]}
    check_refusal(await app.post(APPS, powerful, token=clerk), 403, "FORBIDDEN")
    at = f"{APPS}/{(await make(app, admin, powerful))['id']}"
    secret = check_success(await app.post(f"{at}/secrets", token=admin), 201)["id"]
    for method, path, body in (
        ("PATCH", at, {"redirectUris": ["https://evil.example/"]}), ("PATCH", at, {"scopes": ["openid"]}),
        ("POST", f"{at}/secrets", None), ("POST", f"{at}/secrets/{secret}/rotate", {}),
        ("DELETE", f"{at}/secrets/{secret}", None), ("DELETE", at, None),
    ):  # fmt: skip
        check_refusal(await app.send(method, path, body, token=clerk), 403, "FORBIDDEN")
    weak = f"{APPS}/{(await make(app, clerk, WEB))['id']}"
    check_refusal(await app.send("PATCH", weak, {"scopes": ["openid", scope]}, token=clerk), 403, "FORBIDDEN")
    check_success(await app.send("DELETE", f"{at}/secrets/{secret}", token=admin))
    check_success(await app.send("DELETE", at, token=admin))
    check_success(await app.send("DELETE", weak, token=clerk))


@rule("APP-RANK")
async def test_only_an_admin_chooses_the_address_that_the_server_calls(app: App) -> None:
    client, admin = await admin_of(app)
    clerk = (await member(app, client, "User Admin")).token
    called = {"backchannelLogoutUri": "https://10.0.0.1/out"}
    check_refusal(await app.post(APPS, WEB | called, token=clerk), 403, "FORBIDDEN")
    at = f"{APPS}/{(await make(app, admin, WEB | called))['id']}"
    other = {"backchannelLogoutUri": "https://10.0.0.1/admin"}
    check_refusal(await app.send("PATCH", at, other, token=clerk), 403, "FORBIDDEN")
    check_success(await app.send("PATCH", at, {"name": "X"} | called, token=clerk))
    check_success(await app.send("PATCH", at, {"backchannelLogoutUri": None}, token=clerk))
    check_success(await app.send("PATCH", at, other, token=admin))


@rule("APP-RANK")
@matrix("address", ["https://10.0.0.1/out", "http://127.0.0.1:9/out", "https://localhost/out", "https://[::1]/out"])
async def test_uncallable_addresses_are_rejected(secure: App, address: str) -> None:
    _, admin = await admin_of(secure)
    at, wrong = f"{APPS}/{(await make(secure, admin, WEB))['id']}", {"backchannelLogoutUri": address}
    for reply in (
        await secure.post(APPS, WEB | wrong, token=admin),
        await secure.send("PATCH", at, wrong, token=admin),
    ):
        [told] = check_refusal(reply, 400, "VALIDATION_ERROR")["details"]
        assert told["field"] == "backchannelLogoutUri"
        assert "a public address" in told["message"]
    check_success(await secure.send("PATCH", at, {"backchannelLogoutUri": "https://a.example/out"}, token=admin))


@rule("APP-SECRETS")
async def test_a_web_app_has_two_live_secrets_and_rotates_them(app: App) -> None:
    client, token = await admin_of(app)
    made = await make(app, token, WEB)
    at = f"{APPS}/{made['id']}"

    async def live() -> Any:
        return check_success(await app.get(at, token=token))["secrets"]

    first = check_success(await app.post(f"{at}/secrets", token=token), 201)
    assert first["clientId"] == made["id"]
    assert first["secret"].startswith("mfst_sec_")
    [shown] = await live()
    assert (shown["id"], shown["hint"], shown["expiresAt"]) == (first["id"], first["secret"][-4:], None)
    rotate = f"{at}/secrets/{first['id']}/rotate"
    for hours in (-1, 169):
        check_refusal(await app.post(rotate, {"overlapHours": hours}, token=token), 400, "VALIDATION_ERROR")
    second = check_success(await app.post(rotate, {"overlapHours": 1}, token=token), 201)
    assert {one["id"]: one["expiresAt"] is None for one in await live()} == {first["id"]: False, second["id"]: True}
    check_refusal(await app.post(f"{at}/secrets", token=token), 409, "CONFLICT")
    app.clock.advance(3601)
    assert [one["id"] for one in await live()] == [second["id"]]
    third = check_success(await app.post(f"{at}/secrets/{second['id']}/rotate", {"overlapHours": 0}, token=token), 201)
    assert [one["id"] for one in await live()] == [third["id"]]
    check_success(await app.send("DELETE", f"{at}/secrets/{third['id']}", token=token))
    check_refusal(await app.send("DELETE", f"{at}/secrets/{third['id']}", token=token), 404, "NOT_FOUND")
    assert await live() == []
    events = [one.event for one in await trail(app, client) if one.event.startswith("app_secret")]
    assert events == ["app_secret_created"] * 3 + ["app_secret_revoked"]
    native = await make(app, token, WEB | {"kind": "native"})
    check_refusal(await app.post(f"{APPS}/{native['id']}/secrets", token=token), 409, "CONFLICT")


async def test_a_web_app_moves_from_a_secret_to_keys(app: App) -> None:
    client, token = await admin_of(app)
    web = await relying(app, client)
    at, keys = f"{APPS}/{web.id}", {"jwks": public_set(ec_key())}

    async def by(secret: str) -> str:
        fields = {"grant_type": "refresh_token", "refresh_token": "x"}
        if not secret:
            made = Maker(web.id, web.issuer, app.clock.ms // 1000, ec_key()).right(jti=str(app.clock.ms))
            fields |= {"client_assertion": made, "client_assertion_type": ASSERTION_TYPE}
        headers = basic(web.id, secret) if secret else None
        return str((await form(app, f"{web.path}/token", fields, headers)).json["error"])

    check_success(await app.send("PATCH", at, keys, token=token))
    [changed] = [one for one in await trail(app, client) if one.event == "app_changed"]
    assert "old_ends" in changed.detail
    app.clock.advance(86_399)
    twin, root = f"/api/admin/clients/{client}/apps/{web.id}", await app.admin_token()
    check_success(await app.send("PATCH", twin, {**keys, "name": "Reports 2"}, token=root))
    assert [await by(web.secret), await by("")] == ["invalid_grant", "invalid_grant"]
    app.clock.advance(1)
    assert [await by(web.secret), await by("")] == ["invalid_client", "invalid_grant"]
    check_refusal(await app.post(f"{twin}/secrets", token=root), 409, "CONFLICT")
    check_success(await app.send("PATCH", twin, {"jwks": None}, token=root))
    check_success(await app.post(f"{twin}/secrets", token=root), 201)
