"""Assertions of ``private_key_jwt``: three algorithms are accepted, and each invalid one is ``invalid_client``."""

from __future__ import annotations

import json

import pytest

from manifest_auth.protocols.oauth import InvalidClient, account_of, error_of, read_assertion, read_keys, verify
from tests.support.client_assertions import BROKEN, Maker, ec_key, public_set, rsa_key
from tests.support.matrix import matrix
from tests.support.rules import rule

ISSUER, NOW = "https://auth.example", 1_800_000_000
MAKER = Maker("svc_7", ISSUER, NOW, ec_key())


def judged(text: str, maker: Maker = MAKER, client_id: str = "") -> tuple[int, str]:
    found = read_assertion(text, client_id, ISSUER, NOW * 1000)
    verify(found, read_keys(json.dumps(public_set(maker.key))))
    return account_of(found.client_id) or 0, found.jti


@matrix("algorithm", ["ES256", "PS256", "RS256"])
def test_an_assertion_of_the_account_is_accepted(algorithm: str) -> None:
    maker = MAKER._replace(algorithm=algorithm, key=ec_key() if algorithm == "ES256" else rsa_key())
    assert judged(maker.right(jti="one"), maker, "svc_7") == (7, "one")


@matrix("kind", ["JWT", "jwt", "client-authentication+jwt"])
def test_its_type_can_be_named(kind: str) -> None:
    assert judged(MAKER.sign(MAKER.claims(), MAKER.header(typ=kind)))[0] == 7


@matrix("exp", [NOW + 1, NOW + 300, NOW + 60.5])
def test_it_ends_within_five_minutes(exp: float) -> None:
    assert judged(MAKER.right(exp=exp))[0] == 7


@rule("OAUTH-ASSERTION")
@matrix("what", BROKEN)
def test_a_broken_assertion_is_rejected(what: str) -> None:
    with pytest.raises(InvalidClient) as refused:
        judged(BROKEN[what](MAKER))
    assert error_of(refused.value) == "invalid_client"
    assert refused.value.message == "Client authentication failed"


def test_there_are_enough_broken_ones() -> None:
    assert len(BROKEN) >= 20


def test_the_request_must_not_name_another_client() -> None:
    with pytest.raises(InvalidClient):
        judged(MAKER.right(), client_id="svc_8")
