"""OAuth 2.0 as an authorization server for service accounts (RFC 6749, section 4.4): requests, assertions, errors.

Reads what a caller sends, and checks what it proves on its own. Never reads the store: other modules find the account,
check its secret, and check whether an assertion was used before.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, NamedTuple
from urllib.parse import unquote_plus

import msgspec
from msgspec import Meta

from manifest_auth.errors import (
    Forbidden,
    InternalError,
    InvalidCredentials,
    LicenseExpired,
    LicenseRequired,
    Overloaded,
    RateLimited,
    Refusal,
    Replay,
    ValidationError,
)
from manifest_auth.permissions import Permission
from manifest_auth.protocols.oidc import Key, read_key_set
from manifest_auth.text import strict_json
from manifest_auth.text.base64url import decode

# Errors of RFC 6749, section 5.2, and RFC 8707, section 2. Only the log has the reason.


class InvalidRequest(ValidationError):
    """A parameter is missing, repeated, or unreadable, or the request uses two authentication methods."""

    error: ClassVar[str] = "invalid_request"


class UnsupportedGrantType(ValidationError):
    error: ClassVar[str] = "unsupported_grant_type"


class UnauthorizedClient(ValidationError):
    """The caller is authenticated, but the grant is for another kind of client."""

    error: ClassVar[str] = "unauthorized_client"


class InvalidScope(ValidationError):
    error: ClassVar[str] = "invalid_scope"


class InvalidTarget(ValidationError):
    error: ClassVar[str] = "invalid_target"


class InvalidClient(InvalidCredentials):
    """The caller isn't a service account that can sign in. Every cause gets the same response."""

    error: ClassVar[str] = "invalid_client"

    def __init__(self, reason: str, *, told: str = "") -> None:
        """Creates the error. ``told`` is the cause, for a caller who presented the account's own secret or
        assertion."""
        super().__init__(told or "Client authentication failed", reason=f"client authentication: {reason}")


class TokenRefused(ValidationError):
    """An app, a device, or its grant is rejected: RFC 6749, section 5.2, and RFC 8628, section 3.5. ``error`` is their
    name for it."""

    def __init__(
        self, error: str, message: str, *, reason: str = "", replay: Replay | None = None, keeps_writes: bool = False
    ) -> None:
        super().__init__(message, reason=reason or f"oauth: {error}", replay=replay, keeps_writes=keeps_writes)
        self.error = error


_ERRORS: dict[type[Refusal], str] = {
    RateLimited: "temporarily_unavailable",
    Overloaded: "temporarily_unavailable",
    InternalError: "server_error",
    Forbidden: "access_denied",
    LicenseRequired: "access_denied",
    LicenseExpired: "access_denied",
}


def error_of(refusal: Refusal) -> str:
    """Returns the error code for any error; ``invalid_request`` if there is no closer one."""
    named: str | None = getattr(refusal, "error", None)
    if named is not None:
        return named
    return next((error for kind, error in _ERRORS.items() if isinstance(refusal, kind)), InvalidRequest.error)


# RFC 6749, 7009, 7662, and 8707 define the forms of ``/oauth2``. Unknown parameters are ignored, and empty ones count
# as omitted (RFC 6749, section 3.2).

GRANT_TYPE = "client_credentials"
DEVICE_CODE, REFRESH_TOKEN = "urn:ietf:params:oauth:grant-type:device_code", "refresh_token"
#: The grant types of service accounts and of device apps.
OF_SERVICES, OF_DEVICES = (GRANT_TYPE,), (DEVICE_CODE, REFRESH_TOKEN)
RESOURCE = "resource"
_MOST_SCOPE = 1000
SCOPE = re.compile(r"[!#-\[\]-~]+( [!#-\[\]-~]+)*\Z")  # RFC 6749, section 3.3
#: The scope with which a service account acts as the SCIM connection that it owns.
SCIM = "scim"
SCOPES = (*(permission.value for permission in Permission), SCIM)


def read_form(fields: Mapping[str, str]) -> dict[str, str]:
    """Returns the fields that aren't empty."""
    return {name: value for name, value in fields.items() if value}


def read_grant(fields: Mapping[str, str], own: tuple[str, ...]) -> str:
    """Returns the grant type of a request to ``/oauth2/token``. ``own`` contains the grant types of the caller's kind.
    Raises InvalidRequest, UnsupportedGrantType, or UnauthorizedClient."""
    grant_type = required(fields, "grant_type")
    if grant_type not in (*OF_SERVICES, *OF_DEVICES):
        raise UnsupportedGrantType(f"grant_type must be {GRANT_TYPE}, {DEVICE_CODE} or {REFRESH_TOKEN}")
    if grant_type not in own:
        raise UnauthorizedClient(f"grant_type must be {' or '.join(own)} for this client")
    return grant_type


