"""Power Apps: forged and altered tokens, and texts that aren't tokens."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from joserfc.jwk import ECKey
from joserfc.jws import JWSRegistry

from tests.interop.microsoft import tokens
from tests.interop.microsoft.microsoft_setup import MicrosoftSetup
from tests.interop.microsoft.people import OUR_URI
from tests.support.application import App
from tests.support.matrix import matrix
from tests.support.oidc_socket import Answer
from tests.support.people import users_of
from tests.support.rules import rule

pytestmark = pytest.mark.one_store

KINDS = matrix("kind", ["graph", "api", "api-v1"])


@KINDS
@matrix("algorithm", ["none", "None", "NONE", "HS256", "", "RS255"])
async def test_another_algorithm(setup: MicrosoftSetup, kind: str, algorithm: str) -> None:
    """With ``HS256``, the directory's public key, which everybody has, would be used as a secret."""
    await setup.entra_of_ours()
    for kid in (tokens.kid(setup.microsoft.named("contoso").id), None):
        token = setup.microsoft.mint(kind, header={"alg": algorithm, "kid": kid})
        await setup.refused(token)
        await setup.refused(f"{token.rpartition('.')[0]}.")
        await setup.refused(f"{token.rpartition('.')[0]}.AAAA")


@KINDS
@matrix("header", [{"alg": None}, {"alg": 7}, {"alg": ["RS256"]}, {"alg": "RS384"}, {"alg": "PS256"}])
async def test_an_algorithm_that_is_not_what_signed(setup: MicrosoftSetup, kind: str, header: dict[str, Any]) -> None:
    await setup.entra_of_ours()
    await setup.refused(setup.microsoft.mint(kind, header=header))


@KINDS
async def test_a_key_of_the_forgers_own(setup: MicrosoftSetup, kind: str) -> None:
    """Keys in the header are never used."""
    await setup.entra_of_ours()
    key = ECKey.generate_key("P-256")
    public = key.as_dict(private=False)
    for extra in ({}, {"jwk": public}, {"jku": "https://evil.example/keys"}, {"x5u": "https://evil.example/cert"}):
        header, payload = tokens.parts(setup.microsoft.mint(kind))
        text = f"{tokens.coded({**header, 'alg': 'ES256', **extra})}.{tokens.coded(payload)}"
        signature = JWSRegistry.algorithms["ES256"].sign(text.encode(), key)
        await setup.refused(f"{text}.{tokens.b64(signature)}")


@rule("MICROSOFT-DIRECTORY")
@KINDS
async def test_another_directorys_key(setup: MicrosoftSetup, kind: str) -> None:
    """The key document contains it too, but its issuer names the directory that it signs for."""
    await setup.entra_of_ours()
    await setup.refused(setup.microsoft.mint(kind, key_of="fabrikam"))
    await setup.refused(setup.microsoft.mint(kind, key_of="consumers"))
    fabrikam = tokens.kid(setup.microsoft.named("fabrikam").id)
    await setup.refused(setup.microsoft.mint(kind, header={"kid": fabrikam}))
    await setup.refused(setup.microsoft.mint(kind, key_of="fabrikam", header={"kid": None}))


@rule("MICROSOFT-AUDIENCE")
@KINDS
async def test_a_claim_changed_under_the_old_signature(setup: MicrosoftSetup, kind: str) -> None:
    provider = await setup.entra_of_ours()
    token = setup.microsoft.mint(kind, user="bob")
    alice = setup.microsoft.named("contoso").people["alice"].oid
    for claims in ({"oid": alice}, {"exp": 1_900_000_000}, {"groups": ["admins"]}):
        await setup.refused(tokens.tampered(token, **claims))
    for part in range(3):
        pieces = token.split(".")
        pieces[part] = ("B" if pieces[part][0] == "A" else "A") + pieces[part][1:]
        await setup.refused(".".join(pieces))
    assert await users_of(setup.app, provider.client) == {}


@rule("MICROSOFT-AUDIENCE")
async def test_a_token_for_us_that_claims_to_be_for_graph_and_the_reverse(setup: MicrosoftSetup) -> None:
    """Each kind has its own verification, and the other's rejects it."""
    await setup.entra_of_ours(entra={"appIdUri": OUR_URI})
    graph, api = setup.microsoft.mint("graph"), setup.microsoft.mint("api-v1")
    await setup.refused(tokens.tampered(graph, aud=OUR_URI))
    await setup.refused(tokens.tampered(api, aud="https://graph.microsoft.com"))
    # Because of the header's nonce, the signature is valid only for Graph, whatever the audience.
    await setup.refused(setup.microsoft.mint("graph", claims={"aud": OUR_URI}))


