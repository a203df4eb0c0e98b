"""Access tokens: JWTs that name a session (RFC 7519, RFC 8725).

Everything else is read from the session's row.

The header is a constant of the key, so a token with a header that differs by one byte is rejected before any
computation: ``alg``, ``kid``, ``jku``, ``crit`` and the rest are never interpreted. A verified token is cached while it
is used, which saves the signature check but not the read of its session.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import re
import sys
from functools import lru_cache
from typing import Annotated, Any, NamedTuple

import msgspec
import orjson

from manifest_auth.errors import InvalidToken, TokenExpired
from manifest_auth.permissions import Permission
from manifest_auth.protocols.oauth import SCIM, account_of, client_id_of
from manifest_auth.runtime.metrics import Metrics
from manifest_auth.runtime.recent import Recent
from manifest_auth.sessions.principals import TokenOfService
from manifest_auth.sessions.tokens import signatures
from manifest_auth.sessions.tokens.keys import OF_APPS, Key, KeyRing, Purpose
from manifest_auth.text import strict_json
from manifest_auth.text.base64url import decode, encode

MAX_LENGTH = 8192
SKEW_S = 60
MOST_BYTES = 48 * 1024 * 1024  # about 67,000 tokens of users
MOST_ADMIN_BYTES = 1024 * 1024
AUDIENCE = {Purpose.ACCESS: "manifest-api", Purpose.ADMIN_ACCESS: "manifest-admin"}
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\Z")

_Natural = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Claims(msgspec.Struct, frozen=True, omit_defaults=True):
    """The claims of this server's tokens, in the order of :func:`mint`; all are required and strictly typed. A system
    admin's token has no ``client``, and only an app's token has the last two. This server sends no ``nbf``, but checks
    it."""

    iss: str
    aud: str
    sub: str
    id: _Natural
    sid: str
    jti: str
    iat: _Natural
    exp: _Natural
    client: str = ""
    nbf: _Natural = 0
    client_id: str = ""
    scope: str = ""


_DECODER = msgspec.json.Decoder(Claims)
_ENCODER = msgspec.json.Encoder()


def read_claims(payload: bytes) -> Claims:
    """Reads the claims of a payload. Raises ValueError.

    If a payload matches byte for byte what this server writes for its claims, only one interpretation is possible. This
    usual case doesn't need the strict parser, which takes five times as long.
    """
    try:
        claims = _DECODER.decode(payload)
        if _ENCODER.encode(claims) == payload and b"\\" not in payload:
            return claims
    except (ValueError, RecursionError):
        pass
    return msgspec.convert(strict_json.read(payload, as_written=True), Claims, strict=True)


def app_issuer(public: str, client: str) -> str:
    """Returns the issuer of a client for its apps (OpenID Connect Core, section 2). ``public`` is the server's
    address."""
    return f"{public}/o/{client}"


class Verified(NamedTuple):
    """The content of a verified token. ``scope`` and ``client_id`` belong to an app's token, or are empty."""

    session_id: str
    subject_id: int
    client: str
    iat: int  # seconds, as in the claims
    exp: int
    scope: str = ""
    client_id: str = ""


def header_of(algorithm: str, key_id: str) -> dict[str, str]:
    """Returns the header: ``{"alg":"HS256","typ":"JWT"}`` exactly; ES256 adds ``kid``."""
    if algorithm == "HS256":
        return {"alg": algorithm, "typ": "JWT"}
    return {"alg": algorithm, "kid": key_id, "typ": "JWT"}


@lru_cache(maxsize=64)
def _encoded_header(algorithm: str, key_id: str) -> str:
    return encode(json.dumps(header_of(algorithm, key_id), separators=(",", ":")).encode())