def check_resource(fields: Mapping[str, str], issuer: str) -> None:
    """Raises InvalidTarget if the resource isn't this server (RFC 8707, section 2)."""
    if fields.get(RESOURCE, issuer) != issuer:
        raise InvalidTarget("resource must be the issuer")


def read_scope(fields: Mapping[str, str], issuer: str) -> frozenset[str] | None:
    """Returns the names in the scope of a service account's token request. None if it asks for everything that the
    account can do. Raises InvalidScope, and the errors of :func:`read_grant` and :func:`check_resource`."""
    read_grant(fields, OF_SERVICES)
    check_resource(fields, issuer)
    return _scope(fields["scope"]) if "scope" in fields else None


def _scope(text: str) -> frozenset[str]:
    if len(text) > _MOST_SCOPE or not SCOPE.match(text):
        raise InvalidScope("scope must be names separated by single spaces")
    names = text.split(" ")
    if unknown := [name for name in names if name not in SCOPES]:
        raise InvalidScope(f"scope contains an unknown permission: {unknown[0]}")
    return frozenset(names)


def required(fields: Mapping[str, str], name: str) -> str:
    """Returns a required field. Raises InvalidRequest."""
    if name not in fields:
        raise InvalidRequest(f"{name} is missing")
    return fields[name]


# A service account's keys are a JWK set (RFC 7517), given by value. There is no address to fetch a set from, because
# the server never calls an address that a caller names.

ALGORITHMS = ("ES256", "PS256", "RS256")


def read_keys(jwks: str | None) -> tuple[Key, ...]:
    """Returns the keys of a stored set; none if the account has no set."""
    return () if jwks is None else read_key_set(strict_json.read(jwks.encode()))


# RFC 6749, section 2.3.1, and RFC 7523, section 2.2. Requests with two methods are rejected.

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt")
_PREFIX = "svc_"
_ID = re.compile(r"svc_([1-9][0-9]{0,18})\Z")
_APP_ID = re.compile(r"app_[A-Za-z0-9_-]{16,22}\Z")
_MOST_ID = 2**63 - 1
_LONGEST = 1024  # of a Basic header
_FORM_CODED = re.compile(r"(?:[!-$&-~]|%[0-9A-Fa-f]{2})*\Z")  # visible ASCII; each % must be followed by two digits


class ClientSecret(NamedTuple):
    """A client secret, as sent. ``by`` is the method's name in RFC 7591."""

    client_id: str
    secret: str
    by: str


class ClientAssertion(NamedTuple):
    """A ``private_key_jwt``, as sent. ``client_id`` is empty if only the assertion contains it."""

    client_id: str
    text: str


def client_id_of(account: int) -> str:
    """The client id of a service account."""
    return f"{_PREFIX}{account}"


def account_of(client_id: str) -> int | None:
    """Returns the number of the service account; None if the text isn't a client ID in its only valid spelling."""
    found = _ID.match(client_id)
    number = int(found[1]) if found else 0
    return number if 0 < number <= _MOST_ID else None


def is_client_id(text: str) -> bool:
    """Whether a text is the client ID of a service account or of an app, in its only valid spelling."""
    return _APP_ID.match(text) is not None or account_of(text) is not None


def read_authentication(authorization: str | None, fields: Mapping[str, str]) -> ClientSecret | ClientAssertion:
    """Returns the caller's credentials, not yet verified. ``authorization`` is the header of that name, and ``fields``
    is the form. Raises InvalidClient, or InvalidRequest if there are two methods."""
    client_id, secret = fields.get("client_id", ""), fields.get("client_secret")
    by_assertion = "client_assertion" in fields or "client_assertion_type" in fields
    if (authorization is not None) + by_assertion + (secret is not None) > 1:
        raise InvalidRequest("The client authenticates in more than one way")
    if secret is not None:
        return ClientSecret(client_id, secret, "client_secret_post")
    if authorization is not None:
        basic = _basic(authorization)
        if client_id not in ("", basic.client_id):
            raise InvalidClient("the body and the header name different clients")
        return basic
    if not by_assertion:
        raise InvalidClient("none was sent")
    if fields.get("client_assertion_type") != ASSERTION_TYPE:
        raise InvalidClient("unknown type of assertion")
    return ClientAssertion(client_id, fields.get("client_assertion", ""))


