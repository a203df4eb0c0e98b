"""The access token: its claims, how it's sent, and look-alikes that are rejected."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.accounts import keys_of
from tests.support.application import App
from tests.support.forged_tokens import HEADER, b64, claims_of, hs256, minted, unb64
from tests.support.matrix import matrix
from tests.support.rules import rule

DAY = 86_400
FAR = 10 * 365 * DAY
pytestmark = [pytest.mark.usefixtures("another_day"), pytest.mark.one_store]


async def test_the_header_is_these_bytes(app: App) -> None:
    token = (await app.sign_in()).data["token"]
    kid = json.loads(unb64(token.split(".")[0]))["kid"]
    assert unb64(token.split(".")[0]).decode() == f'{{"alg":"ES256","kid":"{kid}","typ":"JWT"}}'


@rule("TOKEN-CLAIMS", "TOKEN-NO-SECRET")
async def test_the_claims_are_complete_and_typed(app: App) -> None:
    claims = claims_of((await app.sign_in()).data["token"])
    user_id, now = app.ids["author@acme.example"], app.clock.ms // 1000
    assert {k: v for k, v in claims.items() if k not in ("sid", "jti")} == {
        "iss": app.public_url,
        "aud": "manifest-api",
        "sub": str(user_id),
        "id": user_id,
        "client": "acme",
        "iat": now,
        "exp": now + DAY,
    }
    assert [type(claims[n]) for n in ("id", "iat", "exp", "sid", "jti")] == [int, int, int, str, str]
    assert len(unb64(claims["sid"])) >= 16


async def test_two_tokens_of_one_session_share_the_session_and_differ_in_jti(app: App) -> None:
    first = (await app.sign_in()).data
    second = (await app.refresh(first["refreshToken"])).data
    one, two = claims_of(first["token"]), claims_of(second["token"])
    assert one["sid"] == two["sid"]
    assert one["jti"] != two["jti"]


@rule("EXPIRED-IF-GENUINE")
async def test_a_token_expires_to_the_second(app: App) -> None:
    token = (await app.sign_in()).data["token"]
    app.clock.advance(DAY - 1)
    assert (await app.me(token)).status == 200
    app.clock.advance(1)
    expired = await app.me(token)
    assert (expired.status, expired.code) == (401, "TOKEN_EXPIRED")
    assert expired.json["error"]["message"] == "Token has expired"
    assert expired.headers["www-authenticate"] == 'Bearer error="invalid_token"'


@rule("EXPIRED-IF-GENUINE")
async def test_token_expired_is_said_only_of_a_genuine_token(app: App) -> None:
    token = (await app.sign_in()).data["token"]
    app.clock.advance(DAY)
    assert (await app.me(token)).code == "TOKEN_EXPIRED"
    head, payload, signature = token.split(".")
    forged = f"{head}.{payload}.{b64(bytes(32))}"
    assert (await app.me(forged)).code == "INVALID_TOKEN"
    changed = {**claims_of(token), "id": 1, "sub": "1"}
    assert (await app.me(f"{head}.{b64(json.dumps(changed))}.{signature}")).code == "INVALID_TOKEN"
    foreign = hs256(b"k" * 32, HEADER, unb64(payload))
    assert (await app.me(foreign)).code == "INVALID_TOKEN"


@matrix("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
async def test_the_scheme_is_case_insensitive(app: App, scheme: str) -> None:
    token = (await app.sign_in()).data["token"]
    assert (await app.me(headers={"Authorization": f"{scheme} {token}"})).status == 200


@matrix("form", ["Basic {}", "Token {}", "{}", "Bearer", "Bearer ", "Bearer{}", "Bearer {} {}", "JWT {}"])
async def test_another_scheme_is_no_bearer(app: App, form: str) -> None:
    token = (await app.sign_in()).data["token"]
    reply = await app.me(headers={"Authorization": form.format(token, token)})
    assert (reply.status, reply.code) == (401, "INVALID_TOKEN")


async def test_two_authorization_headers_are_a_mistake(app: App) -> None:
    token = (await app.sign_in()).data["token"]
    line = ("Authorization", f"Bearer {token}")
    assert (await app.me(headers=[line, line])).code == "VALIDATION_ERROR"


async def test_no_credential_is_said_so(app: App) -> None:
    reply = await app.me()
    assert (reply.status, reply.code, reply.headers["www-authenticate"]) == (401, "UNAUTHENTICATED", "Bearer")


@matrix("where", ["?token={}", "?access_token={}", "?Authorization=Bearer%20{}"])
async def test_a_token_in_the_address_is_none(app: App, where: str) -> None:
    token = (await app.sign_in()).data["token"]
    assert (await app.get("/api/client/auth/me" + where.format(token))).code == "UNAUTHENTICATED"


async def test_a_role_that_was_removed_counts_immediately(app: App) -> None:
    token = (await app.sign_in("publisher@acme.example")).data["token"]
    user = f"/api/admin/clients/acme/users/{app.ids['publisher@acme.example']}/roles"
    assert "roles" not in claims_of(token)
    try:
        assert (await app.send("PUT", user, {"roles": ["Viewer"]}, token=await app.admin_token())).status == 200
        me = (await app.me(token)).data
        assert me["roles"] == me["user"]["roles"] == ["Viewer"]
        assert "templates:publish" not in me["permissions"]
    finally:
        await app.send("PUT", user, {"roles": ["Publisher"]}, token=await app.admin_token())


BAD: dict[str, list[Any]] = {
    "exp": [True, 1.9e9, 1.9e9 + 0.5, "1900000000", [1900000000], {}, -1, 0],
    "iat": [True, 1.7e9, "1700000000", -1],
    "id": [True, 3.0, "3", -3, [3]],
}
#: Claims that make a correctly signed token invalid. ``None`` omits the claim.
CLAIMS: dict[str, dict[str, Any]] = {
    **{f"without {name}": {name: None} for name in ("iss", "aud", "sub", "id", "client", "sid", "jti", "iat", "exp")},
    **{f"{name} is {bad!r}": {name: bad} for name, bads in BAD.items() for bad in bads},
    "sub of another user": {"sub": "1"},
    "sub is a number": {"sub": 4},
    "sub with a zero before it": {"sub": "04"},
    "another issuer": {"iss": "https://evil.example"},
    "issuer with a slash more": {"iss": "http://127.0.0.1:8080/"},
    "a list of issuers": {"iss": ["http://127.0.0.1:8080"]},
    "another audience": {"aud": "manifest-admin"},
    "a list of audiences": {"aud": ["manifest-api"]},
    "no such session": {"sid": "A" * 22},
    "an empty session": {"sid": ""},
    "another client": {"client": "globex"},
    "an empty client": {"client": ""},
}


def changed(claims: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in {**claims, **changes}.items() if v is not None}


@rule("TOKEN-CLAIMS", "TOKEN-TIMES")
@matrix("name", CLAIMS)
async def test_claims_that_are_not_ours_are_rejected_though_the_signature_is_good(app: App, name: str) -> None:
    claims = {**claims_of((await keys_of(app)).token)}
    assert (await app.me(minted(app, claims))).status == 200
    reply = await app.me(minted(app, changed(claims, CLAIMS[name])))
    assert (reply.status, reply.code) == (401, "INVALID_TOKEN")


async def test_another_users_id_on_a_session_is_rejected(app: App) -> None:
    other = app.ids["admin@acme.example"]
    claims = {**claims_of((await keys_of(app)).token), "id": other, "sub": str(other)}
    assert (await app.me(minted(app, claims))).code == "INVALID_TOKEN"


@rule("TOKEN-TIMES")
async def test_an_issue_time_in_the_future_is_rejected_beyond_a_minute(app: App) -> None:
    claims = claims_of((await keys_of(app)).token)
    for ahead, status in ((60, 200), (61, 401), (FAR, 401)):
        shifted = {**claims, "iat": claims["iat"] + ahead, "exp": claims["exp"] + ahead}
        assert (await app.me(minted(app, shifted))).status == status, ahead


@rule("TOKEN-SIZE")
@matrix("member", ["exp", "id", "sid", "client", "iss", "x"])
async def test_a_claim_given_twice_is_rejected(app: App, member: str) -> None:
    claims = {**claims_of((await keys_of(app)).token), "x": 1}
    value = json.dumps(claims[member])
    doubled = json.dumps(claims)[:-1] + f', "{member}": {value}}}'
    assert (await app.me(minted(app, doubled))).code == "INVALID_TOKEN"


@matrix(
    "payload",
    [
        "",
        "null",
        "[]",
        '"x"',
        "7",
        "{",
        "{}",
        "NaN",
        "[" * 5000,
        "\ufeff{}",
        '{"exp":1e999}',
        '{"exp":' + "9" * 400 + "}",
    ],
)
async def test_a_signed_payload_that_is_no_set_of_claims_is_rejected(app: App, payload: str) -> None:
    assert (await app.me(minted(app, payload))).code == "INVALID_TOKEN"


@rule("TOKEN-TIMES")
async def test_an_end_beyond_all_numbers_is_rejected_or_harmless(app: App) -> None:
    claims = {**claims_of((await keys_of(app)).token), "exp": 10**400}
    assert (await app.me(minted(app, claims))).status in (200, 401)