@rule("MICROSOFT-AUDIENCE")
@KINDS
async def test_one_token_has_one_text(setup: MicrosoftSetup, kind: str) -> None:
    """Graph parses leniently, so we must reject alternative spellings, which would be cached separately."""
    await setup.entra_of_ours()
    token = setup.microsoft.mint(kind)
    header, payload, signature = token.split(".")
    for other in (
        tokens.with_spare_bits(token),
        f"{token}=",
        f"{token}==",
        f"{header}=.{payload}.{signature}",
        f"{header}.{payload}=.{signature}",
        f"{header}.{payload}.{signature} x",
        f"{header}.{payload}.{signature}\t",
        f"{header}.{payload[:20]} {payload[20:]}.{signature}",
        token.replace("-", "+", 1) if "-" in token else token.replace("_", "/", 1),
    ):
        await setup.refused(other)
    await setup.me(token)


@matrix("count", [1, 2, 4, 5])
async def test_not_three_parts(setup: MicrosoftSetup, count: int) -> None:
    await setup.entra_of_ours()
    parts = [*setup.microsoft.mint("graph").split("."), "AAAA", "AAAA"][:count]
    await setup.refused(".".join(parts))


def _encoded(text: str | bytes) -> str:
    return base64.urlsafe_b64encode(text.encode() if isinstance(text, str) else text).rstrip(b"=").decode()


@matrix(
    "text",
    [
        "", "[]", "7", "null", '"iss"', "{", "{}}", '{"iss":', "NaN", '{"exp": NaN}', '{"exp": 1e999}', "[" * 10_000,
        '{"a":' * 40 + "1" + "}" * 40, '{"iss": "\\ud800"}', b"\xff\xfe{}", b'{"iss": "\x80"}', "{'iss': 1}",
    ],
)  # fmt: skip
async def test_a_payload_or_header_that_is_no_json_object(setup: MicrosoftSetup, text: str | bytes) -> None:
    await setup.entra_of_ours()
    header, payload, signature = setup.microsoft.mint("graph").split(".")
    if text:
        await setup.refused(f"{header}.{_encoded(text)}.{signature}")
    if text not in ("[]", "{}"):
        await setup.refused(f"{_encoded(text)}.{payload}.{signature}")


@KINDS
async def test_a_claim_given_twice(setup: MicrosoftSetup, kind: str) -> None:
    """Two parsers could read different people; the test directory signs it, and Graph accepts it."""
    await setup.entra_of_ours()
    header, payload = tokens.parts(setup.microsoft.mint(kind))
    directory = setup.microsoft.named("contoso")
    usual = json.dumps(payload)[:-1]
    for name, value in (("oid", directory.people["bob"].oid), ("oid", payload["oid"]), ("tid", "x"), ("iss", "x")):
        twice = tokens.b64(f'{usual}, "{name}": "{value}"}}'.encode())
        await setup.refused(tokens.signed(header, twice, directory.id))


async def test_a_token_that_is_longer_than_any(setup: MicrosoftSetup) -> None:
    await setup.entra_of_ours()
    long = setup.microsoft.mint("api", claims={"groups": [f"{number:036}" for number in range(200)]})
    assert 8192 < len(long) < 16 * 1024
    await setup.me(long)
    await setup.refused(setup.microsoft.mint("api", claims={"groups": ["x" * 12_000]}))


@matrix("header", [{"crit": ["exp"]}, {"b64": False}, {"typ": "logout+jwt"}, {"kid": 7}, {"zip": 1}])
async def test_a_header_that_asks_for_something_else(setup: MicrosoftSetup, header: dict[str, Any]) -> None:
    await setup.entra_of_ours()
    token = setup.microsoft.mint("api", header=header)
    if "zip" in header:  # unknown members without effect are ignored (RFC 7515, section 4)
        await setup.me(token)
    else:
        await setup.refused(token)


@rule("JWKS-CACHE")
async def test_keys_are_the_configured_clouds_and_fetched_again_for_an_unknown_one(setup: MicrosoftSetup) -> None:
    provider = await setup.entra_of_ours()
    directory = setup.microsoft.named("contoso").id
    shared = tokens.published(tokens.SHARED, f"{tokens.ISSUER}/{{tenantid}}/v2.0")
    setup.app.clock.advance(3600)  # all cached results have expired
    setup.microsoft.answers["keys"] = Answer.json({"keys": [shared]})
    await setup.me(setup.microsoft.mint("api", key_of="shared"))
    own = setup.microsoft.mint("api")
    await setup.refused(own)
    assert setup.microsoft.count("keys") == 2
    del setup.microsoft.answers["keys"]
    await setup.refused(own)  # at most once a minute, because anybody can send unknown keys
    assert setup.microsoft.count("keys") == 2
    setup.app.clock.advance(61)
    assert (await setup.me(own))["client"]["identifier"] == provider.client
    assert setup.microsoft.count("keys") == 3
    assert {asked.path for asked in setup.microsoft.asked} == {f"/{directory}/discovery/v2.0/keys"}


async def test_no_token_of_microsofts_at_all(setup: MicrosoftSetup) -> None:
    app: App = setup.app
    await setup.entra_of_ours()
    for text in ("x", "x.y.z", "....", "e30.e30.e30", "e30.e30.", "a" * 20_000):
        await setup.refused(text)
    assert (await app.me((await app.sign_in()).data["token"])).status == 200