def mint(ring: KeyRing, issuer: str, purpose: Purpose, claims: dict[str, Any]) -> str:
    """Creates a signed token. ``iss`` is added to the claims, and ``aud`` if they have none."""
    key = ring.signing(purpose)
    full = {"iss": issuer, "aud": AUDIENCE[purpose], **claims}
    if key.algorithm == "HS256":  # RFC 7515, section 5.1; four times as fast as the library
        signed = f"{_encoded_header('HS256', key.id)}.{encode(orjson.dumps(full))}"
        return f"{signed}.{_hs256(key.raw, signed)}"
    return ring.has_signed(key, _signed(key.raw, _encoded_header(key.algorithm, key.id), orjson.dumps(full)))


def _signed(key: bytes, header: str, payload: bytes) -> str:
    """Creates a compact token; the header is already encoded."""
    signed = f"{header}.{encode(payload)}"
    return f"{signed}.{encode(signatures.sign(key, signed.encode()))}"


@lru_cache(maxsize=16)
def _keyed(key: bytes) -> hmac.HMAC:
    return hmac.new(key, digestmod="sha256")


def _hs256(key: bytes, signed: str) -> str:
    state = _keyed(key).copy()  # preparing the key costs more than hashing the message
    state.update(signed.encode())
    return encode(state.digest())


def is_signed_by(key: Key, token: str) -> bool:
    """Whether the signature is the key's, in its only spelling. The header was already compared."""
    signed, _, signature = token.rpartition(".")
    if key.algorithm == "HS256":  # RFC 7518, section 3.2
        return hmac.compare_digest(signature, _hs256(key.raw, signed))
    try:
        return signatures.verifies(key.raw, signed.encode(), decode(signature))
    except ValueError:  # another spelling
        return False


def is_compact(token: str) -> bool:
    return len(token) <= MAX_LENGTH and _COMPACT.match(token) is not None


def _signed_by_us(ring: KeyRing, purpose: Purpose, token: str) -> bytes | None:
    """Returns the payload of a token that a key of the purpose signed."""
    (header, payload, _), signer = token.split("."), ring.signer_of(token)
    for key in ring.verifying(purpose):
        own = _encoded_service_header(key.id) if purpose is Purpose.SERVICE else _encoded_header(key.algorithm, key.id)
        if header == own and (key.id == signer or is_signed_by(key, token)):
            with contextlib.suppress(ValueError):
                return decode(payload)
    return None


async def _payload_of(ring: KeyRing, purpose: Purpose, token: str, what: str) -> bytes:
    """Returns the payload like :func:`_signed_by_us`, also with keys that another node might have created in the
    meantime. Raises InvalidToken."""
    if not is_compact(token):
        raise InvalidToken(reason=f"{what}: shape")
    payload = _signed_by_us(ring, purpose, token)
    if payload is None and await ring.refresh():
        payload = _signed_by_us(ring, purpose, token)
    if payload is None:
        raise InvalidToken(reason=f"{what}: signature")
    return payload


class _Known(NamedTuple):
    """Verified tokens by text. There are two members instead of a dictionary by purpose, because hashing an enum member
    is a Python call."""

    access: Recent[Verified]
    admin: Recent[Verified]


def _nothing_known() -> _Known:
    return _Known(Recent(MOST_BYTES), Recent(MOST_ADMIN_BYTES))


