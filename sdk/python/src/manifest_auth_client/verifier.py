"""``TokenVerifier``: lets your service identify its callers by their bearer tokens."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from types import EllipsisType
from typing import Any, Literal

import httpx2

from manifest_auth_client._connection import Connection
from manifest_auth_client._keys import KeySet, OfflineVerificationUnavailable
from manifest_auth_client.credentials import ClientCredentials, oauth_answer
from manifest_auth_client.errors import InvalidToken

_MOST_KEPT = 10_000
_CALL_S = 5.0


@dataclass(frozen=True, slots=True)
class Caller:
    """The owner of a token. ``subject`` is the user's ID, or ``svc_…``. ``client`` is the identifier of the
    organization. ``claims`` contains everything that the server or the token says.

    >>> verifier.verify(token).permissions >= {"users:read"}
    True
    """

    subject: str
    client: str
    client_id: str | None
    username: str | None
    expires_at: float | None
    claims: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of_claims(cls, claims: Mapping[str, Any]) -> Caller:
        """Creates a caller from claims, or from an introspection response (RFC 7662)."""
        return cls(
            subject=str(claims["sub"]),
            client=str(claims.get("client", "")),
            client_id=claims.get("client_id"),
            username=claims.get("username"),
            expires_at=None if claims.get("exp") is None else float(claims["exp"]),
            claims=claims,
        )

    @property
    def permissions(self) -> frozenset[str]:
        """The token's permissions. Raises OfflineVerificationUnavailable if ``jwks`` verified a user's token."""
        return frozenset(str(self._told("scope", "permissions")).split())

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles of the token's owner. Raises OfflineVerificationUnavailable for every token that ``jwks``
        verified."""
        return tuple(self._told("roles", "roles"))

    def _told(self, claim: str, what: str) -> Any:
        if claim not in self.claims:
            raise OfflineVerificationUnavailable(_untold(what))
        return self.claims[claim]


def _untold(what: str) -> str:
    return f'The token says nothing about {what}: use mode="introspection", which asks the server'


