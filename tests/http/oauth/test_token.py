"""``POST /oauth2/token`` gives a service account a token for a secret or an assertion; each rejection has its error."""

from __future__ import annotations

import asyncio

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from tests.support.accounts import hashes_counted, trail
from tests.support.application import App, Reply, running
from tests.support.client_assertions import BROKEN, ec_key, public_set, rsa_key
from tests.support.envelope import check_success
from tests.support.headsets import BY_CODE, BY_SCAN, DEVICE_CODE
from tests.support.matrix import matrix
from tests.support.oauth_callers import (
    ASSERTION_TYPE,
    GRANT,
    TOKEN,
    Machine,
    basic,
    form,
    header_and_claims,
    machine,
)
from tests.support.rules import rule

pytestmark = pytest.mark.one_store

SCOPES = "users:read templates:read jobs:read"


def check_error(reply: Reply, status: int, error: str) -> None:
    assert (reply.status, reply.json["error"]) == (status, error), reply.text
    assert set(reply.json) == {"error", "error_description", "request_id"}
    assert reply.json["request_id"] == reply.headers["x-request-id"]
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers.get("www-authenticate", "").startswith("Basic") is (status == 401)


async def test_by_a_client_secret(app: App, ours: Machine) -> None:
    with hashes_counted() as hashed:
        reply = await form(app, TOKEN, GRANT, ours.basic)
    assert (reply.status, hashed) == (200, [])
    assert set(reply.json) == {"access_token", "token_type", "expires_in", "scope"}
    assert (reply.json["token_type"], reply.json["expires_in"], reply.json["scope"]) == ("Bearer", 900, SCOPES)
    assert (reply.headers["cache-control"], reply.headers["pragma"]) == ("no-store", "no-cache")
    assert "set-cookie" not in reply.headers


@rule("OAUTH-ASSERTION")
async def test_by_an_assertion_once(app: App, ours: Machine) -> None:
    fields = {**GRANT, **ours.signed(), "client_id": ours.client_id}
    assert (await form(app, TOKEN, fields)).status == 200
    check_error(await form(app, TOKEN, fields), 401, "invalid_client")
    assert (await form(app, TOKEN, {**GRANT, **ours.signed(jti="another")})).status == 200


@rule("OAUTH-ASSERTION")
async def test_an_assertion_need_not_name_its_key(app: App, ours: Machine) -> None:
    for number, keys in enumerate(((ec_key(),), (rsa_key(), ec_key(), ECKey.generate_key("P-256")))):
        await ours.send("PATCH", "", {"jwks": public_set(*keys)})
        unnamed = ours.maker.sign(ours.maker.claims(jti=str(number)), ours.maker.header(kid=...))
        shown = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": unnamed}
        assert (await form(app, TOKEN, {**GRANT, **shown})).status == 200
    await ours.send("PATCH", "", {"jwks": public_set(rsa_key())})
    shown["client_assertion"] = ours.maker.sign(ours.maker.claims(jti="3"), ours.maker.header(kid=...))
    check_error(await form(app, TOKEN, {**GRANT, **shown}), 401, "invalid_client")


async def test_the_resource_can_be_named_twice(app: App, ours: Machine) -> None:
    one = f"grant_type=client_credentials&resource={app.public_url}"
    assert (await form(app, TOKEN, f"{one}&resource={app.public_url}", ours.basic)).status == 200
    check_error(await form(app, TOKEN, f"{one}&resource=https://other.example", ours.basic), 400, "invalid_target")


async def test_a_grant_of_another_kind_of_client_is_told_to_those_who_proved_who_they_are(
    app: App, ours: Machine
) -> None:
    device = {"client_id": f"manifest.{ours.client}"}
    for grant in (DEVICE_CODE, "refresh_token"):
        check_error(await form(app, TOKEN, {"grant_type": grant}, ours.basic), 400, "unauthorized_client")
        check_error(await form(app, TOKEN, {"grant_type": grant}), 401, "invalid_client")
    check_error(await form(app, TOKEN, {**GRANT, **device}), 400, "unauthorized_client")
    check_error(await form(app, TOKEN, {"grant_type": "password", **device}), 400, "unsupported_grant_type")
    check_error(await form(app, TOKEN, {**GRANT, "client_id": "manifest.nowhere"}), 401, "invalid_client")
    for path in (BY_CODE, BY_SCAN):
        check_error(await form(app, path, {}, ours.basic), 400, "unauthorized_client")
        check_error(await form(app, path, {**device, "resource": "https://x.example"}), 400, "invalid_target")


