"""An OpenID provider's keys: the valid ones, their rotation, and how often they are fetched."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from manifest_auth.protocols.oidc import OidcRefused
from manifest_auth.protocols.oidc.discovery import read_key_set
from manifest_auth.runtime import outgoing as outgoing_client
from manifest_auth.runtime.outgoing_guard import Unreachable
from tests.protocols.oidc.relying_party import NOTHING, RelyingParty
from tests.support.matrix import matrix
from tests.support.oidc_op import new_key, signed
from tests.support.rules import rule


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a hundred concurrent calls as much time as they need."""
    monkeypatch.setattr(outgoing_client, "TURN", 1.0)


def public(key: Any, **changes: Any) -> dict[str, Any]:
    """The public key as a member of a set; ``...`` removes a member."""
    members = {**key.as_dict(private=False), **changes}
    return {name: value for name, value in members.items() if value is not ...}


async def test_a_new_key_is_found_immediately(rp: RelyingParty) -> None:
    await rp.sign_in()
    rp.op.rotate()
    await rp.sign_in()
    assert rp.op.count("keys") == 2


async def test_a_new_key_of_the_same_name_is_found_immediately(rp: RelyingParty) -> None:
    rp.op.keys = [new_key("ES256", "one")]
    await rp.sign_in()
    rp.op.keys = [new_key("ES256", "one")]
    await rp.sign_in()
    assert rp.op.count("keys") == 2


async def test_unknown_keys_are_looked_for_once_a_minute(rp: RelyingParty) -> None:
    await rp.sign_in()
    foreign = new_key("ES256")
    for _ in range(5):
        await rp.refused(lambda nonce: signed(rp.header(kid="x"), rp.good(nonce), foreign, "ES256"))
    assert rp.op.count("keys") == 2
    rp.clock.advance(59)
    await rp.refused(lambda nonce: signed(rp.header(kid="x"), rp.good(nonce), foreign, "ES256"))
    assert rp.op.count("keys") == 2
    rp.clock.advance(1)
    await rp.refused(lambda nonce: signed(rp.header(kid="x"), rp.good(nonce), foreign, "ES256"))
    assert rp.op.count("keys") == 3
    await rp.sign_in()
    assert rp.op.count("keys") == 3


@rule("JWKS-CACHE")
@pytest.mark.usefixtures("patience")
async def test_a_hundred_unknown_keys_at_the_same_time_are_one_fetch(rp: RelyingParty) -> None:
    await rp.sign_in()
    answers = [await rp.begin() for _ in range(100)]
    foreign = new_key("ES256")
    rp.op.id_token = signed(rp.header(kid="x"), rp.good("n"), foreign, "ES256")
    outcomes = await asyncio.gather(*(rp.redeem(answer, NOTHING) for answer in answers), return_exceptions=True)
    assert all(isinstance(outcome, OidcRefused) for outcome in outcomes)
    assert rp.op.count("keys") == 2


@pytest.mark.usefixtures("patience")
async def test_a_hundred_first_sign_ins_at_the_same_time_are_one_fetch_of_everything(rp: RelyingParty) -> None:
    rp.op.delay = {"discovery": 0.05, "keys": 0.05}
    await asyncio.gather(*(rp.sign_in() for _ in range(100)))
    assert (rp.op.count("discovery"), rp.op.count("keys")) == (1, 1)


@rule("JWKS-CACHE")
async def test_a_key_that_was_revoked_verifies_for_an_hour_at_most(rp: RelyingParty) -> None:
    await rp.sign_in()
    old = rp.op.key
    rp.op.rotate()
    rp.clock.advance(3599)
    assert await rp.shown(lambda nonce: signed({"alg": "ES256", "kid": old.kid}, rp.good(nonce), old, "ES256"))
    rp.clock.advance(1)
    reason = await rp.refused(lambda nonce: signed({"alg": "ES256", "kid": old.kid}, rp.good(nonce), old, "ES256"))
    assert "isn't one of" in reason


@rule("JWKS-CACHE")
async def test_keys_that_are_too_old_and_cannot_be_fetched_verify_nothing(rp: RelyingParty) -> None:
    await rp.sign_in()
    rp.clock.advance(3600)
    rp.op.published = {"error": "down"}
    with pytest.raises(Unreachable):
        await rp.sign_in()


async def test_an_unknown_key_whose_set_cannot_be_fetched_is_the_providers_fault(rp: RelyingParty) -> None:
    await rp.sign_in()
    rp.op.rotate()
    rp.op.published = []
    with pytest.raises(Unreachable, match="not a list of keys"):
        await rp.sign_in()
    rp.op.published = None
    await rp.sign_in()  # a failure doesn't start the minute


