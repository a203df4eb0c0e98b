"""The refusals of the server, a class for each code of its closed list.

Generated from the server's list by ``./dev docs``; a test compares the two.
"""

from __future__ import annotations

from manifest_auth_client._failure import Continues, ManifestAuthError


class InvalidCredentials(ManifestAuthError):
    """Incorrect password, unknown email address or client, locked account, SSO-only account, or no password set. All of
    them get the same response."""

    code, status, message = "INVALID_CREDENTIALS", 401, "Invalid email or password"


class Unauthenticated(ManifestAuthError):
    """The request has no credential."""

    code, status, message = "UNAUTHENTICATED", 401, "Authentication required"


class InvalidToken(ManifestAuthError):
    """Malformed, forged, revoked, of another kind, or issued for other routes."""

    code, status, message = "INVALID_TOKEN", 401, "Invalid token"


class TokenExpired(ManifestAuthError):
    """Valid but expired: refresh, or sign in again."""

    code, status, message = "TOKEN_EXPIRED", 401, "Token has expired"


class Forbidden(ManifestAuthError):
    """The caller's roles or address don't allow the request, a cookie was sent from another site, or ``X-Client-ID``
    names a different client. ``details`` names the rule."""

    code, status, message = "FORBIDDEN", 403, "Insufficient permissions"


class AccountDisabled(ManifestAuthError):
    """Only with valid credentials: the user is deactivated, here or at Microsoft, or the client is suspended. When a
    sign-in at a provider starts: the client is suspended."""

    code, status, message = "ACCOUNT_DISABLED", 403, "This account is disabled"


class MfaRequired(Continues):
    """The first step was correct, and a second factor is required: it is missing, incorrect, or already used.
    ``details`` names the members that can continue. ``error.challenge`` continues the sign-in for ``error.expiresIn``
    seconds. If the user must set up a factor first, ``error.methods`` lists the allowed ones."""

    code, status, message = "MFA_REQUIRED", 401, "A second factor is required"


class ReauthenticationRequired(ManifestAuthError):
    """The action requires re-authentication within the last 10 minutes, with every factor that the account has.
    ``details`` names what you can use. Users call ``POST /api/client/auth/reauthenticate``, system admins ``POST
    /api/admin/auth/reauthenticate``. The status is 403 instead of RFC 9470's 401, because apps interpret 401 as an
    expired token."""

    code, status, message = "REAUTHENTICATION_REQUIRED", 403, "Re-authentication required"


class LicenseRequired(ManifestAuthError):
    """The server runs on premise, and no valid license is installed."""

    code, status, message = "LICENSE_REQUIRED", 403, "A license is required"


class LicenseExpired(ManifestAuthError):
    """The server runs on premise, and the license's grace period is over."""

    code, status, message = "LICENSE_EXPIRED", 403, "The server's license has expired"


class LicenseInvalid(ManifestAuthError):
    """The license key in the request doesn't verify, is expired or revoked, or belongs to another installation."""

    code, status, message = "LICENSE_INVALID", 400, "The license key is invalid"


class ValidationError(ManifestAuthError):
    """The request is invalid. ``details`` names every invalid field, up to 20."""

    code, status, message = "VALIDATION_ERROR", 400, "The request is invalid"


class NotFound(ManifestAuthError):
    """The path or object doesn't exist. An object of another client gets the same response as one that never
    existed."""

    code, status, message = "NOT_FOUND", 404, "Not found"


class MethodNotAllowed(ManifestAuthError):
    """The path exists, but not with this method. ``Allow`` lists the methods that do."""

    code, status, message = "METHOD_NOT_ALLOWED", 405, "Method not allowed"


class PayloadTooLarge(ManifestAuthError):
    """The body exceeds the limit of the route (64 KiB for auth routes, 1 MiB elsewhere), or a file exceeds the client's
    quota."""

    code, status, message = "PAYLOAD_TOO_LARGE", 413, "Request body is too large"


class UnsupportedMediaType(ManifestAuthError):
    """The body isn't ``application/json`` in UTF-8, or it is compressed."""

    code, status, message = "UNSUPPORTED_MEDIA_TYPE", 415, "Content-Type must be application/json"


class Conflict(ManifestAuthError):
    """The name is taken, another caller changed the object first, or the license has no free seat for these roles."""

    code, status, message = "CONFLICT", 409, "The request conflicts with the current state"


class RateLimited(ManifestAuthError):
    """Too many attempts for this account or address, or too many uploads at the same time. ``Retry-After`` is the
    number of seconds to wait."""

    code, status, message = "RATE_LIMITED", 429, "Too many attempts, try again later"


class SsoFailed(ManifestAuthError):
    """The provider's assertion or code was rejected, or the user has no account here. The log has the reason."""

    code, status, message = "SSO_FAILED", 401, "Sign-in through the identity provider failed"


class ProviderUnavailable(ManifestAuthError):
    """The identity provider didn't respond in time, or its response is invalid."""

    code, status, message = "PROVIDER_UNAVAILABLE", 502, "The identity provider can't be reached, try again later"


class Overloaded(ManifestAuthError):
    """The queue for password hashes or SAML responses is full, too many large bodies arrive at the same time, or the
    server is shutting down. Retry after the time in ``Retry-After``."""

    code, status, message = "OVERLOADED", 503, "The server is busy, try again shortly"


class InternalError(ManifestAuthError):
    """A bug. The server logs it with the request ID."""

    code, status, message = "INTERNAL_ERROR", 500, "Internal error"


#: The class of each code.
BY_CODE: dict[str, type[ManifestAuthError]] = {
    "INVALID_CREDENTIALS": InvalidCredentials,
    "UNAUTHENTICATED": Unauthenticated,
    "INVALID_TOKEN": InvalidToken,
    "TOKEN_EXPIRED": TokenExpired,
    "FORBIDDEN": Forbidden,
    "ACCOUNT_DISABLED": AccountDisabled,
    "MFA_REQUIRED": MfaRequired,
    "REAUTHENTICATION_REQUIRED": ReauthenticationRequired,
    "LICENSE_REQUIRED": LicenseRequired,
    "LICENSE_EXPIRED": LicenseExpired,
    "LICENSE_INVALID": LicenseInvalid,
    "VALIDATION_ERROR": ValidationError,
    "NOT_FOUND": NotFound,
    "METHOD_NOT_ALLOWED": MethodNotAllowed,
    "PAYLOAD_TOO_LARGE": PayloadTooLarge,
    "UNSUPPORTED_MEDIA_TYPE": UnsupportedMediaType,
    "CONFLICT": Conflict,
    "RATE_LIMITED": RateLimited,
    "SSO_FAILED": SsoFailed,
    "PROVIDER_UNAVAILABLE": ProviderUnavailable,
    "OVERLOADED": Overloaded,
    "INTERNAL_ERROR": InternalError,
}
