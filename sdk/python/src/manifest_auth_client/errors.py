"""The refusals of the server, a class for each code of its closed list.

Made from the server's list by ``./dev docs``; a test holds it to it.
"""

from __future__ import annotations

from manifest_auth_client._failure import Continues, ManifestAuthError


class InvalidCredentials(ManifestAuthError):
    """Wrong password, unknown e-mail or client, locked, SSO-only or no password set: one answer for all of them."""

    code, status, message = "INVALID_CREDENTIALS", 401, "Invalid email or password"


class Unauthenticated(ManifestAuthError):
    """The request has no credential."""

    code, status, message = "UNAUTHENTICATED", 401, "Authentication required"


class InvalidToken(ManifestAuthError):
    """Malformed, forged, revoked, of another kind or made for other routes."""

    code, status, message = "INVALID_TOKEN", 401, "Invalid token"


class TokenExpired(ManifestAuthError):
    """Genuine, but expired: refresh, or sign in again."""

    code, status, message = "TOKEN_EXPIRED", 401, "Token has expired"


class Forbidden(ManifestAuthError):
    """The caller's roles do not allow it, a cross-site cookie request, or an X-Client-ID that disagrees."""

    code, status, message = "FORBIDDEN", 403, "Insufficient permissions"


class AccountDisabled(ManifestAuthError):
    """Only after a valid proof: the user is deactivated, here or at Microsoft, or the client is suspended. At the start
    of a sign-in at a provider: the client is suspended."""

    code, status, message = "ACCOUNT_DISABLED", 403, "This account is disabled"


class MfaRequired(Continues):
    """The first proof was right, and a second factor is due: missing, wrong or used before. ``details`` name the
    members that can continue, ``error.challenge`` continues the sign-in for ``error.expiresIn`` seconds; where a factor
    has to be enrolled first, ``error.methods`` lists those allowed."""

    code, status, message = "MFA_REQUIRED", 401, "A second factor is required"


class ReauthenticationRequired(ManifestAuthError):
    """The act needs a proof of who acts from the last ten minutes, with all that the account has; ``details`` name what
    would do. Users call ``POST /api/client/auth/reauthenticate``, system admins ``POST
    /api/admin/auth/reauthenticate``. The status is 403 where RFC 9470 has 401, since apps take 401 for an expired
    token."""

    code, status, message = "REAUTHENTICATION_REQUIRED", 403, "Prove again who you are"


class LicenseRequired(ManifestAuthError):
    """On-premise mode, and no valid licence is installed."""

    code, status, message = "LICENSE_REQUIRED", 403, "A licence is required"


class LicenseExpired(ManifestAuthError):
    """On-premise mode and the licence's grace time is over."""

    code, status, message = "LICENSE_EXPIRED", 403, "The licence has expired"


class LicenseInvalid(ManifestAuthError):
    """The key in the request does not verify, is expired or revoked, or is bound to another installation."""

    code, status, message = "LICENSE_INVALID", 400, "The licence key is not valid"


class ValidationError(ManifestAuthError):
    """The request itself is wrong; ``details`` names every field that is, 20 at most."""

    code, status, message = "VALIDATION_ERROR", 400, "The request is not valid"


class NotFound(ManifestAuthError):
    """No such address or object; an object of another client is answered exactly like one that never existed."""

    code, status, message = "NOT_FOUND", 404, "Not found"


class MethodNotAllowed(ManifestAuthError):
    """The address exists, the method does not; ``Allow`` lists those that do."""

    code, status, message = "METHOD_NOT_ALLOWED", 405, "Method not allowed"


class PayloadTooLarge(ManifestAuthError):
    """The body is over the limit of the route (64 KiB for auth routes, 1 MiB elsewhere), or a file is over the client's
    quota."""

    code, status, message = "PAYLOAD_TOO_LARGE", 413, "Request body is too large"


class UnsupportedMediaType(ManifestAuthError):
    """A body that is not ``application/json`` in UTF-8, or that is compressed."""

    code, status, message = "UNSUPPORTED_MEDIA_TYPE", 415, "Content-Type must be application/json"


class Conflict(ManifestAuthError):
    """The name is taken, another caller changed the object first, or the licence has no free seat for these roles."""

    code, status, message = "CONFLICT", 409, "The request conflicts with the current state"


class RateLimited(ManifestAuthError):
    """Too many attempts for this account or address, or too many uploads at once; ``Retry-After`` says for how many
    seconds."""

    code, status, message = "RATE_LIMITED", 429, "Too many attempts, try again later"


class SsoFailed(ManifestAuthError):
    """The provider's assertion or code was refused, or gives this user no account here; the log has the reason."""

    code, status, message = "SSO_FAILED", 401, "Sign-in through the identity provider failed"


class ProviderUnavailable(ManifestAuthError):
    """The identity provider did not answer in time, or its answer is invalid."""

    code, status, message = "PROVIDER_UNAVAILABLE", 502, "The identity provider cannot be reached, try again later"


class Overloaded(ManifestAuthError):
    """The queue of the password hash, or of SAML responses, is full, or too many large bodies arrive at once, and other
    requests go on; or the server ends. ``Retry-After`` is set."""

    code, status, message = "OVERLOADED", 503, "The server is busy, try again shortly"


class InternalError(ManifestAuthError):
    """A bug; it is logged with the request id."""

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
