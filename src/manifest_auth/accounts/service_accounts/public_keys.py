"""The public keys with which a service account signs its assertions: checked when they are given, stored as JSON.

ES256, PS256 and RS256 (RFC 7518), each with a ``kid``. An address to fetch keys from is not accepted: this server would
call it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NoReturn

import msgspec

from manifest_auth.errors import ValidationError
from manifest_auth.text import base64url

MOST: Final = 5
_MIN_BITS, _MAX_BITS = 2048, 8192
_MEMBERS = {"EC": ("crv", "x", "y"), "RSA": ("n", "e")}
_ALGORITHMS = {"EC": {"ES256"}, "RSA": {"PS256", "RS256"}}
_MAX_KID = 200


def stored(jwks: Mapping[str, Any] | None) -> str | None:
    """The key set as it is stored, with the members that verify a signature and no others. Raises ValidationError for
    anything else than 1 to :data:`MOST` public keys of the three algorithms, each with its own ``kid``."""
    if jwks is None:
        return None
    keys = jwks.get("keys")
    if not isinstance(keys, list) or not 1 <= len(keys) <= MOST:
        _refuse(f"Must be a key set with 1 to {MOST} keys")
    checked = [_checked(key) for key in keys]
    if len({key["kid"] for key in checked}) < len(checked):
        _refuse("Each key needs its own `kid`")
    return msgspec.json.encode({"keys": checked}).decode()


def key_ids(jwks: str | None) -> list[str]:
    """The ``kid`` of each key of a stored set."""
    return [] if jwks is None else [key["kid"] for key in msgspec.json.decode(jwks)["keys"]]


def _checked(key: Any) -> dict[str, str]:
    if not isinstance(key, dict):
        _refuse("Each key must be an object")
    kind, kid, algorithm = key.get("kty"), key.get("kid"), key.get("alg")
    if "d" in key or "k" in key:
        _refuse("Give the public key alone: this one is secret")
    if kind not in _MEMBERS:
        _refuse("Keys are EC (P-256) or RSA")
    if not isinstance(kid, str) or not 1 <= len(kid) <= _MAX_KID or not kid.isprintable():
        _refuse("Each key needs a `kid`")
    if key.get("use", "sig") != "sig" or (algorithm is not None and algorithm not in _ALGORITHMS[kind]):
        _refuse("Keys are for signatures with ES256, PS256 or RS256")
    numbers = {name: key.get(name) for name in _MEMBERS[kind]}
    if not all(isinstance(value, str) for value in numbers.values()):
        _refuse(f"A member is missing: {', '.join(_MEMBERS[kind])}")
    try:
        _check_numbers(kind, numbers)
    except ValueError:
        _refuse("A key is not valid: EC keys are on P-256, RSA keys have 2048 to 8192 bits")
    return {"kty": kind, "kid": kid, **({} if algorithm is None else {"alg": algorithm}), **numbers}


def _check_numbers(kind: str, numbers: dict[str, Any]) -> None:
    """Raises ValueError."""
    # Loaded here: most installations have no service account with a key of its own.
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    if kind == "EC":
        if numbers["crv"] != "P-256":
            raise ValueError
        ec.EllipticCurvePublicNumbers(_number(numbers["x"]), _number(numbers["y"]), ec.SECP256R1()).public_key()
    else:
        modulus = _number(numbers["n"])
        if not _MIN_BITS <= modulus.bit_length() <= _MAX_BITS:
            raise ValueError
        rsa.RSAPublicNumbers(_number(numbers["e"]), modulus).public_key()


def _number(text: str) -> int:
    return int.from_bytes(base64url.decode(text), "big")


def _refuse(sentence: str) -> NoReturn:
    raise ValidationError(details=[("jwks", sentence)])