async def test_of_twenty_at_the_same_time_on_two_nodes_one_can_sign_in(
    app: App, ours: Machine, database_url: str
) -> None:
    fields = {**GRANT, **ours.signed()}
    async with running(database_url) as other:
        other.goes_by_the_clock_of(app)
        replies = await asyncio.gather(*(form(node, TOKEN, fields) for node in (app, other) for _ in range(10)))
    assert sorted(reply.status for reply in replies) == [200] + [401] * 19


@rule("SERVICE-TOKEN-PURPOSE")
async def test_a_token_is_as_rfc_9068_has_it(app: App, ours: Machine) -> None:
    token = await ours.token(scope="jobs:read")
    header, claims = header_and_claims(token)
    assert {**header, "kid": ""} == {"typ": "at+jwt", "alg": "ES256", "kid": ""}
    published = (await app.get("/.well-known/jwks.json")).json
    assert jwt.decode(token, KeySet.import_key_set(published), algorithms=["ES256"]).claims == claims
    now = app.clock.ms // 1000
    assert {**claims, "jti": ""} == {
        "iss": app.public_url, "aud": app.public_url, "sub": ours.client_id, "client_id": ours.client_id,
        "client": ours.client, "scope": "jobs:read", "iat": now, "exp": now + 900, "jti": "",
    }  # fmt: skip
    assert len(claims["jti"]) >= 16


@matrix(
    ("fields", "error"),
    [
        ({}, "invalid_request"),
        ({"grant_type": "password", "username": "a", "password": "b"}, "unsupported_grant_type"),
        ({"grant_type": "authorization_code"}, "unsupported_grant_type"),
        ({**GRANT, "scope": "users:manage"}, "invalid_scope"),
        ({**GRANT, "scope": "everything"}, "invalid_scope"),
        ({**GRANT, "resource": "https://other.example"}, "invalid_target"),
        ("grant_type=client_credentials&grant_type=client_credentials", "invalid_request"),
        ("grant_type=client_credentials&scope=jobs:read&scope=users:read", "invalid_request"),
        ("grant_type=%ff", "invalid_request"),
        ("&".join(f"a{n}=1" for n in range(60)), "invalid_request"),
    ],
)
async def test_what_is_wrong_with_a_request_has_its_error(
    app: App, ours: Machine, fields: dict[str, str] | str, error: str
) -> None:
    check_error(await form(app, TOKEN, fields, ours.basic), 400, error)


async def test_a_body_that_is_no_form_is_rejected(app: App, ours: Machine) -> None:
    headers = {**ours.basic, "Content-Type": "application/json"}
    check_error(await app.send("POST", TOKEN, content=b"{}", headers=headers), 400, "invalid_request")
    packed = {**ours.basic, "Content-Encoding": "gzip"}
    check_error(await form(app, TOKEN, GRANT, packed), 400, "invalid_request")
    check_error(await form(app, TOKEN, "a=" + "x" * 70_000, ours.basic), 413, "invalid_request")


async def test_a_form_anywhere_else_is_rejected(app: App, ours: Machine) -> None:
    reply = await form(app, "/api/client/auth/sign-in", GRANT)
    assert (reply.status, reply.code) == (415, "UNSUPPORTED_MEDIA_TYPE")