@matrix("kid", ["", None])
async def test_without_a_kid_every_fitting_key_is_tried(rp: RelyingParty, kid: str | None) -> None:
    rp.op.keys = [new_key("RS256", kid), *(new_key("ES256", kid) for _ in range(8)), new_key("ES384", kid)]
    key = rp.op.keys[5]
    assert await rp.shown(lambda nonce: signed({"alg": "ES256"}, rp.good(nonce), key, "ES256"))


async def test_without_a_kid_only_so_many_are_tried(rp: RelyingParty) -> None:
    rp.op.keys = [new_key("ES256") for _ in range(30)]
    key = rp.op.keys[-1]
    reason = await rp.refused(lambda nonce: signed({"alg": "ES256"}, rp.good(nonce), key, "ES256"))
    assert reason == "ID token: signature"


async def test_a_key_without_a_name_is_tried_for_a_token_with_one(rp: RelyingParty) -> None:
    """RFC 7517, section 4.5, allows keys without names. A key with the name is tried first."""
    rp.op.keys = [new_key("ES256", ""), new_key("ES256", "")]
    token = {"alg": "ES256", "kid": "named"}
    assert await rp.shown(lambda nonce: signed(token, rp.good(nonce), rp.op.keys[0], "ES256"))
    rp.op.keys.append(new_key("ES256", "named"))
    rp.clock.advance(3600)
    assert await rp.shown(lambda nonce: signed(token, rp.good(nonce), rp.op.keys[2], "ES256"))
    reason = await rp.refused(lambda nonce: signed(token, rp.good(nonce), rp.op.keys[0], "ES256"))
    assert reason == "ID token: signature"


async def test_a_kid_that_two_keys_share_is_told_apart_by_algorithm(rp: RelyingParty) -> None:
    rp.op.keys = [new_key("RS256", "one"), new_key("ES384", "one"), new_key("ES256", "one")]
    await rp.sign_in()


@matrix(
    "changes",
    [
        {"use": ...},
        {"alg": ...},
        {"use": ..., "key_ops": ["verify"]},
        {"x5c": ["x"], "x5t": 1},
        {"ext": True, "d": "AA"},
    ],
)
async def test_a_key_can_say_less_or_more_than_it_must(rp: RelyingParty, changes: dict[str, Any]) -> None:
    key = rp.op.key
    unknown = [{"kty": "AKP", "kid": "pq", "pub": "x"}, {"kty": "oct", "k": "c2VjcmV0"}, {"kid": "nothing"}, 17, None]
    rp.op.published = {"keys": [*unknown, public(key, **changes)], "more": 1}
    await rp.sign_in()


@matrix(
    "changes",
    [
        {"use": "enc"},
        {"use": None},
        {"key_ops": ["encrypt"]},
        {"key_ops": "verify"},
        {"alg": "ES384"},
        {"alg": "ECDH-ES"},
        {"kty": "RSA"},
        {"kty": ["EC"]},
        {"crv": "P-384"},
        {"crv": "secp256k1"},
        {"crv": ["P-256"]},
        {"x": ...},
        {"y": "AAAA"},
        {"y": "%%%"},
        {"x": 1},
    ],
)
async def test_a_key_for_something_else_or_nothing_is_not_used(rp: RelyingParty, changes: dict[str, Any]) -> None:
    rp.op.published = {"keys": [public(rp.op.key, **changes)]}
    assert "isn't one of" in (await rp.refusal()).reason.text


@pytest.mark.filterwarnings("ignore:Key size should be")
async def test_a_weak_rsa_key_is_not_used(rp: RelyingParty) -> None:
    rp.op.alg = "RS256"
    rp.op.keys = [new_key("RS256", size=1024)]
    assert "isn't one of" in (await rp.refusal()).reason.text


async def test_an_rsa_key_without_end_is_not_used(rp: RelyingParty) -> None:
    rp.op.alg = "RS256"
    rp.op.published = {"keys": [public(rp.op.key, n="_" * 100_000)]}
    assert "isn't one of" in (await rp.refusal()).reason.text


@matrix(("marked", "used"), [("EdDSA", "Ed25519"), ("Ed25519", "EdDSA"), ("EdDSA", "EdDSA")])
async def test_both_names_of_eddsa_mean_the_same_key(rp: RelyingParty, marked: str, used: str) -> None:
    rp.op.alg = used
    rp.op.keys = [new_key(used)]
    rp.op.published = {"keys": [public(rp.op.keys[0], alg=marked)]}
    await rp.sign_in()


@matrix("published", [[], {}, {"keys": {}}, {"keys": None}, "x"])
async def test_a_document_that_is_no_set_is_the_providers_fault(rp: RelyingParty, published: Any) -> None:
    rp.op.published = published
    with pytest.raises(Unreachable):
        await rp.sign_in()


def test_of_a_set_without_end_the_first_hundred_count() -> None:
    one = public(new_key("ES256"))
    assert len(read_key_set({"keys": [one] * 5000})) == 100
