"""Key pairs for ES256 (RFC 7518, section 3.4): made, published, and used to sign and to verify.

``raw`` is a private key as a JWK in JSON, which the store keeps sealed.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from manifest_auth.text.base64url import decode, encode

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

_SIZE = 32  # bytes of a number of P-256


def make() -> bytes:
    """A new key pair."""
    from cryptography.hazmat.primitives.asymmetric import ec  # imported only for ES256, here and below

    numbers = ec.generate_private_key(ec.SECP256R1()).private_numbers()
    members = {"x": numbers.public_numbers.x, "y": numbers.public_numbers.y, "d": numbers.private_value}
    coded = {name: encode(number.to_bytes(_SIZE, "big")) for name, number in members.items()}
    return json.dumps({"kty": "EC", "crv": "P-256", **coded}).encode()


def public_half(raw: bytes) -> dict[str, Any]:
    """The public key as members of a JWK."""
    members = json.loads(raw)
    return {name: members[name] for name in ("kty", "crv", "x", "y")}


@lru_cache(maxsize=64)
def _pair(raw: bytes) -> tuple[EllipticCurvePrivateKey, EllipticCurvePublicKey]:
    from cryptography.hazmat.primitives.asymmetric import ec

    private = ec.derive_private_key(int.from_bytes(decode(json.loads(raw)["d"]), "big"), ec.SECP256R1())
    return private, private.public_key()


def sign(raw: bytes, signed: bytes) -> bytes:
    """The signature: two numbers of 32 bytes."""
    from cryptography.hazmat.primitives.asymmetric import ec, utils
    from cryptography.hazmat.primitives.hashes import SHA256

    numbers = utils.decode_dss_signature(_pair(raw)[0].sign(signed, ec.ECDSA(SHA256())))
    return b"".join(number.to_bytes(_SIZE, "big") for number in numbers)


def verifies(raw: bytes, signed: bytes, signature: bytes) -> bool:
    """Whether the key pair made the signature."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec, utils
    from cryptography.hazmat.primitives.hashes import SHA256

    if len(signature) != 2 * _SIZE:
        return False
    r, s = (int.from_bytes(half, "big") for half in (signature[:_SIZE], signature[_SIZE:]))
    try:
        _pair(raw)[1].verify(utils.encode_dss_signature(r, s), signed, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True
