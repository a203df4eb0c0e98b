"""Requests that ``/oauth2`` takes (RFC 6749, 7009, 7662, 8707), and the errors that it answers with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

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

# Errors of RFC 6749, section 5.2, and RFC 8707, section 2, as refusals; the log alone has the reason.


class InvalidRequest(ValidationError):
    """A parameter is missing, given twice or not readable, or two ways of authentication are used at once."""

    error: ClassVar[str] = "invalid_request"


class UnsupportedGrantType(ValidationError):
    error: ClassVar[str] = "unsupported_grant_type"


class UnauthorizedClient(ValidationError):
    """The caller is authenticated, and the grant is for clients of another kind."""

    error: ClassVar[str] = "unauthorized_client"


class InvalidScope(ValidationError):
    error: ClassVar[str] = "invalid_scope"


class InvalidTarget(ValidationError):
    error: ClassVar[str] = "invalid_target"


class InvalidClient(InvalidCredentials):
    """The caller proved to be no service account that may come in: one answer for every cause."""

    error: ClassVar[str] = "invalid_client"

    def __init__(self, reason: str) -> None:
        super().__init__("Client authentication failed", reason=f"client authentication: {reason}")


class TokenRefused(ValidationError):
    """A device or its grant is refused: RFC 6749, section 5.2, and RFC 8628, section 3.5. ``error``: as they name
    it."""

    def __init__(self, error: str, message: str, *, reason: str = "", replay: Replay | None = None) -> None:
        super().__init__(message, reason=reason or f"oauth: {error}", replay=replay)
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
    """The error code for a refusal of any kind; ``invalid_request`` where there is no nearer one."""
    named: str | None = getattr(refusal, "error", None)
    if named is not None:
        return named
    return next((error for kind, error in _ERRORS.items() if isinstance(refusal, kind)), InvalidRequest.error)


# The forms that ``/oauth2`` takes, as RFC 6749, 7009, 7662 and 8707 write them.
#
# Unknown parameters are ignored, empty ones count as left out (RFC 6749, section 3.2).

GRANT_TYPE = "client_credentials"
DEVICE_CODE, REFRESH_TOKEN = "urn:ietf:params:oauth:grant-type:device_code", "refresh_token"
#: What service accounts ask with, and what device apps do.
OF_SERVICES, OF_DEVICES = (GRANT_TYPE,), (DEVICE_CODE, REFRESH_TOKEN)
RESOURCE = "resource"
_MOST_SCOPE = 1000
_SCOPE = re.compile(r"[!#-\[\]-~]+( [!#-\[\]-~]+)*\Z")  # RFC 6749, section 3.3
_PERMISSIONS = {permission.value: permission for permission in Permission}


class TokenRequest(NamedTuple):
    """A request for a token. ``scope``: None where it asks for all that the account may do."""

    scope: frozenset[Permission] | None


def read_form(fields: Mapping[str, str]) -> dict[str, str]:
    """The fields without the empty ones."""
    return {name: value for name, value in fields.items() if value}


def read_grant(fields: Mapping[str, str], own: tuple[str, ...]) -> str:
    """The grant type of a request of ``/oauth2/token``. ``own``: those of the caller's kind. Raises InvalidRequest,
    UnsupportedGrantType, UnauthorizedClient."""
    grant_type = required(fields, "grant_type")
    if grant_type not in (*OF_SERVICES, *OF_DEVICES):
        raise UnsupportedGrantType(f"grant_type must be {GRANT_TYPE}, {DEVICE_CODE} or {REFRESH_TOKEN}")
    if grant_type not in own:
        raise UnauthorizedClient(f"grant_type must be {' or '.join(own)} for this client")
    return grant_type


def check_resource(fields: Mapping[str, str], issuer: str) -> None:
    """Raises InvalidTarget for another resource than this server (RFC 8707, section 2)."""
    if fields.get(RESOURCE, issuer) != issuer:
        raise InvalidTarget("resource must be the issuer")


def read_token_request(fields: Mapping[str, str], issuer: str) -> TokenRequest:
    """The request of a service account. Raises InvalidScope, and as :func:`read_grant` and :func:`check_resource`."""
    read_grant(fields, OF_SERVICES)
    check_resource(fields, issuer)
    return TokenRequest(_scope(fields["scope"]) if "scope" in fields else None)


def _scope(text: str) -> frozenset[Permission]:
    if len(text) > _MOST_SCOPE or not _SCOPE.match(text):
        raise InvalidScope("scope must be names separated by single spaces")
    found = [_PERMISSIONS.get(name) for name in text.split(" ")]
    wanted = frozenset(permission for permission in found if permission is not None)
    if None in found:
        raise InvalidScope("scope has a name that is no permission")
    return wanted


def read_token(fields: Mapping[str, str]) -> str:
    """The token that is to be revoked or introspected; ``token_type_hint`` changes nothing, as RFC 7009 allows. Raises
    InvalidRequest."""
    return required(fields, "token")


def required(fields: Mapping[str, str], name: str) -> str:
    """A field that must be there. Raises InvalidRequest."""
    if name not in fields:
        raise InvalidRequest(f"{name} is missing")
    return fields[name]
