"""ES256: public keys, no algorithm confusion, and a switch that signs nobody out."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet

from tests.http.tokens.test_signing_keys import DAY, admin_pair, all_open, jwks
from tests.support.accounts import Keys, keys_of
from tests.support.application import App, running
from tests.support.forged_tokens import HEADER, b64, claims_of, hs256, key_pair, rotate, unb64
from tests.support.matrix import matrix
from tests.support.rules import rule

pytestmark = [pytest.mark.one_store, pytest.mark.settings(MANIFEST_TOKEN_ALGORITHM="HS256")]


@pytest.fixture(scope="module")
async def before(app: App) -> Keys:
    return await keys_of(app)


@pytest.fixture(scope="module")
async def modern(app: App, before: Keys, database_url: str) -> AsyncIterator[App]:
    """Another node with the same database and clock, after a switch to ES256."""
    async with running(database_url) as application:
        application.goes_by_the_clock_of(app)
        await rotate(application, "ES256")
        yield application


async def test_switching_to_es256_keeps_every_old_token_good(app: App, before: Keys, modern: App) -> None:
    keys, admin = before, await admin_pair(app)
    assert json.loads(unb64(keys.token.split(".")[0])) == {"alg": "HS256", "typ": "JWT"}
    await all_open(modern, keys, admin)
    fresh = await keys_of(modern)
    header = json.loads(unb64(fresh.token.split(".")[0]))
    assert list(header) == ["alg", "kid", "typ"]
    assert (header["alg"], header["typ"]) == ("ES256", "JWT")
    assert (await modern.me(fresh.token)).status == 200
    renewed = (await modern.refresh(keys.refresh_token)).data["token"]
    assert json.loads(unb64(renewed.split(".")[0]))["alg"] == "ES256"


async def test_nodes_before_and_after_the_switch_work_side_by_side(app: App, modern: App) -> None:
    for _ in range(2):
        one, other = await keys_of(app), await keys_of(modern)
        for node in (app, modern):
            assert (await node.me(one.token)).status == 200
            assert (await node.me(other.token)).status == 200
        assert (await app.refresh(other.refresh_token)).status == 200
        await rotate(modern)


async def test_published_keys_verify_tokens_from_outside(app: App, modern: App) -> None:
    token = (await keys_of(modern)).token
    published = await jwks(modern)
    kid = json.loads(unb64(token.split(".")[0]))["kid"]
    [key] = [k for k in published["keys"] if k["kid"] == kid]
    assert {k: key[k] for k in ("kty", "crv", "use", "alg")} == {
        "kty": "EC",
        "crv": "P-256",
        "use": "sig",
        "alg": "ES256",
    }
    assert set(key) == {"kty", "crv", "x", "y", "use", "alg", "kid"}  # but never `d`
    decoded = jwt.decode(token, KeySet.import_key_set({"keys": published["keys"]}), algorithms=["ES256"])
    assert decoded.claims["client"] == "acme"
    with pytest.raises(JoseError):
        jwt.decode(token[:-6] + "AAAAAA", KeySet.import_key_set({"keys": published["keys"]}), algorithms=["ES256"])


async def test_rotated_public_keys_stay_published_while_they_verify(app: App, modern: App) -> None:
    old = await keys_of(modern)
    await rotate(modern)
    fresh = await keys_of(modern)
    assert (await modern.me(old.token)).status == 200
    key_set = KeySet.import_key_set({"keys": (await jwks(modern))["keys"]})
    for token in (old.token, fresh.token):
        jwt.decode(token, key_set, algorithms=["ES256"])
    kid = json.loads(unb64(old.token.split(".")[0]))["kid"]
    app.clock.advance(DAY + 121)
    assert kid not in {k["kid"] for k in (await jwks(modern))["keys"]}


def public_forms(key: ECKey) -> list[bytes]:
    """The values that an attacker would try as an HMAC key."""
    public = key.public_key
    assert isinstance(public, ec.EllipticCurvePublicKey)
    info = PublicFormat.SubjectPublicKeyInfo
    member = key.as_dict(private=False)
    return [
        public.public_bytes(Encoding.PEM, info),
        public.public_bytes(Encoding.PEM, info).strip(),
        public.public_bytes(Encoding.DER, info),
        public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint),
        public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint),
        json.dumps(member).encode(),
        json.dumps(member, separators=(",", ":")).encode(),
        str(member["x"]).encode(),
        unb64(str(member["x"])),
    ]


@rule("TOKEN-ALGORITHM")
async def test_no_public_key_is_taken_for_a_secret(app: App, modern: App) -> None:
    fresh = await keys_of(modern)
    header, payload, signature = fresh.token.split(".")
    kid = json.loads(unb64(header))["kid"]
    key = key_pair(modern)
    assert isinstance(key, ECKey)
    for secret in public_forms(key):
        for head in (HEADER, f'{{"alg":"HS256","kid":"{kid}","typ":"JWT"}}', unb64(header).decode()):
            assert (await modern.me(hs256(secret, head, unb64(payload)))).code == "INVALID_TOKEN"
    for head in (HEADER, '{"alg":"none","typ":"JWT"}', f'{{"alg":"ES256","kid":"{kid}x","typ":"JWT"}}'):
        assert (await modern.me(f"{b64(head)}.{payload}.{signature}")).code == "INVALID_TOKEN"


@matrix("signature", [bytes(64), b"\xff" * 64, bytes(32), b"", bytes(63) + b"\x01"])
async def test_weak_es256_signatures_are_rejected(app: App, modern: App, signature: bytes) -> None:
    head, payload, _ = (await keys_of(modern)).token.split(".")
    assert (await modern.me(f"{head}.{payload}.{b64(signature)}")).code == "INVALID_TOKEN"


@rule("TOKEN-KEYS")
async def test_an_attackers_own_ec_key_is_rejected(app: App, modern: App) -> None:
    fresh = await keys_of(modern)
    header = json.loads(unb64(fresh.token.split(".")[0]))
    mine = ECKey.generate_key("P-256")
    for extra in ({}, {"jwk": mine.as_dict(private=False)}, {"jku": "https://evil.example/jwks.json"}):
        forged = jwt.encode({**header, **extra}, claims_of(fresh.token), mine, algorithms=["ES256"])
        assert (await modern.me(forged)).code == "INVALID_TOKEN"
