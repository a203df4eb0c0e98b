"""The server's public keys, and tokens verified by them."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx2

from manifest_auth_client._connection import Connection
from manifest_auth_client.errors import InvalidToken

_PATH = "/.well-known/jwks.json"
_KEPT_S = 300.0  # as the server says
_PAUSE_S = 10.0  # between two fetches for keys that are not known, since anyone may name one


class OfflineVerificationUnavailable(InvalidToken):
    """The token cannot be verified without a call of the server: it is an API key, or signed with HS256, which has no
    public key. Use ``mode="introspection"``, or let the server sign with ES256 (``MANIFEST_TOKEN_ALGORITHM``).

    >>> issubclass(OfflineVerificationUnavailable, InvalidToken)
    True
    """


class KeySet:
    """Keys by ``kid``, fetched when one is missing."""

    def __init__(self, connection: Connection) -> None:
        from joserfc import jwk, jws  # an extra: introspection does without

        self._import, self._jws = jwk.import_key, jws
        self._keys: dict[str, Any] = {}
        self._fetched = float("-inf")
        self._lock = threading.Lock()

    def lacks(self, token: str) -> bool:
        """Whether keys would be fetched for this token."""
        age = time.monotonic() - self._fetched
        return age > _KEPT_S or (age > _PAUSE_S and _header(token).get("kid") not in self._keys)

    def claims(self, token: str, fetch: Callable[[str], Any]) -> dict[str, Any]:
        """The claims of a token that one of the keys has signed. Raises InvalidToken."""
        header = _header(token)
        if header.get("alg") == "HS256" or token.startswith("mfst_"):
            raise OfflineVerificationUnavailable("This token cannot be verified without the server")
        if header.get("typ") not in ("JWT", "at+jwt"):
            raise InvalidToken()
        if self.lacks(token):
            with self._lock:
                if self.lacks(token):
                    self._renew(fetch, is_known=header.get("kid") in self._keys)
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
        self._fetched = time.monotonic()


def _header(token: str) -> dict[str, Any]:
    first = token.partition(".")[0]
    try:
        found = json.loads(base64.urlsafe_b64decode(first + "=" * (-len(first) % 4)))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