def _basic(authorization: str) -> ClientSecret:
    scheme, _, coded = authorization.partition(" ")
    if scheme.lower() != "basic" or len(coded) > _LONGEST:
        raise InvalidClient("not a Basic header")
    try:
        text = base64.b64decode(coded.strip(" "), validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        raise InvalidClient("the Basic header isn't ASCII in base64") from None
    client_id, colon, secret = text.partition(":")
    if not colon:
        raise InvalidClient("the Basic header has no colon")
    return ClientSecret(_decoded(client_id), _decoded(secret), "client_secret_basic")


def _decoded(coded: str) -> str:
    """Decodes a part of the Basic header, which is encoded like a form value (RFC 6749, appendix B)."""
    if not _FORM_CODED.match(coded):
        raise InvalidClient("the Basic header isn't encoded like a form")
    return unquote_plus(coded, "utf-8", "replace")


# Verifies the assertion of ``private_key_jwt``: RFC 7523, section 3, and RFC 8725.
#
# The audience must be the issuer alone, as one text. An assertion that names this server's token endpoint, or also
# other audiences, might have been made for someone else.

MAX_LENGTH = 8192
#: The maximum time until an assertion expires, in seconds.
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
    """An unverified assertion with valid claims. ``exp`` is in seconds since 1970, rounded up. ``kid`` is None if the
    header names no key."""

    client_id: str
    jti: str
    exp: int
    algorithm: str
    kid: str | None
    signed: bytes
    signature: bytes


def read_assertion(text: str, client_id: str, issuer: str, now_ms: int) -> Assertion:
    """Returns the content of an assertion; :func:`verify` checks its signature. ``client_id`` comes from the request,
    and is empty if it names none. ``issuer`` issues tokens to service accounts, or to a client's apps. Raises
    InvalidClient."""
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
    now = now_ms / 1000
    checks = {
        "iss": claims.iss == claims.sub,
        "sub": is_client_id(claims.sub) and client_id in ("", claims.sub),
        "aud": claims.aud == issuer,
        "exp": now < claims.exp <= now + LIFE_S,
        "iat": claims.iat <= now + _SKEW_S,
        "nbf": claims.nbf <= now + _SKEW_S,
    }
    wrong = [name for name, is_right in checks.items() if not is_right]
    if wrong:
        raise InvalidClient(f"assertion: {', '.join(wrong)}")
    return Assertion(
        client_id=claims.sub,
        jti=claims.jti,
        exp=-int(-claims.exp // 1),
        algorithm=algorithm,
        kid=kid,
        signed=signed.encode(),
        signature=raw_signature,
    )


def _header(header: Any) -> tuple[str, str | None]:
    """Returns the algorithm and ``kid``. Ignores keys in the header (``jwk``, ``jku``, ``x5c``)."""
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


def verify(assertion: Assertion, keys: Sequence[Key]) -> None:
    """Checks the signature with the account's own few keys: with the named one, otherwise with every key that fits (RFC
    7515, section 4.1.4 and appendix D). Raises InvalidClient."""
    fitting = [key for key in keys if assertion.kid in (None, key.kid) and key.fits(assertion.algorithm)]
    if not fitting:
        raise InvalidClient("assertion: its key isn't one of the account's")
    if not any(key.verifies(assertion.algorithm, assertion.signed, assertion.signature) for key in fitting):
        raise InvalidClient("assertion: signature")


PATH = "/.well-known/oauth-authorization-server"
PREFIX = "/oauth2/"
TOKEN, REVOCATION, INTROSPECTION = "/oauth2/token", "/oauth2/revoke", "/oauth2/introspect"
DEVICE_AUTHORIZATION, PAIRING = "/oauth2/device_authorization", "/oauth2/pairing"

#: Endpoints that public apps use too, which authenticate with ``none``.
_PUBLIC = ("token", "revocation")


def endpoints(issuer: str, *paths: str) -> dict[str, Any]:
    """Returns metadata members for the token, revocation, and introspection endpoints."""
    found: dict[str, Any] = {}
    for name, path in zip(("token", "revocation", "introspection"), paths, strict=True):
        found |= {
            f"{name}_endpoint": f"{issuer}{path}",
            f"{name}_endpoint_auth_methods_supported": [*METHODS, *(["none"] if name in _PUBLIC else [])],
            f"{name}_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        }
    return found


def metadata(issuer: str) -> dict[str, Any]:
    """Returns the metadata document for an issuer, which is the public address without a trailing slash."""
    return {
        "issuer": issuer,
        "jwks_uri": f"{issuer}/.well-known/jwks.json",
        **endpoints(issuer, TOKEN, REVOCATION, INTROSPECTION),
        "device_authorization_endpoint": f"{issuer}{DEVICE_AUTHORIZATION}",
        "pairing_endpoint": f"{issuer}{PAIRING}",
        "grant_types_supported": [GRANT_TYPE, DEVICE_CODE, REFRESH_TOKEN],
        "response_types_supported": [],
        "scopes_supported": list(SCOPES),
    }
