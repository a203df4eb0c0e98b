"""Public keys of a service account, with which its assertions are verified: a JWK set (RFC 7517), given by value.

There is no address that a set could be fetched from: the server calls no one whom a caller names.
"""

from __future__ import annotations

from typing import Any

from manifest_auth.protocols.oidc import Key, read_key_set

ClientKey = Key
ALGORITHMS = ("ES256", "PS256", "RS256")
MOST = 5
_PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "k")
_LONGEST_KID = 200


class WrongKeys(ValueError):
    """The set is not accepted; the text says why, to the one who gave it."""


def read_keys(document: Any) -> dict[str, ClientKey]:
    """The keys of a set, by ``kid``. Raises WrongKeys unless it has one to five public keys of ES256, PS256 or RS256,
    RSA with 2048 bits or more, each with a ``kid`` of its own."""
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list) or not 0 < len(entries) <= MOST:
        raise WrongKeys(f"must be a JWK set with 1 to {MOST} keys")
    if any(not isinstance(entry, dict) or any(name in entry for name in _PRIVATE) for entry in entries):
        raise WrongKeys("must have public keys alone")
    kids = [entry.get("kid") for entry in entries]
    if not all(isinstance(kid, str) and 0 < len(kid) <= _LONGEST_KID for kid in kids) or len(set(kids)) < len(kids):
        raise WrongKeys("each key needs a kid of its own")
    keys = read_key_set(document)
    if len(keys) != len(entries) or not all(_is_usable(key) for key in keys):
        raise WrongKeys("each key must verify ES256, PS256 or RS256, RSA with 2048 bits or more")
    return {kid: key for kid, key in zip(kids, keys, strict=True) if isinstance(kid, str)}


def _is_usable(key: ClientKey) -> bool:
    return key.algorithm in (None, *ALGORITHMS) and any(key.fits(algorithm) for algorithm in ALGORITHMS)
