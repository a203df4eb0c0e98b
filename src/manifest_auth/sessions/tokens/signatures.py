"""Key pairs for ES256 and RS256 (RFC 7518, sections 3.3 and 3.4): create and publish them, sign and verify.

``raw`` is a private key as a JWK in JSON, which is stored sealed.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from manifest_auth.text.base64url import decode, encode

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

_SIZE = 32  # bytes of a P-256 number
_PUBLIC = {"EC": ("kty", "crv", "x", "y"), "RSA": ("kty", "n", "e")}


def _number(value: int, size: int = 0) -> str:
    return encode(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


def make(algorithm: str = "ES256") -> bytes:
    """Creates a key pair."""
    if algorithm == "RS256":
        from cryptography.hazmat.primitives.asymmetric import rsa  # imported only when used, here and below

        pair = rsa.generate_private_key(65537, 2048).private_numbers()
        found = {"n": pair.public_numbers.n, "e": pair.public_numbers.e, "d": pair.d, "p": pair.p, "q": pair.q}
        found |= {"dp": pair.dmp1, "dq": pair.dmq1, "qi": pair.iqmp}
        return json.dumps({"kty": "RSA", **{name: _number(value) for name, value in found.items()}}).encode()
    from cryptography.hazmat.primitives.asymmetric import ec

    numbers = ec.generate_private_key(ec.SECP256R1()).private_numbers()
    members = {"x": numbers.public_numbers.x, "y": numbers.public_numbers.y, "d": numbers.private_value}
    coded = {name: _number(number, _SIZE) for name, number in members.items()}
    return json.dumps({"kty": "EC", "crv": "P-256", **coded}).encode()


def public_half(raw: bytes) -> dict[str, Any]:
    """Returns the public key as members of a JWK."""
    members = json.loads(raw)
    return {name: members[name] for name in _PUBLIC[members["kty"]]}


@lru_cache(maxsize=64)
def _private(raw: bytes) -> EllipticCurvePrivateKey | RSAPrivateKey:
    members = json.loads(raw)
    if members["kty"] == "RSA":
        from cryptography.hazmat.primitives.asymmetric import rsa

        n, e, d, p, q, dp, dq, qi = (
            int.from_bytes(decode(members[name]), "big") for name in ("n", "e", "d", "p", "q", "dp", "dq", "qi")
        )
        return rsa.RSAPrivateNumbers(p, q, d, dp, dq, qi, rsa.RSAPublicNumbers(e, n)).private_key()
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.derive_private_key(int.from_bytes(decode(members["d"]), "big"), ec.SECP256R1())


def sign(raw: bytes, signed: bytes) -> bytes:
    """Returns the signature; for ES256, two numbers of 32 bytes."""
    from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
    from cryptography.hazmat.primitives.hashes import SHA256

    private = _private(raw)
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        return private.sign(signed, padding.PKCS1v15(), SHA256())
    numbers = utils.decode_dss_signature(private.sign(signed, ec.ECDSA(SHA256())))
    return b"".join(number.to_bytes(_SIZE, "big") for number in numbers)


def verifies(raw: bytes, signed: bytes, signature: bytes) -> bool:
    """Whether the key pair made the signature."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
    from cryptography.hazmat.primitives.hashes import SHA256

    private = _private(raw)
    try:
        if not isinstance(private, ec.EllipticCurvePrivateKey):
            private.public_key().verify(signature, signed, padding.PKCS1v15(), SHA256())
            return True
        if len(signature) != 2 * _SIZE:
            return False
        r, s = (int.from_bytes(half, "big") for half in (signature[:_SIZE], signature[_SIZE:]))
        private.public_key().verify(utils.encode_dss_signature(r, s), signed, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True
