"""Access tokens of service accounts: JWTs of RFC 9068, signed with ES256 by keys of their own.

Type, audience and keys are others than those of users' tokens, so that each verifier refuses the other's. As there, the
header is a constant of the key, and a verified token is remembered until it expires.
"""

from __future__ import annotations

import contextlib
import json
from functools import lru_cache
from typing import NamedTuple

import msgspec
import orjson

from manifest_auth.errors import InvalidToken, TokenExpired
from manifest_auth.permissions import Permission
from manifest_auth.protocols.oauth import account_of, client_id_of
from manifest_auth.runtime.metrics import Metrics
from manifest_auth.runtime.recent import Recent
from manifest_auth.sessions.tokens.access import SKEW_S, is_compact, is_signed_by
from manifest_auth.sessions.tokens.keys import KeyRing, Purpose
from manifest_auth.text import strict_json
from manifest_auth.text.base64url import decode, encode

_ALGORITHM = "ES256"
_MOST_BYTES = 8 * 1024 * 1024  # some 7,000 tokens
_BIT = {permission.value: permission.bit for permission in Permission}


class Claims(msgspec.Struct, frozen=True):
    """The claims, in their order (RFC 9068, section 2.2); ``client`` is the client's identifier. All are required."""

    iss: str
    aud: str
    sub: str
    client_id: str
    client: str
    scope: str
    iat: int
    exp: int
    jti: str


class VerifiedServiceToken(NamedTuple):
    """The content of a verified token. ``scopes``: bit mask; ``key``: stands in place of a session id; ``issued_at``
    and ``expires_at`` in seconds."""

    account: int
    client: str
    scopes: int
    key: str
    issued_at: int
    expires_at: int


class Grant(NamedTuple):
    """What a new token says. ``scope``: names of permissions; ``seconds``: its life."""

    account: int
    client: str
    scope: tuple[str, ...]
    jti: str
    seconds: int


@lru_cache(maxsize=64)
def _header(key_id: str) -> dict[str, str]:
    return {"typ": "at+jwt", "alg": _ALGORITHM, "kid": key_id}


@lru_cache(maxsize=64)
def _encoded_header(key_id: str) -> str:
    return encode(json.dumps(_header(key_id), separators=(",", ":")).encode())


#: How every token of this kind begins: type and algorithm.
_START = _encoded_header("")[:36]


def is_one(token: str) -> bool:
    """Whether a token says that it is of this kind; nothing is verified."""
    return token.startswith(_START)


def mint(ring: KeyRing, issuer: str, grant: Grant, now_ms: int) -> str:
    """A signed token; the issuer is also its audience."""
    from joserfc import jws  # imported only for ES256: see access.py

    key, issued, client_id = ring.signing(Purpose.SERVICE), now_ms // 1000, client_id_of(grant.account)
    claims = Claims(
        iss=issuer,
        aud=issuer,
        sub=client_id,
        client_id=client_id,
        client=grant.client,
        scope=" ".join(grant.scope),
        iat=issued,
        exp=issued + grant.seconds,
        jti=grant.jti,
    )
    payload = orjson.dumps(msgspec.to_builtins(claims))
    return jws.serialize_compact(dict(_header(key.id)), payload, key.jose, algorithms=[_ALGORITHM])


class ServiceTokens:
    """The only verifier of service accounts' tokens, with its cache."""

    def __init__(self, ring: KeyRing, issuer: str, metrics: Metrics) -> None:
        self._ring, self._issuer = ring, issuer
        self._hit, self._miss = metrics.cache("access_tokens", "hit"), metrics.cache("access_tokens", "miss")
        self._known: Recent[VerifiedServiceToken] = Recent(_MOST_BYTES)
        self._generation = ring.generation

    async def verify(self, token: str, now_ms: int) -> VerifiedServiceToken:
        """The content of a token. Raises InvalidToken, and TokenExpired for one with a valid signature."""
        if self._ring.is_stale:
            await self._ring.refresh()
        if self._generation != self._ring.generation:
            self._known = Recent(_MOST_BYTES)
            self._generation = self._ring.generation
        found = self._known.get(token)
        if found is not None:
            self._hit.inc()
        else:
            self._miss.inc()
            found = await self._verify(token, now_ms)
            self._known.put(token, found)
        if found.expires_at * 1000 <= now_ms:
            self._known.drop(token)
            raise TokenExpired(reason="service token")
        return found

    async def _verify(self, token: str, now_ms: int) -> VerifiedServiceToken:
        if not is_compact(token):
            raise InvalidToken(reason="service token: shape")
        payload = self._signed_by_us(token)
        if payload is None and await self._ring.refresh():
            payload = self._signed_by_us(token)
        if payload is None:
            raise InvalidToken(reason="service token: signature")
        return self._claims(payload, now_ms)

    def _signed_by_us(self, token: str) -> bytes | None:
        header, payload, _ = token.split(".")
        for key in self._ring.verifying(Purpose.SERVICE):
            if header == _encoded_header(key.id) and is_signed_by(key, token):
                with contextlib.suppress(ValueError):
                    return decode(payload)
        return None

    def _claims(self, payload: bytes, now_ms: int) -> VerifiedServiceToken:
        try:
            claims = msgspec.convert(strict_json.read(payload, as_written=True), Claims, strict=True)
        except (ValueError, msgspec.MsgspecError) as error:
            raise InvalidToken(reason=f"service token: claims: {error}") from None
        account = account_of(claims.sub)
        sane = (
            claims.iss == claims.aud == self._issuer
            and claims.sub == claims.client_id
            and 0 <= claims.iat * 1000 <= now_ms + SKEW_S * 1000
            and claims.exp > claims.iat
        )
        if not sane or account is None:
            raise InvalidToken(reason="service token: issuer, audience, subject or times")
        scopes = sum({_BIT.get(name, 0) for name in claims.scope.split(" ")})
        return VerifiedServiceToken(
            account=account,
            client=claims.client,
            scopes=scopes,
            key=f"service:{claims.jti}",
            issued_at=claims.iat,
            expires_at=claims.exp,
        )
