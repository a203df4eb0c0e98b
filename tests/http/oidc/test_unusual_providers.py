"""OpenID Connect providers with unusual but valid behavior work."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.accounts import new_client
from tests.support.application import App
from tests.support.matrix import matrix
from tests.support.oidc_op import Op, b64, new_key, signed
from tests.support.oidc_socket import Answer
from tests.support.rules import rule
from tests.support.single_sign_on import Browser, add_oidc, begun, check_no_one_got_in, failures

ADA = {"given_name": "Ada", "family_name": "Lovelace", "groups": ["ops"]}
pytestmark = [pytest.mark.usefixtures("another_day"), pytest.mark.one_store]


async def signed_in(app: App, op: Op, oidc: dict[str, Any] | None = None, **members: Any) -> dict[str, Any]:
    """The user that the provider's person becomes, at a separate client."""
    client = await new_client(app)
    await add_oidc(app, op, client, oidc, **members)
    return await again(app, op, client)


async def again(app: App, op: Op, client: str) -> dict[str, Any]:
    browser, address = await begun(app, op, client)
    ended = await browser.send("GET", address)
    assert ended.status == 302, f"{ended.text} {await failures(app, client)}"
    me: dict[str, Any] = (await browser.me()).data
    return me


@matrix("ending", ["/", "/realms/acme", "/realms/acme/", "/oauth2/default", "/tenant%20one/v2.0"])
async def test_an_issuer_with_a_path_or_a_slash_at_its_end(app: App, op: Op, ending: str) -> None:
    op.issuer = op.base + ending
    await signed_in(app, op)


async def test_an_issuer_that_is_configured_without_its_slash_is_another(app: App, op: Op) -> None:
    client = await new_client(app)
    await add_oidc(app, op, client, {"issuer": f"{op.base}/"})
    reply = await Browser(app).start("oidc", client=client)
    assert "ontact your administrator" in check_no_one_got_in(reply)
    assert (await failures(app, client))[-1]["why"].startswith("discovery: the issuer is")


@rule("OIDC-ID-TOKEN")
@matrix(
    "claims",
    [
        {"aud": ["manifest"]},
        {"aud": ["manifest"], "azp": "manifest"},
        {"azp": "manifest"},
        {"auth_time": 1_800_000_000.123},
        {"auth_time": "yesterday"},
        {"iat": 1_800_000_000.5},
        {"at_hash": None},
        {"email_verified": None},
        {"email_verified": "true"},
        {
            "acr": "urn:mace:incommon:iap:silver",
            "amr": ["pwd", "otp"],
            "sid": "x",
            "client_id": "manifest",
            "c_hash": 7,
        },
        {"https://acme.example/claims": {"nested": [1, 2, {"deep": None}]}},
        {"sub": "Аda Ловелас 💎"},
        {"sub": "a" * 255},
        {"sub": "ADA@ACME.EXAMPLE"},
        {"sub": "' OR 1=1 --"},
        {"name": "Ada\u0000 Lovelace\r\n", "given_name": None},
        {"given_name": 7, "family_name": ["x"], "name": None},
        {"groups": "ops"},
        {"groups": None},
        {"groups": {"a": 1}},
        {"groups": ["ops", 7, None, ["x"]]},
    ],
)
async def test_claims_that_are_odd_and_legal(app: App, op: Op, claims: dict[str, Any]) -> None:
    op.user |= ADA
    op.claims |= claims
    await signed_in(app, op)


@matrix("seconds", [-59, 59])
async def test_a_clock_that_is_off_by_less_than_a_minute(app: App, op: Op, seconds: int) -> None:
    now = app.clock.now_ms() // 1000
    op.claims |= {"iat": now + seconds, "exp": now + (seconds if seconds < 0 else 300), "nbf": now + max(seconds, 0)}
    await signed_in(app, op)


@matrix("header", [{"typ": None}, {"typ": "jwt"}, {"kid": None}, {"x5t": "x", "jku": "https://e.x/"}])
async def test_headers_that_are_odd_and_legal(app: App, op: Op, header: dict[str, Any]) -> None:
    op.header |= header
    await signed_in(app, op)


