"""Verifies the assertion of ``private_key_jwt``: RFC 7523, section 3, and RFC 8725.

The audience is the issuer alone, as one text: an assertion that names this server's token endpoint, or names others
beside it, may have been made for someone else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from manifest_auth.protocols.oauth.authentication import account_of
from manifest_auth.protocols.oauth.client_keys import ALGORITHMS, ClientKey
from manifest_auth.protocols.oauth.errors import InvalidClient
from manifest_auth.text import strict_json
from manifest_auth.text.base64url import decode

MAX_LENGTH = 8192
#: How far ahead the end of an assertion may be, seconds.
LIFE_S = 300
_SKEW_S = 60
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\Z")
_TYPES = ("jwt", "client-authentication+jwt")
_Time = int | float


class _Claims(msgspec.Struct, frozen=True):
    iss: str
    sub: str
    aud: str
    exp: _Time
    jti: Annotated[str, Meta(min_length=1, max_length=255)]
    iat: _Time = 0
    nbf: _Time = 0


class Assertion(NamedTuple):
    """An assertion whose claims are right and whose signature is not verified. ``exp``: seconds since 1970, rounded
    up; ``kid``: None where the header names no key."""

    account: int
    jti: str
    exp: int
    algorithm: str
    kid: str | None
    signed: bytes
    signature: bytes


def read_assertion(text: str, client_id: str, issuer: str, now_ms: int) -> Assertion:
    """The content of an assertion, whose signature :func:`verify` checks. ``client_id``: of the request, empty where it
    names none; ``issuer``: this server's. Raises InvalidClient."""
    if len(text) > MAX_LENGTH or not _COMPACT.match(text):
        raise InvalidClient("assertion: not three segments of at most 8 KiB")
    signed, _, signature = text.rpartition(".")
    head, _, payload = signed.partition(".")
    try:
        header = strict_json.read(decode(head))
        claims = msgspec.convert(strict_json.read(decode(payload)), _Claims, strict=True)
        raw_signature = decode(signature)
    except (ValueError, msgspec.MsgspecError) as error:
        raise InvalidClient(f"assertion: {error}") from None
    algorithm, kid = _header(header)
    account = account_of(claims.sub)
    now = now_ms / 1000
    checks = {
        "iss": claims.iss == claims.sub,
        "sub": account is not None and client_id in ("", claims.sub),
        "aud": claims.aud == issuer,
        "exp": now < claims.exp <= now + LIFE_S,
        "iat": claims.iat <= now + _SKEW_S,
        "nbf": claims.nbf <= now + _SKEW_S,
    }
    wrong = [name for name, is_right in checks.items() if not is_right]
    if wrong or account is None:
        raise InvalidClient(f"assertion: {', '.join(wrong)}")
    return Assertion(
        account=account, jti=claims.jti, exp=-int(-claims.exp // 1), algorithm=algorithm, kid=kid,
        signed=signed.encode(), signature=raw_signature,
    )  # fmt: skip


def _header(header: Any) -> tuple[str, str | None]:
    """Algorithm and ``kid``. Keys in the header (``jwk``, ``jku``, ``x5c``) are never looked at."""
    if not isinstance(header, dict) or {"crit", "b64"} & header.keys():
        raise InvalidClient("assertion: header")
    algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
    if algorithm not in ALGORITHMS:
        raise InvalidClient("assertion: algorithm")
    if not isinstance(kid, str | None):
        raise InvalidClient("assertion: kid")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise InvalidClient("assertion: type")
    return str(algorithm), kid


def verify(assertion: Assertion, keys: Sequence[ClientKey]) -> None:
    """Checks the signature with the account's own keys, which are few: with the one that is named, else with all that
    fit (RFC 7515, section 4.1.4 and appendix D). Raises InvalidClient."""
    fitting = [key for key in keys if assertion.kid in (None, key.kid) and key.fits(assertion.algorithm)]
    if not fitting:
        raise InvalidClient("assertion: its key is not among the account's")
    if not any(key.verifies(assertion.algorithm, assertion.signed, assertion.signature) for key in fitting):
        raise InvalidClient("assertion: signature")
