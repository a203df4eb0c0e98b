"""Claims about a person: verifies ID tokens and userinfo (OpenID Connect Core 1.0, sections 2, 3.1.3.7 and 5.3)."""

from __future__ import annotations

import hashlib
import re
from typing import Any, NamedTuple, TypeGuard

from manifest_auth.errors import Reason
from manifest_auth.protocols.oidc.discovery import Key
from manifest_auth.protocols.oidc.messages import OidcRefused
from manifest_auth.runtime.outgoing import Deadline, Outgoing
from manifest_auth.runtime.outgoing_guard import Reply, Unreachable, parse
from manifest_auth.text.base64url import decode, encode

# ID tokens are verified according to OpenID Connect Core 1.0, sections 2 and 3.1.3.7, and RFC 8725. Each check can
# reject a token on its own. Keys in the header (``jwk``, ``jku``, ``x5c``) are ignored. ``kid`` only selects among the
# keys that the provider publishes.

MAX_LENGTH = 16 * 1024
MAX_SUBJECT = 255
SKEW_S = 60
_MOST_TRIED = 16  # keys to try for a token without a kid
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\Z")
#: Often absent. Other kinds of JWT (``at+jwt``, ``logout+jwt``) have their own types and are rejected.
_TYPES = frozenset({"jwt", "jose", "id_token+jwt"})
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Expected(NamedTuple):
    """The values that the token must have."""

    issuer: str
    client_id: str
    nonce: str
    now_ms: int
    audiences: tuple[str, ...] = ()  # other accepted audiences


class Signed(NamedTuple):
    """The parts of an unverified token."""

    algorithm: str
    kid: str | None
    text: bytes  # the signed bytes
    payload: bytes
    signature: bytes


_ALSO_FOR = Reason(
    "ID token: aud: also for …",
    cause="The token is also for another application",
    cure="If you trust that application, add it to `audiences`",
)
_ALGORITHM = Reason(
    "ID token: signed with …",
    cause="HS256 or `none`, or an algorithm that the discovery document doesn't list",
    cure="Use RS256 or better at the provider",
)
_ID_TOKEN = Reason(
    "ID token: …",
    cause="A claim (`aud`, `azp`, `iss`, `nonce`, `exp`, `iat`, …), the key, or the format is invalid. For "
    "example, the token is for another user, was issued more than a minute in the future, or expired over a minute ago",
    cure="Check NTP on this server and the client ID",
)
_USERINFO_SAYS = Reason(
    "userinfo …",
    cause="The provider doesn't send the address or groups, which the ID token lacks",
    cure="Check `scopes`, and what the provider sends to this application",
)
USERINFO = _USERINFO_SAYS.also("userinfo: …")


class NoKey(OidcRefused):
    """None of the known keys verifies the token. It is forged, or signed with a newer key."""


def read_token(token: object, algorithms: tuple[str, ...]) -> Signed:
    """Returns the parts of a token. Raises OidcRefused for its structure, its type, or an algorithm that isn't in
    ``algorithms``."""
    if not isinstance(token, str) or len(token) > MAX_LENGTH or not _COMPACT.match(token):
        raise OidcRefused(_ID_TOKEN.with_("not three segments of at most 16 KiB"))
    text, _, signature = token.rpartition(".")
    coded, _, payload = text.partition(".")
    try:
        header = parse(decode(coded))
        signed = Signed("", None, text.encode(), decode(payload), decode(signature))
    except ValueError as error:
        raise OidcRefused(_ID_TOKEN.with_(error)) from None
    if not isinstance(header, dict) or {"crit", "b64"} & header.keys():
        raise OidcRefused(_ID_TOKEN.with_("header"))
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        told = f"{str(algorithm)[:20]!r}, which the provider doesn't announce or this server doesn't accept"
        raise OidcRefused(_ALGORITHM.with_(told))
    if str(header.get("typ", "JWT")).lower().removeprefix("application/") not in _TYPES:
        raise OidcRefused(_ID_TOKEN.with_(f"of type {str(header['typ'])[:20]!r}"))
    if "kid" in header and not isinstance(kid, str):
        raise OidcRefused(_ID_TOKEN.with_("kid isn't a text"))
    return signed._replace(algorithm=algorithm, kid=kid)


def verifying_key(signed: Signed, keys: tuple[Key, ...]) -> Key:
    """Returns the key that signed it. Raises NoKey."""
    usable = [key for key in keys if key.fits(signed.algorithm)]
    fitting = [key for key in usable if signed.kid in (None, key.kid)]
    fitting = fitting or [key for key in usable if key.kid is None]  # keys might not have a kid (RFC 7517, 4.5)
    if not fitting:
        raise NoKey(_ID_TOKEN.with_("its key isn't one of the provider's"))
    for key in fitting[:_MOST_TRIED]:
        if key.verifies(signed.algorithm, signed.text, signed.signature):
            return key
    raise NoKey(_ID_TOKEN.with_("signature"))


def claims_of(signed: Signed, expected: Expected) -> dict[str, Any]:
    """Returns the claims of a token with a verified signature. Raises OidcRefused, which names the invalid claims."""
    try:
        claims = parse(signed.payload)
    except ValueError as error:
        raise OidcRefused(_ID_TOKEN.with_(f"claims: {error}")) from None
    if not isinstance(claims, dict):
        raise OidcRefused(_ID_TOKEN.with_("claims: not an object"))
    checks = {
        "iss": claims.get("iss") == expected.issuer,
        "aud": is_for(claims.get("aud"), expected.client_id),
        "azp": claims.get("azp", expected.client_id) == expected.client_id,
        "nonce": claims.get("nonce") == expected.nonce,
        "sub": is_subject(claims.get("sub")),
        **_times(claims, expected.now_ms / 1000),
    }
    if wrong := [name for name, is_right in checks.items() if not is_right]:
        raise OidcRefused(_ID_TOKEN.with_(", ".join(wrong)))
    if foreign := foreign_audiences(claims["aud"], expected.client_id, expected.audiences):
        raise OidcRefused(_ALSO_FOR.with_(f"{foreign[0][:100]!r}, which is not among the provider's audiences"))
    return claims