@matrix("alg", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"])
async def test_every_algorithm_that_the_provider_announces_but_none_and_hmac(app: App, op: Op, alg: str) -> None:
    op.alg = alg
    await signed_in(app, op)


async def test_an_algorithm_that_it_does_not_announce_is_rejected(app: App, op: Op) -> None:
    client = await new_client(app)
    await add_oidc(app, op, client)
    op.announced["id_token_signing_alg_values_supported"] = ["RS256"]
    op.alg = "ES256"
    browser, address = await begun(app, op, client)
    check_no_one_got_in(await browser.send("GET", address))
    assert "ES256" in (await failures(app, client))[-1]["why"]


async def test_keys_that_change_between_two_sign_ins(app: App, op: Op) -> None:
    client = await new_client(app)
    await add_oidc(app, op, client)
    first = await again(app, op, client)
    for keep in (True, False, False):
        app.clock.advance(61)
        op.rotate(keep=keep)
        assert (await again(app, op, client))["user"]["id"] == first["user"]["id"]
    asked = op.count("keys")
    await again(app, op, client)
    assert op.count("keys") == asked


async def test_a_key_that_was_revoked_verifies_nothing_after_an_hour(app: App, op: Op) -> None:
    client = await new_client(app)
    await add_oidc(app, op, client)
    await again(app, op, client)
    op.published = {"keys": []}
    app.clock.advance(3601)
    browser, address = await begun(app, op, client)
    check_no_one_got_in(await browser.send("GET", address))


async def test_callers_with_unknown_keys_cannot_make_us_fetch_again_and_again(app: App, op: Op) -> None:
    client = await new_client(app)
    await add_oidc(app, op, client)
    await again(app, op, client)
    asked = op.count("keys")
    op.header["kid"] = "unknown"
    for _ in range(5):
        browser, address = await begun(app, op, client)
        check_no_one_got_in(await browser.send("GET", address))
    assert op.count("keys") == asked + 1


async def test_name_address_and_groups_from_userinfo_alone(app: App, op: Op) -> None:
    op.user |= ADA
    op.only_in_userinfo = set(op.user) - {"sub"}
    line = {"group": "ops", "roles": ["Operator"]}
    me = await signed_in(app, op, defaultRoles=[], groupRoles=[line])
    assert (me["user"]["email"], me["user"]["firstName"], me["user"]["lastName"]) == (
        "ada@acme.example", "Ada", "Lovelace",
    )  # fmt: skip
    assert me["roles"] == ["Operator"]


async def test_groups_alone_from_userinfo(app: App, op: Op) -> None:
    op.user |= ADA
    op.only_in_userinfo = {"groups"}
    me = await signed_in(app, op, defaultRoles=[], groupRoles=[{"group": "ops", "roles": ["Operator"]}])
    assert me["roles"] == ["Operator"]


async def test_a_group_claim_of_another_name(app: App, op: Op) -> None:
    op.user["https://acme.example/roles"] = ["ops"]
    line = {"group": "ops", "roles": ["Operator"]}
    me = await signed_in(app, op, {"groupClaim": "https://acme.example/roles"}, defaultRoles=[], groupRoles=[line])
    assert me["roles"] == ["Operator"]


async def test_userinfo_as_a_signed_jwt(app: App, op: Op) -> None:
    op.alg, op.only_in_userinfo = "ES256", {"email", "email_verified"}
    claims = {"iss": op.issuer, "aud": [op.client_id], "sub": op.user["sub"], "email": "jwt@acme.example"}
    text = signed({"alg": "ES256", "kid": op.key.kid}, claims, op.key, "ES256")
    op.answers["userinfo"] = Answer(200, {"Content-Type": "application/jwt"}, text.encode())
    assert (await signed_in(app, op))["user"]["email"] == "jwt@acme.example"


@matrix("kid", [None, "of-no-key"])
async def test_several_keys_without_names(app: App, op: Op, kid: str | None) -> None:
    op.alg, op.keys = "ES256", [new_key("ES256", "") for _ in range(3)]
    op.header["kid"] = kid
    await signed_in(app, op)


@matrix("alg", ["RS512", "EdDSA"])
async def test_everything_odd_at_the_same_time(app: App, op: Op, alg: str) -> None:
    op.alg, op.issuer, op.without_iss = alg, f"{op.base}/", True
    op.user, op.only_in_userinfo = {"sub": "Ada|1", "email": "ada@acme.example"}, {"email"}
    op.claims |= {"aud": [op.client_id], "auth_time": 1_800_000_000.25, "at_hash": None}
    op.header |= {"kid": None, "typ": None}
    assert (await signed_in(app, op))["user"]["email"] == "ada@acme.example"


async def test_a_provider_without_userinfo(app: App, op: Op) -> None:
    op.without_userinfo = True
    await signed_in(app, op)


async def test_discovery_that_says_as_little_as_it_can(app: App, op: Op) -> None:
    for name in (
        *("token_endpoint_auth_methods_supported", "code_challenge_methods_supported", "userinfo_endpoint"),
        *("id_token_signing_alg_values_supported", "authorization_response_iss_parameter_supported"),
    ):
        op.announced[name] = None
    await signed_in(app, op)


@matrix("method", ["basic", "post"])
@matrix("setting", ["auto", "basic", "post"])
async def test_each_way_to_send_the_secret(app: App, op: Op, method: str, setting: str) -> None:
    op.methods = (f"client_secret_{method}",)
    if setting == method:
        op.announced["token_endpoint_auth_methods_supported"] = None
    if setting in ("auto", method):
        await signed_in(app, op, {"clientAuthentication": setting})
    else:
        with pytest.raises(AssertionError, match="invalid_client"):
            await signed_in(app, op, {"clientAuthentication": setting})


async def test_a_client_without_a_secret(app: App, op: Op) -> None:
    op.client_secret, op.methods = None, ()
    await signed_in(app, op)


async def test_a_client_id_and_secret_full_of_odd_characters(app: App, op: Op) -> None:
    op.client_id, op.client_secret = "urn:acme:client/1?a=b&c+d %41é", "p:w%2F+& =é"
    await signed_in(app, op)


@matrix("token", [{"token_type": "bearer"}, {"token_type": "BEARER"}, {"expires_in": None, "scope": ""}])
async def test_token_answers_that_are_odd_and_legal(app: App, op: Op, token: dict[str, Any]) -> None:
    op.token |= {"refresh_token": "never stored", **token}
    await signed_in(app, op)


async def test_answers_with_a_byte_order_mark_and_an_odd_type(app: App, op: Op) -> None:
    body = b"\xef\xbb\xbf" + op._keys(None).body  # type: ignore[arg-type]  # no one asks
    op.answers["keys"] = Answer(200, {"Content-Type": "application/jwk-set+json; charset=utf-8"}, body)
    await signed_in(app, op)


@matrix(
    "entry",
    [
        {"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "short"},
        {"kty": "oct", "k": b64(b"secret"), "kid": "hmac"},
        {"kty": "AKP", "alg": "ML-DSA-44", "pub": "x"},
        {"kty": "EC", "crv": "secp256k1", "x": "x", "y": "y"},
        "no object",
        {},
    ],
)
async def test_keys_that_we_cannot_use_beside_those_that_we_can(app: App, op: Op, entry: Any) -> None:
    op.published = {"keys": [entry, op.key.as_dict(private=False), entry], "and": "more"}
    await signed_in(app, op)


@matrix("email", ["Ada.Lovelace@ACME.example", "a+b_c-d@acme.example", "ädä@bücher.example"])
async def test_addresses_as_people_have_them(app: App, op: Op, email: str) -> None:
    op.user["email"] = email
    assert (await signed_in(app, op))["user"]["email"] == email