@rule("OAUTH-CLIENT-AUTHENTICATION")
async def test_a_secret_is_taken_in_the_body_and_never_in_the_address(app: App, ours: Machine) -> None:
    shown = {"client_id": ours.client_id, "client_secret": ours.secret}
    assert (await form(app, TOKEN, {**GRANT, **shown})).status == 200
    for less in ({"client_secret": ours.secret}, {**shown, "client_secret": ours.secret[:-1]}):
        check_error(await form(app, TOKEN, {**GRANT, **less}), 401, "invalid_client")
    [event] = [event for event in await trail(app, ours.client) if event.event == "service_token_issued"]
    assert event.members["by"] == "client_secret_post"
    path = f"{TOKEN}?client_id={ours.client_id}&client_secret={ours.secret}&grant_type=client_credentials"
    check_error(await form(app, path, GRANT), 401, "invalid_client")


@rule("OAUTH-CLIENT-AUTHENTICATION")
async def test_two_ways_at_the_same_time_are_rejected(app: App, ours: Machine) -> None:
    check_error(await form(app, TOKEN, {**GRANT, **ours.signed()}, ours.basic), 400, "invalid_request")
    check_error(await form(app, TOKEN, {**GRANT, "client_secret": "x"}, ours.basic), 400, "invalid_request")


@rule("OAUTH-CLIENT-AUTHENTICATION")
async def test_every_wrong_secret_is_answered_alike(app: App, ours: Machine, theirs: Machine) -> None:
    key = await ours.new("key")
    wrong = [
        basic(ours.client_id, theirs.secret), basic(theirs.client_id, ours.secret), basic("svc_999999", ours.secret),
        basic(ours.client_id, ours.secret[:-1] + "!"), basic(ours.client_id, ""), basic(ours.client_id, key),
        basic(f"svc_0{ours.id}", ours.secret), basic(str(ours.id), ours.secret), {"Authorization": "Basic !"},
        {"Authorization": f"Bearer {ours.secret}"}, {},
    ]  # fmt: skip
    told = set()
    for headers in wrong:
        reply = await form(app, TOKEN, GRANT, headers)
        check_error(reply, 401, "invalid_client")
        told.add(reply.json["error_description"])
    assert told == {"Client authentication failed"}


async def test_who_shows_the_accounts_own_credential_learns_which_rule_rejects(app: App, ours: Machine) -> None:
    """With a wrong credential of the same account, the caller learns nothing."""
    made, client = await ours.send("POST", "/secrets", {"expiresInDays": 90}), f"/api/admin/clients/{ours.client}"
    revoked, at = str(made["secret"]), f"{client}/service-accounts/{ours.id}/secrets/{made['id']}"
    check_success(await app.send("DELETE", at, token=await app.admin_token()))

    async def told(**shown: str) -> str:
        reply = await form(app, TOKEN, {**GRANT, **shown}, None if shown else ours.basic)
        assert reply.json["error"] in ("invalid_client", "invalid_scope")
        return str(reply.json["error_description"])

    async def check(expected: str) -> None:
        app.clock.advance(3600)
        assert [await told(), await told(**ours.signed())] == [expected, expected]
        for wrong in (revoked, f"{ours.secret[:-1]}!"):
            assert await told(client_id=ours.client_id, client_secret=wrong) == "Client authentication failed"
        assert await told(**ours.signed(aud="https://other.example")) == "Client authentication failed"

    await ours.send("PATCH", "", {"addresses": ["198.51.100.0/24"]})
    await check("The networks of the service account don't include your address, 192.0.2.1")
    await ours.send("PATCH", "", {"addresses": []})
    await ours.send("POST", "/disable")
    await check("The service account is disabled")
    await ours.send("POST", "/enable")
    check_success(await app.post(f"{client}/suspend", token=await app.admin_token()))
    await check("The organization of the service account is suspended")
    check_success(await app.post(f"{client}/restore", token=await app.admin_token()))
    basic_only = {"client_id": ours.client_id, "client_secret": ours.secret}
    assert await told(**basic_only, scope="users:manage") == "The service account doesn't have: users:manage"
    assert await told(**basic_only, scope="jobs:read x") == "scope contains an unknown permission: x"
    app.clock.advance(91 * 86_400)
    assert await told(**basic_only) == "The client secret has expired"