def check_access_token(claims: dict[str, Any], algorithm: str, key: Key, access_token: str) -> None:
    """Checks ``at_hash``, if present (section 3.1.3.6). Raises OidcRefused if the two tokens weren't issued
    together."""
    if "at_hash" in claims and claims["at_hash"] != _half_hash(algorithm, key, access_token.encode()):
        raise OidcRefused(_ID_TOKEN.with_("at_hash"))


def is_subject(sub: object) -> bool:
    """Whether ``sub`` is valid: at most 255 characters, without control characters."""
    return isinstance(sub, str) and 0 < len(sub) <= MAX_SUBJECT and not _CONTROL.search(sub)


def is_for(audience: object, client_id: str) -> bool:
    """Whether ``aud``, a text or a list of texts, contains the client id."""
    audiences = [audience] if isinstance(audience, str) else audience
    return isinstance(audiences, list) and all(isinstance(one, str) for one in audiences) and client_id in audiences


def foreign_audiences(audience: str | list[str], client_id: str, trusted: tuple[str, ...]) -> list[str]:
    """Returns audiences in ``aud`` other than the client and the trusted ones (section 3.1.3.7)."""
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
    """Whether the value is a JSON number, possibly with a fraction (RFC 7519, section 2), in the range of a time."""
    return isinstance(number, int | float) and not isinstance(number, bool) and 0 <= number < 2**53


def _half_hash(algorithm: str, key: Key, text: bytes) -> str:
    if algorithm not in ("EdDSA", "Ed25519", "Ed448"):
        digest = hashlib.new(f"sha{algorithm[2:]}", text).digest()
    elif key.kind == "Ed448":
        digest = hashlib.shake_256(text).digest(114)  # the hash that the signature algorithm itself uses (RFC 8032)
    else:
        digest = hashlib.sha512(text).digest()
    return encode(digest[: len(digest) // 2])


# Userinfo (OpenID Connect Core, section 5.3): claims that the ID token lacks, as JSON or as a signed JWT.


#: How and when the user authenticated. Only the ID token states this, because only it is about this authentication.
_OF_AUTHENTICATION = frozenset({"amr", "acr", "acrs", "auth_time"})


async def fetch_userinfo(outgoing: Outgoing, address: str, access_token: str, deadline: Deadline) -> Reply:
    """Returns the unchecked response. Raises Unreachable for a broken provider, and OidcRefused for any other error."""
    sent = {"Authorization": f"Bearer {access_token}"}
    reply = await outgoing.get(address, headers=sent, deadline=deadline, call="userinfo")
    if reply.status >= 500:
        raise Unreachable(f"userinfo returned {reply.status}")
    if reply.status != 200:
        raise OidcRefused(_USERINFO_SAYS.with_(f"returned {reply.status}"))
    return reply


def is_signed(reply: Reply) -> bool:
    """Whether the response is a JWT, according to its media type (section 5.3.2)."""
    return reply.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/jwt"


def signed(reply: Reply, algorithms: tuple[str, ...]) -> Signed:
    """Returns the parts of the JWT. Raises OidcRefused, also for an encrypted one."""
    return read_token(reply.body.decode("ascii", "replace").strip(), algorithms)


def read_userinfo(body: bytes) -> dict[str, Any]:
    """Returns the claims of a userinfo response. Raises OidcRefused unless the body is a JSON object."""
    try:
        found = parse(body.removeprefix(b"\xef\xbb\xbf"))
    except ValueError as error:
        raise OidcRefused(USERINFO.with_(error)) from None
    if not isinstance(found, dict):
        raise OidcRefused(_USERINFO_SAYS.with_("isn't an object"))
    return found


def check_userinfo(claims: dict[str, Any], sub: str) -> None:
    """Raises OidcRefused for the claims of another user (section 5.3.2)."""
    if claims.get("sub") != sub:
        raise OidcRefused(_USERINFO_SAYS.with_("is about another user"))


def check_signed(claims: dict[str, Any], issuer: str, client_id: str, trusted: tuple[str, ...]) -> None:
    """Checks the issuer and audience of a signed response (section 5.3.2). Raises OidcRefused."""
    if claims.get("iss") != issuer or not is_for(claims.get("aud"), client_id):
        raise OidcRefused(USERINFO.with_("signed by or for another party"))
    if foreign_audiences(claims["aud"], client_id, trusted):
        raise OidcRefused(USERINFO.with_("signed by or for another party"))


def merged(token_claims: dict[str, Any], info: dict[str, Any]) -> dict[str, Any]:
    """Merges the claims of both. Claims of the ID token take precedence, and only it states how the user authenticated.
    ``email_verified`` comes from the same source as the email address."""
    both = {name: value for name, value in info.items() if name not in _OF_AUTHENTICATION} | token_claims
    marks = (
        (info, token_claims)
        if "email" not in token_claims
        else (token_claims, info if info.get("email") == token_claims["email"] else {})
    )
    both.pop("email_verified", None)
    found = [source["email_verified"] for source in marks if "email_verified" in source]
    return {**both, **({"email_verified": found[0]} if found else {})}
