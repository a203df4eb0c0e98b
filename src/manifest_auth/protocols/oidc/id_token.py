"""Verifies ID tokens: OpenID Connect Core 1.0, sections 2 and 3.1.3.7, and RFC 8725.

No input or output.

Each check can refuse by itself. Keys in the header (``jwk``, ``jku``, ``x5c``) are ignored; ``kid`` only selects among
the keys that the provider publishes.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, NamedTuple, TypeGuard

from manifest_auth.protocols.oidc.errors import Refused
from manifest_auth.protocols.oidc.keys import Key
from manifest_auth.runtime.outgoing import parse
from manifest_auth.text.base64url import decode, encode

MAX_LENGTH = 16 * 1024
MAX_SUBJECT = 255
SKEW_S = 60
_MOST_TRIED = 16  # keys tried for a token without kid
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\Z")
#: Often absent. Other kinds of JWT (``at+jwt``, ``logout+jwt``) have their own types, and are refused.
_TYPES = frozenset({"jwt", "jose", "id_token+jwt"})
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Expected(NamedTuple):
    """The values that the token must have."""

    issuer: str
    client_id: str
    nonce: str
    now_ms: int
    audiences: tuple[str, ...] = ()  # further accepted audiences


class Signed(NamedTuple):
    """The parts of a token, not verified."""

    algorithm: str
    kid: str | None
    text: bytes  # the signed bytes
    payload: bytes
    signature: bytes


class NoKey(Refused):
    """None of the known keys verifies the token: it is forged, or signed with a newer key."""


def read(token: object, algorithms: tuple[str, ...]) -> Signed:
    """The parts of a token. Raises Refused for its shape, its type, and an algorithm that is not in ``algorithms``."""
    if not isinstance(token, str) or len(token) > MAX_LENGTH or not _COMPACT.match(token):
        raise Refused("ID token: not three segments of at most 16 KiB")
    text, _, signature = token.rpartition(".")
    coded, _, payload = text.partition(".")
    try:
        header = parse(decode(coded))
        signed = Signed("", None, text.encode(), decode(payload), decode(signature))
    except ValueError as error:
        raise Refused(f"ID token: {error}") from None
    if not isinstance(header, dict) or {"crit", "b64"} & header.keys():
        raise Refused("ID token: header")
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise Refused(
            f"ID token: signed with {str(algorithm)[:20]!r}, which the provider does not announce or we refuse"
        )
    if str(header.get("typ", "JWT")).lower().removeprefix("application/") not in _TYPES:
        raise Refused(f"ID token: of type {str(header['typ'])[:20]!r}")
    if "kid" in header and not isinstance(kid, str):
        raise Refused("ID token: kid is no text")
    return signed._replace(algorithm=algorithm, kid=kid)


def verifying_key(signed: Signed, keys: tuple[Key, ...]) -> Key:
    """The key that signed it. Raises NoKey."""
    usable = [key for key in keys if key.fits(signed.algorithm)]
    fitting = [key for key in usable if signed.kid in (None, key.kid)]
    fitting = fitting or [key for key in usable if key.kid is None]  # keys may lack a kid (RFC 7517, 4.5)
    if not fitting:
        raise NoKey("ID token: its key is not among the provider's")
    for key in fitting[:_MOST_TRIED]:
        if key.verifies(signed.algorithm, signed.text, signed.signature):
            return key
    raise NoKey("ID token: signature")


def claims_of(signed: Signed, expected: Expected) -> dict[str, Any]:
    """The claims of a token with a verified signature. Raises Refused, which names the wrong claims."""
    try:
        claims = parse(signed.payload)
    except ValueError as error:
        raise Refused(f"ID token: claims: {error}") from None
    if not isinstance(claims, dict):
        raise Refused("ID token: claims: no object")
    checks = {
        "iss": claims.get("iss") == expected.issuer,
        "aud": is_for(claims.get("aud"), expected.client_id),
        "azp": claims.get("azp", expected.client_id) == expected.client_id,
        "nonce": claims.get("nonce") == expected.nonce,
        "sub": is_subject(claims.get("sub")),
        **_times(claims, expected.now_ms / 1000),
    }
    if wrong := [name for name, is_right in checks.items() if not is_right]:
        raise Refused(f"ID token: {', '.join(wrong)}")
    if foreign := foreign_audiences(claims["aud"], expected.client_id, expected.audiences):
        raise Refused(f"ID token: aud: also for {foreign[0][:100]!r}, which is not among the provider's audiences")
    return claims


def check_access_token(claims: dict[str, Any], algorithm: str, key: Key, access_token: str) -> None:
    """Checks ``at_hash``, if present (section 3.1.3.6). Raises Refused when the two tokens were not issued together."""
    if "at_hash" in claims and claims["at_hash"] != _half_hash(algorithm, key, access_token.encode()):
        raise Refused("ID token: at_hash")


def is_subject(sub: object) -> bool:
    """Whether ``sub`` is valid: at most 255 characters, without control characters."""
    return isinstance(sub, str) and 0 < len(sub) <= MAX_SUBJECT and not _CONTROL.search(sub)


def is_for(audience: object, client_id: str) -> bool:
    """Whether ``aud``, a text or a list of texts, contains the client id."""
    audiences = [audience] if isinstance(audience, str) else audience
    return isinstance(audiences, list) and all(isinstance(one, str) for one in audiences) and client_id in audiences


def foreign_audiences(audience: str | list[str], client_id: str, trusted: tuple[str, ...]) -> list[str]:
    """Audiences in ``aud`` other than the client and the trusted ones (section 3.1.3.7)."""
    audiences = [audience] if isinstance(audience, str) else audience
    return [one for one in audiences if one != client_id and one not in trusted]


def _times(claims: dict[str, Any], now: float) -> dict[str, bool]:
    exp, iat, nbf = claims.get("exp"), claims.get("iat"), claims.get("nbf", 0)
    return {
        "exp": _is_time(exp) and now < exp + SKEW_S,
        "iat": _is_time(iat) and iat <= now + SKEW_S,
        "nbf": _is_time(nbf) and nbf <= now + SKEW_S,
    }


def _is_time(number: object) -> TypeGuard[int | float]:
    """Whether it is a JSON number, fractions allowed (RFC 7519, section 2), in the range of a time."""
    return isinstance(number, int | float) and not isinstance(number, bool) and 0 <= number < 2**53


def _half_hash(algorithm: str, key: Key, text: bytes) -> str:
    if algorithm not in ("EdDSA", "Ed25519", "Ed448"):
        digest = hashlib.new(f"sha{algorithm[2:]}", text).digest()
    elif key.kind == "Ed448":
        digest = hashlib.shake_256(text).digest(114)  # the hash that the signature itself uses (RFC 8032)
    else:
        digest = hashlib.sha512(text).digest()
    return encode(digest[: len(digest) // 2])
