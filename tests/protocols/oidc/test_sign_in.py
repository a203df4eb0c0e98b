"""A whole OpenID sign-in, and the valid variations among real providers."""

from __future__ import annotations

import warnings
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest

from manifest_auth.protocols import oidc
from manifest_auth.protocols.oidc import Answer, Authorization
from manifest_auth.protocols.oidc.discovery import ALGORITHMS
from tests.protocols.oidc.relying_party import CALLBACK, EMAIL, VERIFIER, RelyingParty
from tests.support.matrix import matrix
from tests.support.oidc_op import new_key
from tests.support.rules import rule


async def test_a_code_becomes_verified_claims(rp: RelyingParty) -> None:
    claims = await rp.sign_in()
    assert (claims["iss"], claims["sub"]) == (rp.op.issuer, "subject-1")
    assert claims["email"] == "ada@acme.example"
    assert [asked.endpoint for asked in rp.op.asked] == ["discovery", "token", "keys"]


async def test_what_was_published_is_fetched_once(rp: RelyingParty) -> None:
    for _ in range(5):
        await rp.sign_in()
    assert (rp.op.count("discovery"), rp.op.count("keys"), rp.op.count("token")) == (1, 1, 5)


@rule("OIDC-FLOW")
async def test_the_authorization_request_asks_for_a_code_with_pkce(rp: RelyingParty) -> None:
    found = await rp.discover(rp.op.issuer)
    asked = Authorization("st&te", "non ce", "chal", CALLBACK, "ada+x@acme.example", "login")
    address = oidc.request_address(found, rp.registration(scopes=("email", "openid")), asked)
    assert address.startswith(f"{rp.op.base}/authorize?")
    assert "+" not in address
    assert dict(parse_qsl(urlsplit(address).query)) == {
        "response_type": "code",
        "client_id": "manifest",
        "redirect_uri": CALLBACK,
        "scope": "openid email",
        "state": "st&te",
        "nonce": "non ce",
        "code_challenge": "chal",
        "code_challenge_method": "S256",
        "login_hint": "ada+x@acme.example",
        "prompt": "login",
    }


async def test_a_query_of_the_endpoint_is_kept_and_what_is_not_asked_is_not_sent(rp: RelyingParty) -> None:
    rp.op.announced["authorization_endpoint"] = f"{rp.op.base}/authorize?tenant=a%26b"
    found = await rp.discover(rp.op.issuer)
    address = oidc.request_address(found, rp.registration(scopes=()), Authorization("s", "n", "c", CALLBACK))
    query = parse_qs(urlsplit(address).query)
    assert (query["tenant"], query["scope"]) == (["a&b"], ["openid"])
    assert {"prompt", "login_hint", "response_mode"} & query.keys() == set()


@matrix("alg", ALGORITHMS)
async def test_every_asymmetric_algorithm_is_verified_with_its_at_hash(rp: RelyingParty, alg: str) -> None:
    rp.op.alg = alg
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (await rp.sign_in())["at_hash"]


async def test_eddsa_can_be_ed448(rp: RelyingParty) -> None:
    rp.op.alg = "EdDSA"
    rp.op.keys = [new_key("EdDSA", curve="Ed448")]
    assert (await rp.sign_in())["at_hash"]


@matrix("suffix", ["/", "/realms/acme", "/oauth2/default/", "/a/b"])
async def test_an_issuer_might_have_a_path_and_end_in_a_slash(rp: RelyingParty, suffix: str) -> None:
    rp.op.issuer += suffix
    assert (await rp.sign_in())["iss"] == rp.op.base + suffix


async def test_a_provider_can_leave_iss_out_of_its_redirect(rp: RelyingParty) -> None:
    rp.op.without_iss = True
    await rp.sign_in()


async def test_a_provider_can_send_iss_without_announcing_it(rp: RelyingParty) -> None:
    rp.op.announced["authorization_response_iss_parameter_supported"] = None
    await rp.sign_in()


LEGAL = {
    "audience as a list": {"aud": ["manifest"]},
    "our audience twice": {"aud": ["manifest", "manifest"], "azp": "manifest"},
    "one audience with azp": {"azp": "manifest"},
    "auth_time with a fraction": {"auth_time": 1_799_999_990.25},
    "times with fractions": {"iat": 1_799_999_999.5, "exp": 1_800_000_300.75, "nbf": 1_799_999_999.5},
    "not before now": {"nbf": 1_800_000_000},
    "expired within the skew": {"exp": 1_799_999_941},
    "issued in the future within the skew": {"iat": 1_800_000_060, "nbf": 1_800_000_060},
    "claims that were not asked for": {"acr": "1", "sid": "s", "client_id": "manifest", "c_hash": "x", "amr": ["pwd"]},
    "a subject in another script": {"sub": "Ἀγάπη-東京-🗝"},
    "a subject of the greatest length": {"sub": "ü" * 255},
    "claims without a value": {"email": None, "name": None},
    "no email_verified": {"email": "a@b.example"},
}


@matrix("claims", LEGAL.values(), ids=LEGAL.keys())
async def test_what_the_standard_allows_is_accepted(rp: RelyingParty, claims: dict[str, object]) -> None:
    found = await rp.shown_claims(**claims)
    assert {name: found.get(name) for name in claims} == claims


HEADERS = {
    "no type": {},
    "type in small letters": {"typ": "jwt"},
    "type as a media type": {"typ": "application/JWT"},
    "a long certificate chain": {"x5c": ["M" * 3000]},
    "unknown members": {"x-vendor": {"a": [1]}},
}


@matrix("header", HEADERS.values(), ids=HEADERS.keys())
async def test_odd_headers_are_accepted(rp: RelyingParty, header: dict[str, object]) -> None:
    assert await rp.shown(lambda nonce: rp.token(rp.good(nonce), rp.header(**header)))


async def test_a_token_type_in_any_case_is_accepted(rp: RelyingParty) -> None:
    for kind in ("bearer", "BEARER"):
        rp.op.token["token_type"] = kind
        await rp.sign_in()


@rule("OIDC-CODE")
async def test_a_code_is_good_once_and_for_its_own_verifier(rp: RelyingParty) -> None:
    answer = await rp.begin()
    with pytest.raises(Exception, match="invalid_grant"):
        await rp.redeem(answer._replace(verifier=VERIFIER + "x"), EMAIL)
    answer = await rp.begin()
    await rp.redeem(answer, EMAIL)
    with pytest.raises(Exception, match="invalid_grant"):
        await rp.redeem(answer, EMAIL)


@rule("NO-TOKEN-IN-ADDRESS")
def test_secrets_do_not_show_in_a_log(rp: RelyingParty) -> None:
    text = repr(rp.registration()) + repr(Answer("the-code", "the-verifier", "the-nonce", CALLBACK))
    for secret in (str(rp.op.client_secret), "the-code", "the-verifier", "the-nonce"):
        assert secret not in text