class TokenVerifier:
    """Verifies access tokens, API keys, and service tokens for a resource server.

    ``issuer`` is the server's public address. ``audience`` is one or more audiences that tokens can have:
    ``manifest-api`` for users' tokens, or the issuer for service tokens.

    ``mode="introspection"`` asks the server (RFC 7662) as the service account in ``credentials``, which must be allowed
    to introspect. A sign-out takes effect immediately, or after ``cache_seconds`` (0 to 60), during which results are
    cached.

    ``mode="jwks"`` verifies ES256 with the server's public keys, and needs ``manifest-auth-client[verify]``. A
    sign-out, a deactivated user, or a lost role takes effect only when the token expires. This mode can't verify API
    keys. If the server signs users' tokens with HS256, the first of them raises OfflineVerificationUnavailable.

    ``client`` selects the client whose users and machines are accepted. With ``introspection``, the server accepts only
    tokens of the client that ``credentials`` belongs to. With ``jwks``, ``client`` is required, because the server's
    keys sign the tokens of all clients; ``None`` accepts everyone.

    Raises InvalidToken for every invalid token, and ``httpx2.HTTPError`` if the server can't be reached.

    >>> verifier = TokenVerifier(URL, "manifest-api", credentials=machine, connection=connection)
    >>> verifier.verify(token).username
    'ada@acme.example'
    """

    def __init__(
        self,
        issuer: str,
        audience: str | Iterable[str],
        *,
        mode: Literal["introspection", "jwks"] = "introspection",
        client: str | EllipsisType | None = ...,
        credentials: ClientCredentials | None = None,
        cache_seconds: float = 0,
        connection: Connection | None = None,
    ) -> None:
        if mode not in ("introspection", "jwks"):
            raise ValueError("mode is introspection or jwks")
        if not 0 <= cache_seconds <= 60:
            raise ValueError("cache_seconds is 0 to 60")
        if (mode == "introspection") != (credentials is not None):
            raise ValueError("introspection needs credentials, and jwks takes none")
        if mode == "jwks" and client is ...:
            raise ValueError(
                'mode="jwks" needs client="acme" to accept its users, or client=None to accept users of all clients'
            )
        connection = connection or Connection(issuer)
        self._connection = replace(connection, client=None, timeout=min(connection.timeout, _CALL_S))
        self._issuer = issuer.rstrip("/")
        self._audiences = frozenset([audience] if isinstance(audience, str) else audience)
        self._client = None if client is ... else client
        self._credentials, self._cache_seconds = credentials, cache_seconds
        self._keys = KeySet(self._connection) if mode == "jwks" else None
        self._kept: OrderedDict[bytes, tuple[float, Caller]] = OrderedDict()
        self._lock = threading.Lock()

    def check_permissions_are_known(self) -> None:
        """Raises OfflineVerificationUnavailable if the server isn't asked and ``audience`` includes users' tokens,
        because only service tokens contain permissions."""
        if self._keys is not None and self._audiences != {self._issuer}:
            raise OfflineVerificationUnavailable(_untold("permissions"))

    def verify(self, token: str) -> Caller:
        """Returns the token's owner. Raises InvalidToken, or OAuthError if ``credentials`` isn't allowed to
        introspect."""
        if not token or not token.isascii():
            raise InvalidToken
        if self._keys is not None:
            claims = self._keys.claims(token, self._fetch)
            return self._caller(claims)
        if (known := self._known(token)) is not None:
            return known
        with self._connection.open() as http:
            return self._introspected(token, http.post(**self._question(token)))

    async def averify(self, token: str) -> Caller:
        """The asyncio version of :meth:`verify`."""
        if not token or not token.isascii():
            raise InvalidToken
        if self._keys is not None:
            return await asyncio.to_thread(self.verify, token) if self._keys.lacks(token) else self.verify(token)
        if (known := self._known(token)) is not None:
            return known
        async with self._connection.open_async() as http:
            return self._introspected(token, await http.post(**self._question(token)))

    def _fetch(self, path: str) -> Any:
        with self._connection.open() as http:
            return http.get(self._connection.url(path)).raise_for_status().json()

    def _question(self, token: str) -> dict[str, Any]:
        assert self._credentials is not None
        headers, form = self._credentials.authentication()
        return {"url": self._connection.url("/oauth2/introspect"), "data": {"token": token, **form}, "headers": headers}

    def _introspected(self, token: str, response: httpx2.Response) -> Caller:
        answer = oauth_answer(response)
        if answer.get("active") is not True:
            raise InvalidToken()
        caller = self._caller(answer)
        self._keep(token, caller)
        return caller

    def _caller(self, claims: Mapping[str, Any]) -> Caller:
        audience = claims.get("aud")
        audiences = {audience} if isinstance(audience, str) else set(audience or ())
        ends = claims.get("exp")
        sane = claims.get("iss") == self._issuer and audiences & self._audiences and claims.get("sub")
        sane = sane and self._client in (None, claims.get("client"))
        if not sane or (ends is not None and not float(ends) > time.time()):
            raise InvalidToken()
        return Caller.of_claims(claims)

    def _known(self, token: str) -> Caller | None:
        if not self._cache_seconds:
            return None
        with self._lock:
            until, caller = self._kept.get(_digest(token), (0.0, None))
        return caller if time.time() < until else None

    def _keep(self, token: str, caller: Caller) -> None:
        if self._cache_seconds:
            until = min(time.time() + self._cache_seconds, caller.expires_at or float("inf"))
            with self._lock:
                self._kept[_digest(token)] = until, caller
                self._kept.move_to_end(_digest(token))
                if len(self._kept) > _MOST_KEPT:
                    self._kept.popitem(last=False)


def _digest(token: str) -> bytes:
    return sha256(token.encode()).digest()