@rule("OAUTH-ASSERTION")
@matrix("what", BROKEN)
async def test_a_broken_assertion_gets_no_token(app: App, ours: Machine, what: str) -> None:
    shown = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": BROKEN[what](ours.maker)}
    check_error(await form(app, TOKEN, {**GRANT, **shown}), 401, "invalid_client")
    assert (await form(app, TOKEN, {**GRANT, **ours.signed()})).status == 200


@rule("OAUTH-ASSERTION")
async def test_an_assertion_of_another_accounts_key_is_rejected(app: App, ours: Machine, client: str) -> None:
    other = await machine(app, client, "other")
    await other.send("PATCH", "", {"jwks": None})
    shown = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": other.maker.right()}
    check_error(await form(app, TOKEN, {**GRANT, **shown}), 401, "invalid_client")
    named = {**GRANT, **ours.signed(), "client_id": other.client_id}
    check_error(await form(app, TOKEN, named), 401, "invalid_client")


@rule("OAUTH-CLIENT-AUTHENTICATION")
async def test_a_cookie_changes_nothing(app: App, ours: Machine) -> None:
    cookie = (await app.sign_in("admin@acme.example")).cookie("session")
    check_error(await form(app, TOKEN, GRANT, cookie=cookie), 401, "invalid_client")
    assert (await form(app, TOKEN, GRANT, ours.basic, cookie="forged")).status == 200


async def test_a_network_that_does_not_fit_gets_none(app: App, client: str) -> None:
    far = await machine(app, client, "far", addresses=("198.51.100.0/24",))
    check_error(await form(app, TOKEN, GRANT, far.basic), 401, "invalid_client")
    near = await machine(app, client, "near", addresses=("198.51.100.0/24", "192.0.2.0/24"))
    assert (await form(app, TOKEN, GRANT, near.basic)).status == 200


async def test_a_scope_is_within_what_the_account_can_do(app: App, client: str) -> None:
    narrow = await machine(app, client, "narrow", roles=("Author",), scopes=("jobs:read", "jobs:execute"))
    reply = await form(app, TOKEN, GRANT, narrow.basic)
    assert reply.json["scope"] == "jobs:read"
    check_error(await form(app, TOKEN, {**GRANT, "scope": "templates:read"}, narrow.basic), 400, "invalid_scope")


@rule("OAUTH-GUESSES")
async def test_after_thirty_wrong_ones_the_next_waits_and_a_known_one_does_not(app: App, theirs: Machine) -> None:
    ours = await machine(app, theirs.client, "guessed")
    assert (await form(app, TOKEN, GRANT, ours.basic)).status == 200
    for _ in range(30):
        check_error(await form(app, TOKEN, GRANT, basic(ours.client_id, theirs.secret)), 401, "invalid_client")
    reply = await form(app, TOKEN, GRANT, basic(ours.client_id, theirs.secret))
    check_error(reply, 429, "temporarily_unavailable")
    assert int(reply.headers["retry-after"]) >= 1
    assert (await form(app, TOKEN, GRANT, ours.basic)).status == 200


@rule("OAUTH-CLIENT-AUTHENTICATION")
async def test_an_invalid_secret_by_its_checksum_costs_the_store_nothing(app: App, ours: Machine) -> None:
    junk = ours.secret[:-1] + ("0" if ours.secret[-1] != "0" else "1")
    for _ in range(60):  # it isn't counted either
        check_error(await form(app, TOKEN, GRANT, basic(ours.client_id, junk)), 401, "invalid_client")


async def test_the_audit_trail_has_one_event_an_hour(app: App, ours: Machine) -> None:
    for _ in range(3):
        await ours.token(scope="jobs:read")
    app.clock.advance(3601)
    await ours.token()
    first, second = [event for event in await trail(app, ours.client) if event.event == "service_token_issued"]
    assert first.actor == first.subject == f"service:{ours.id}"
    assert first.members == {"scope": ["jobs:read"], "by": "client_secret_basic"}
    assert second.members == {"scope": SCOPES.split(" "), "by": "client_secret_basic", "kept_back": 2}
