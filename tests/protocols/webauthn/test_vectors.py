"""The test vectors of WebAuthn Level 3 (section 16) are accepted, or rejected for the expected reason.

``vectors.json`` contains them as in the specification. Their RP ID is ``example.org``, and their values are random.
Some lack the user verification that is required here, and some use algorithms that aren't offered.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from webauthn.helpers import parse_attestation_object

from manifest_auth.protocols import webauthn
from manifest_auth.protocols.webauthn import Expected, Known, WebauthnRefused
from manifest_auth.text import base64url
from tests.support.matrix import matrix
from tests.support.rules import rule

VECTORS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "vectors.json").read_text())
NO_UV, FRAMED, ALGORITHM, IGNORED = "User verification is required", "crossOrigin", "Unsupported", ""
#: Name → the reasons why registration and authentication are rejected; an empty text means accepted.
DUE = {
    "none-es256": (NO_UV, NO_UV),
    "packed-self-es256": (IGNORED, NO_UV),
    "none-es256-crossOrigin": (FRAMED, FRAMED),
    "none-es256-topOrigin": (FRAMED, FRAMED),
    "none-es256-long-credential-id": (NO_UV, ""),
    "packed-es256": (IGNORED, ""),
    "packed-es384": (NO_UV, ALGORITHM),
    "packed-es512": (ALGORITHM, NO_UV),
    "packed-rs256": (IGNORED, NO_UV),
    "packed-eddsa": (NO_UV, NO_UV),
    "packed-ed448": (NO_UV, "is not supported"),
    "tpm-es256": (IGNORED, ""),
    "android-key-es256": (IGNORED, NO_UV),
    "apple-es256": (NO_UV, NO_UV),
    "fido-u2f-es256": (NO_UV, NO_UV),
}


def _expected(challenge: str) -> Expected:
    return Expected(_url(challenge), "example.org", ("https://example.org",))


def _url(hexadecimal: str) -> str:
    return base64url.encode(bytes.fromhex(hexadecimal))


def _credential(vector: dict[str, Any], part: str, *members: str) -> dict[str, Any]:
    given, identifier = vector[part], _url(vector["registration"]["credential_id"])
    response = {name: _url(given[name]) for name in ("clientDataJSON", *members)}
    return {"id": identifier, "rawId": identifier, "type": "public-key", "response": response}


def _judge(reason: str, verify: Any, *arguments: Any) -> Any:
    if not reason:
        return verify(*arguments)
    with pytest.raises(WebauthnRefused, match=reason):
        verify(*arguments)
    return None


def test_every_vector_has_a_verdict() -> None:
    assert [vector["name"] for vector in VECTORS] == list(DUE)


@rule("PASSKEY-VERIFIED")
@matrix("vector", VECTORS, ids=lambda vector: vector["name"])
def test_registration(vector: dict[str, Any]) -> None:
    given = _credential(vector, "registration", "attestationObject")
    expected = _expected(vector["registration"]["challenge"])
    made = _judge(DUE[vector["name"]][0], webauthn.verify_registration, given, expected)
    if made is not None:
        assert made.credential_id == given["id"]
        assert made.counter == 0


@rule("PASSKEY-VERIFIED")
@matrix("vector", VECTORS, ids=lambda vector: vector["name"])
def test_authentication(vector: dict[str, Any]) -> None:
    parsed = parse_attestation_object(bytes.fromhex(vector["registration"]["attestationObject"])).auth_data
    assert parsed.attested_credential_data is not None
    known = Known(parsed.attested_credential_data.credential_public_key, "", False, parsed.flags.be)
    given = _credential(vector, "authentication", "authenticatorData", "signature")
    expected = _expected(vector["authentication"]["challenge"])
    answered = _judge(DUE[vector["name"]][1], webauthn.verify_assertion, given, expected, known)
    if answered is not None:
        assert answered.counter == 0
        altered = {**given, "response": {**given["response"], "signature": _altered(given["response"]["signature"])}}
        with pytest.raises(WebauthnRefused):
            webauthn.verify_assertion(altered, expected, known)


def _altered(text: str) -> str:
    raw = bytearray(base64url.decode(text))
    raw[-1] ^= 1
    return base64url.encode(bytes(raw))
