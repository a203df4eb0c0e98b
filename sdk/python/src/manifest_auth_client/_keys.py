"""The server's public keys, and verification of tokens with them."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx2

from manifest_auth_client._connection import Connection
from manifest_auth_client._extras import extra
from manifest_auth_client.errors import InvalidToken

_PATH = "/.well-known/jwks.json"
_KEPT_S = 300.0  # the server's recommendation
_PAUSE_S = 10.0  # between two fetches for an unknown key, because callers can invent key IDs


class OfflineVerificationUnavailable(RuntimeError):
    """The service's setup needs something that ``mode="jwks"`` can't do. The setup is at fault, not a caller, so this
    isn't a ManifestAuthError, and applications respond with 500.

    Either the server signs users' tokens with HS256, which has no public key, or the service requires permissions or
    roles, which aren't in the token. Use ``mode="introspection"``, or configure the server to sign with ES256.

    >>> TokenVerifier(URL, "manifest-api", mode="jwks", client="acme", connection=connection).verify(token)
    Traceback (most recent call last):
    manifest_auth_client._keys.OfflineVerificationUnavailable: http://auth.example signs users' tokens with HS256...
    """


class KeySet:
    """Keys by ``kid``, fetched when one is missing."""

    def __init__(self, connection: Connection) -> None:
        with extra("verify", 'mode="jwks"'):
            from joserfc import jwk, jws

        self._import, self._jws = jwk.import_key, jws
        self._issuer, self._users_algorithm = connection.base_url, ""
        self._keys: dict[str, Any] = {}
        self._fetched = float("-inf")
        self._lock = threading.Lock()

    def lacks(self, token: str) -> bool:
        """Whether this token requires fetching the keys."""
        age = time.monotonic() - self._fetched
        return age > _KEPT_S or (age > _PAUSE_S and _header(token).get("kid") not in self._keys)

    def claims(self, token: str, fetch: Callable[[str], Any]) -> dict[str, Any]:
        """Returns the claims of a token that one of the keys signed. Raises InvalidToken, or
        OfflineVerificationUnavailable if the server says that no key can verify users' tokens."""
        if token.startswith("mfst_"):
            raise InvalidToken('An API key cannot be verified without the server: use mode="introspection"')
        header = _header(token)
        if header.get("typ") not in ("JWT", "at+jwt"):
            raise InvalidToken()
        if self.lacks(token):
            with self._lock:
                if self.lacks(token):
                    self._renew(fetch, is_known=header.get("kid") in self._keys)
        if header.get("alg") == self._users_algorithm == "HS256":  # trust the server, because anyone can forge a header
            raise OfflineVerificationUnavailable(
                f"{self._issuer} signs users' tokens with HS256, which nothing but the server can verify: let it sign "
                'with ES256, or use mode="introspection"'
            )
        key = self._keys.get(str(header.get("kid")))
        if key is None:
            raise InvalidToken()
        from joserfc.errors import JoseError

        try:
            signed = self._jws.deserialize_compact(token, key, ["ES256"])
            claims = json.loads(signed.payload)
        except (JoseError, ValueError):
            raise InvalidToken() from None
        if not isinstance(claims, dict) or not isinstance(claims.get("exp"), int | float):
            raise InvalidToken()
        return claims

    def _renew(self, fetch: Callable[[str], Any], *, is_known: bool) -> None:
        try:
            found = fetch(_PATH)
        except httpx2.HTTPError:
            if not is_known:
                raise
        else:
            self._keys = {key["kid"]: self._import(key) for key in found["keys"] if key.get("alg") == "ES256"}
            self._users_algorithm = found.get("access_token_signing_alg", "")
        self._fetched = time.monotonic()


def _header(token: str) -> dict[str, Any]:
    first = token.partition(".")[0]
    try:
        found = json.loads(base64.urlsafe_b64decode(first + "=" * (-len(first) % 4)))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
