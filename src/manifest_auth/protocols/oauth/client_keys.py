"""Public keys of a service account, with which its assertions are verified: a JWK set (RFC 7517), given by value.

There is no address that a set could be fetched from: the server calls no one whom a caller names.
"""

from __future__ import annotations

from manifest_auth.protocols.oidc import Key, read_key_set
from manifest_auth.text import strict_json

ClientKey = Key
ALGORITHMS = ("ES256", "PS256", "RS256")


def read_keys(jwks: str | None) -> tuple[ClientKey, ...]:
    """The keys of a stored set; none where the account has no set."""
    return () if jwks is None else read_key_set(strict_json.read(jwks.encode()))
