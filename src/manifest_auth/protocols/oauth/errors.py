"""Errors of RFC 6749, section 5.2, and RFC 8707, section 2, as refusals; the log alone has the reason."""

from __future__ import annotations

from typing import ClassVar

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