class VerifiedTokens:
    """The only verifier of this server's access tokens, with its cache."""

    def __init__(self, ring: KeyRing, issuer: str, public: str, metrics: Metrics) -> None:
        self._ring, self._issuer, self._public = ring, issuer, public
        self._hit, self._miss = metrics.cache("access_tokens", "hit"), metrics.cache("access_tokens", "miss")
        self._known = _nothing_known()
        self._generation = ring.generation

    def knows(self, token: str) -> bool:
        """Whether a user's access token is in the cache."""
        return token in self._known.access

    def is_ours(self, token: str) -> bool:
        """Whether a bearer token is one of this server's access tokens, valid or not: it is in the cache, or it has the
        header of such a token, which no other system's tokens have."""
        if self.knows(token):
            return True
        header = token.partition(".")[0]
        if header == _encoded_header("HS256", ""):  # the same with every key
            return True
        return any(header == _encoded_header(key.algorithm, key.id) for key in self._ring.verifying(Purpose.ACCESS))

    async def verify(self, purpose: Purpose, token: str, now_ms: int) -> Verified:
        """Returns the content of a token of that purpose. Raises InvalidToken, and TokenExpired for a token with a
        valid signature."""
        if self._ring.is_stale:
            await self._ring.refresh()
        if self._generation != self._ring.generation:
            self._known = _nothing_known()
            self._generation = self._ring.generation
        known = self._known.access if purpose is Purpose.ACCESS else self._known.admin
        found = known.get(token)
        if found is not None:
            self._hit.inc()
        else:
            self._miss.inc()
            payload = await _payload_of(self._ring, purpose, token, "access token")
            found = self._claims(purpose, payload, now_ms)
            known.put(token, found)
        if found.exp * 1000 <= now_ms:
            known.drop(token)
            raise TokenExpired(reason="access token")
        return found

    def issued(self, token: str, now_ms: int) -> Verified | None:
        """Returns the content of a user's access token of this server, even if it has expired."""
        return self._signed(Purpose.ACCESS, token, now_ms)

    def signed_for(self, purpose: Purpose, token: str, now_ms: int) -> Verified | None:
        """Returns the content of a token that was rejected for another purpose, if it is valid for this one."""
        found = self._signed(purpose, token, now_ms)
        return found if found is not None and found.exp * 1000 > now_ms else None

    def _signed(self, purpose: Purpose, token: str, now_ms: int) -> Verified | None:
        payload = _signed_by_us(self._ring, purpose, token) if is_compact(token) else None
        with contextlib.suppress(InvalidToken):
            return None if payload is None else self._claims(purpose, payload, now_ms)
        return None

    def _claims(self, purpose: Purpose, payload: bytes, now_ms: int) -> Verified:
        try:
            claims = read_claims(payload)
        except (ValueError, msgspec.MsgspecError) as error:
            raise InvalidToken(reason=f"access token: claims: {error}") from None
        of_app = purpose is Purpose.ACCESS and bool(claims.client_id)
        sane = (
            claims.iss == self._issuer
            and claims.aud == (app_issuer(self._public, claims.client) if of_app else AUDIENCE[purpose])
            and bool(claims.scope) == of_app
            and claims.sub == str(claims.id)
            and bool(claims.client) == (purpose is Purpose.ACCESS)
            and claims.iat * 1000 <= now_ms + SKEW_S * 1000
            and claims.nbf * 1000 <= now_ms + SKEW_S * 1000
            and claims.exp > claims.iat
        )
        if not sane:
            raise InvalidToken(reason="access token: invalid issuer, audience, subject, or times")
        return Verified(
            session_id=claims.sid,
            subject_id=claims.id,
            client=sys.intern(claims.client),
            iat=claims.iat,
            exp=claims.exp,
            scope=sys.intern(claims.scope),
            client_id=sys.intern(claims.client_id),
        )


# Access tokens of service accounts: JWTs of RFC 9068, signed with ES256. Type, audience and keys differ from those of
# users' tokens, so that each verifier rejects the other's.


_SERVICE_ALGORITHM = "ES256"
_MOST_SERVICE_BYTES = 8 * 1024 * 1024  # about 7,000 tokens
_BIT = {permission.value: permission.bit for permission in Permission}


class ServiceClaims(msgspec.Struct, frozen=True):
    """The claims, in order (RFC 9068, section 2.2); ``client`` is the client's identifier. All are required."""

    iss: str
    aud: str
    sub: str
    client_id: str
    client: str
    scope: str
    iat: int
    exp: int
    jti: str


class Grant(NamedTuple):
    """The content of a new token. ``scope``: names of permissions; ``seconds``: its lifetime."""

    account: int
    client: str
    scope: tuple[str, ...]
    jti: str
    seconds: int


@lru_cache(maxsize=64)
def _encoded_service_header(key_id: str) -> str:
    header = {"typ": "at+jwt", "alg": _SERVICE_ALGORITHM, "kid": key_id}
    return encode(json.dumps(header, separators=(",", ":")).encode())


