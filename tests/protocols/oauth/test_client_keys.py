"""The public keys that a service account may have: five at most, public, each with a ``kid``, none of them weak."""

from __future__ import annotations

from typing import Any

import pytest
from joserfc.jwk import ECKey

from manifest_auth.protocols.oauth import WrongKeys, read_keys
from tests.support.client_assertions import ec_key, public_set, rsa_key

ONE = public_set(ec_key())["keys"][0]


def test_keys_are_found_by_their_kid() -> None:
    found = read_keys(public_set(ec_key(), rsa_key()))
    assert {kid: key.kind for kid, key in found.items()} == {"key-1": "P-256", "key-2": "RSA"}


@pytest.mark.parametrize(
    "document",
    [
        None, {}, {"keys": []}, {"keys": {}}, {"keys": [1]}, {"keys": [{**ONE, "kid": str(n)} for n in range(6)]},
        {"keys": [ONE, ONE]}, {"keys": [{**ONE, "kid": ""}]}, {"keys": [{k: v for k, v in ONE.items() if k != "kid"}]},
        {"keys": [{**ec_key().as_dict(private=True), "kid": "a"}]},
        {"keys": [{"kty": "oct", "k": "AAAA", "kid": "a"}]},
        {"keys": [{**ONE, "use": "enc"}]}, {"keys": [{**ONE, "alg": "ES384"}]}, {"keys": [{**ONE, "y": ONE["x"]}]},
        {"keys": [{**ECKey.generate_key("P-384").as_dict(private=False), "kid": "a"}]},
        public_set(rsa_key(1024)),
    ],
)  # fmt: skip
def test_other_sets_are_refused(document: Any) -> None:
    with pytest.raises(WrongKeys):
        read_keys(document)