#: The prefix of every token of this kind: type and algorithm.
_START = _encoded_service_header("")[:36]


def is_service_token(token: str) -> bool:
    """Whether a token claims to be of this kind; nothing is verified."""
    return token.startswith(_START)


def mint_service_token(ring: KeyRing, issuer: str, grant: Grant, now_ms: int) -> str:
    """Creates a signed token; the issuer is also its audience."""
    key, issued, client_id = ring.signing(Purpose.SERVICE), now_ms // 1000, client_id_of(grant.account)
    claims = ServiceClaims(
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
    return ring.has_signed(key, _signed(key.raw, _encoded_service_header(key.id), payload))


class ServiceTokens:
    """The only verifier of service accounts' tokens, with its cache."""

    def __init__(self, ring: KeyRing, issuer: str, metrics: Metrics) -> None:
        self._ring, self._issuer = ring, issuer
        self._hit, self._miss = metrics.cache("access_tokens", "hit"), metrics.cache("access_tokens", "miss")
        self._known: Recent[TokenOfService] = Recent(_MOST_SERVICE_BYTES)
        self._generation = ring.generation

    async def verify(self, token: str, now_ms: int) -> TokenOfService:
        """Returns the content of a token. Raises InvalidToken, and TokenExpired for a token with a valid signature."""
        if self._ring.is_stale:
            await self._ring.refresh()
        if self._generation != self._ring.generation:
            self._known = Recent(_MOST_SERVICE_BYTES)
            self._generation = self._ring.generation
        found = self._known.get(token)
        if found is not None:
            self._hit.inc()
        else:
            self._miss.inc()
            found = self._claims(await _payload_of(self._ring, Purpose.SERVICE, token, "service token"), now_ms)
            self._known.put(token, found)
        if found.until <= now_ms:
            self._known.drop(token)
            raise TokenExpired(reason="service token")
        return found

    def _claims(self, payload: bytes, now_ms: int) -> TokenOfService:
        try:
            claims = msgspec.convert(strict_json.read(payload, as_written=True), ServiceClaims, strict=True)
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
            raise InvalidToken(reason="service token: invalid issuer, audience, subject, or times")
        scopes = sum({_BIT.get(name, 0) for name in claims.scope.split(" ")})
        key, issued_at, until = f"service:{claims.jti}", claims.iat * 1000, claims.exp * 1000
        return TokenOfService(
            key=key,
            account=account,
            client=claims.client,
            scopes=scopes,
            issued_at=issued_at,
            until=until,
            is_scim=SCIM in claims.scope.split(" "),
        )


# ID tokens and logout tokens for apps (OpenID Connect Core, section 2; Back-Channel Logout, section 2.4), with keys
# that sign nothing else. Logout tokens have a different type, so that neither passes for the other.

LOGOUT_TYPE = "logout+jwt"


async def mint_for_app(ring: KeyRing, algorithm: str, claims: dict[str, Any], kind: str = "JWT") -> str:
    """Creates a signed token. RS256 takes 0.4 milliseconds of processor time; a thread for it would take half as much
    again."""
    key = await ring.of_apps(algorithm)
    header = encode(orjson.dumps({"alg": algorithm, "kid": key.id, "typ": kind}))
    return _signed(key.raw, header, orjson.dumps(claims))


class IdClaims(msgspec.Struct, frozen=True):
    """The claims of an ID token that an app sends back. Times aren't checked, because it might have expired."""

    iss: str
    sub: str
    aud: str
    sid: str


async def read_id_token(ring: KeyRing, issuer: str, token: str) -> IdClaims | None:
    """Returns the claims of an ID token of this issuer, expired or not; None for anything else."""
    for purpose in OF_APPS.values():
        with contextlib.suppress(InvalidToken, ValueError, msgspec.MsgspecError):
            await ring.ensure_current()
            payload = await _payload_of(ring, purpose, token, "ID token")
            claims = msgspec.convert(strict_json.read(payload, as_written=True), IdClaims, strict=True)
            return claims if claims.iss == issuer else None
    return None
