"""The closed list of refusals.

Each class has the code, the status and the public sentence; details go to the log only.

Every failure that a caller can see is one of these classes. ``docs/errors.md`` is generated from this list. A refusal
rolls back its unit of work unless it keeps some writes (``keeps_writes``): a counted attempt, an ended session, an
audit event.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, NamedTuple, NewType, TypeVar

T = TypeVar("T")
#: Text of the code's own, in English. Programs get it unchanged; pages translate it (:mod:`.text.languages`).
Marked = NewType("Marked", str)

#: Credentials that can be replayed: values of a metric's label.
Replay = Literal[
    "refresh_token",
    "admin_refresh_token",
    "one_time_code",
    "one_time_link",
    "oidc_state",
    "saml_response",
    "saml_assertion",
    "totp",
    "recovery_code",
    "passkey",
]


_LONGEST_LOGGED = 500


class Reason(NamedTuple):
    """Why a sign-in fails, for the log and a client's audit trail, and what its administrator can do about it.

    Declare each as a constant of the module that raises it: a page of the docs lists all of them.

    - ``text``: with ``…`` in place of a value.
    - ``cause``, ``cure``: Markdown for the docs.
    """

    text: str
    cause: str
    cure: str

    def __str__(self) -> str:
        return self.text

    def also(self, text: str) -> Reason:
        """Returns another text with the same cause and cure."""
        return self._replace(text=text)

    def with_(self, value: object) -> Reason:
        """Returns the reason with the value in place of ``…``."""
        return self.also(self.text.replace("…", str(value), 1))


class Refusal(Exception):
    """Base of all refusals.

    ``details``: pairs (field, message) for the caller. ``reason``: for the log only. ``retry_after``: whole seconds.
    ``replay``: the kind of a replayed credential; the pipeline counts it. ``field``: the field of a page's form that
    the message is about. Mark text for people with ``_()``. Pages translate it, and programs get it in English.
    """

    code: ClassVar[str]
    status: ClassVar[int]
    sentence: ClassVar[str]
    when: ClassVar[str]
    keeps_writes: bool = False

    def __init__(
        self,
        message: str | None = None,
        *,
        details: Sequence[tuple[str, str]] = (),
        reason: str = "",
        retry_after: int | None = None,
        keeps_writes: bool | None = None,
        replay: Replay | None = None,
        field: str = "",
    ) -> None:
        super().__init__(reason or message or self.sentence)
        self.message = message or self.sentence
        self.details = tuple(details)
        self.reason = reason
        self.retry_after = retry_after
        self.replay = replay
        self.field = field
        if keeps_writes is not None:
            self.keeps_writes = keeps_writes

    @property
    def logged(self) -> str:
        """Returns the reason for the log; without one, the message about each field."""
        return self.reason or "; ".join(f"{field}: {text}" for field, text in self.details)[:_LONGEST_LOGGED]


class InvalidCredentials(Refusal):
    code, status, sentence = "INVALID_CREDENTIALS", 401, "Invalid email or password"
    when = (
        "Incorrect password, unknown email address or client, locked account, SSO-only account, or no "
        "password set. All of them get the same response."
    )
    keeps_writes = True


class OtherClient(InvalidCredentials):
    """A passkey was verified but belongs to another client than the named one. ``client`` is its identifier. A page
    offers that client's sign-in, but the API doesn't name it."""

    words = "This passkey can't be used to sign in here"

    def __init__(self, client: str) -> None:
        super().__init__(self.words, reason="passkey: belongs to a different client")
        self.client = client


class Unauthenticated(Refusal):
    code, status, sentence = "UNAUTHENTICATED", 401, "Authentication required"
    when = "The request has no credential."


class InvalidToken(Refusal):
    code, status, sentence = "INVALID_TOKEN", 401, "Invalid token"
    when = "Malformed, forged, revoked, of another kind, or issued for other routes."


class TokenExpired(Refusal):
    code, status, sentence = "TOKEN_EXPIRED", 401, "Token has expired"
    when = "Valid but expired: refresh, or sign in again."


class Forbidden(Refusal):
    code, status, sentence = "FORBIDDEN", 403, "Insufficient permissions"
    when = (
        "The caller's roles or address don't allow the request, a cookie was sent from another site, or "
        "`X-Client-ID` names a different client. `details` names the rule."
    )

    @classmethod
    def without(cls, permission: str) -> Forbidden:
        """Returns the refusal for a caller without this permission."""
        return cls(details=[("permission", f"Requires the permission {permission}")], reason=f"needs {permission}")


class AccountDisabled(Refusal):
    code, status, sentence = "ACCOUNT_DISABLED", 403, "This account is disabled"
    when = (
        "Only with valid credentials: the user is deactivated, here or at Microsoft, or the client is "
        "suspended. When a sign-in at a provider starts: the client is suspended."
    )
    keeps_writes = True

    def __init__(self, message: str | None = None, *, reason: Reason | None = None, client: str = "") -> None:
        """Creates the refusal. ``client``: the client's identifier, only after valid credentials; a page then shows the
        contact."""
        super().__init__(message, reason=reason.text if reason is not None else "")
        self.client = client


class MfaRequired(Refusal):
    code, status, sentence = "MFA_REQUIRED", 401, "A second factor is required"
    when = (
        "The first step was correct, and a second factor is required: it is missing, incorrect, or already "
        "used. `details` names the members that can continue. `error.challenge` continues the sign-in for "
        "`error.expiresIn` seconds. If the user must set up a factor first, `error.methods` lists the "
        "allowed ones."
    )
    keeps_writes = True

    def __init__(
        self,
        challenge: str,
        details: Sequence[tuple[str, str]],
        reason: str,
        replay: Replay | None = None,
        *,
        expires_in: int,
        methods: Sequence[str] = (),
    ) -> None:
        """Creates the refusal. ``expires_in``: seconds; ``methods``: factors that can be enrolled."""
        super().__init__(details=details, reason=reason, replay=replay)
        self.challenge = challenge
        self.expires_in = expires_in
        self.methods = tuple(methods)


class ReauthenticationRequired(Refusal):
    code, status, sentence = "REAUTHENTICATION_REQUIRED", 403, "Re-authentication required"
    when = (
        "The action requires re-authentication within the last 10 minutes, with every factor that the "
        "account has. `details` names what you can use. Users call `POST /api/client/auth/reauthenticate`, "
        "system admins `POST /api/admin/auth/reauthenticate`. The status is 403 instead of RFC 9470's 401, "
        "because apps interpret 401 as an expired token."
    )


class LicenseRequired(Refusal):
    code, status, sentence = "LICENSE_REQUIRED", 403, "A license is required"
    when = "The server runs on premise, and no valid license is installed."


class LicenseExpired(Refusal):
    code, status, sentence = "LICENSE_EXPIRED", 403, "The server's license has expired"
    when = "The server runs on premise, and the license's grace period is over."


class LicenseInvalid(Refusal):
    code, status, sentence = "LICENSE_INVALID", 400, "The license key is invalid"
    when = "The license key in the request doesn't verify, is expired or revoked, or belongs to another installation."


class ValidationError(Refusal):
    code, status, sentence = "VALIDATION_ERROR", 400, "The request is invalid"
    when = "The request is invalid. `details` names every invalid field, up to 20."


class NotFound(Refusal):
    code, status, sentence = "NOT_FOUND", 404, "Not found"
    when = (
        "The path or object doesn't exist. An object of another client gets the same response as one that "
        "never existed."
    )


def existing(found: T | None) -> T:
    """Returns the found value. Raises NotFound if there is none."""
    if found is None:
        raise NotFound()
    return found


class MethodNotAllowed(Refusal):
    code, status, sentence = "METHOD_NOT_ALLOWED", 405, "Method not allowed"
    when = "The path exists, but not with this method. `Allow` lists the methods that do."

    def __init__(self, allow: str) -> None:
        super().__init__()
        self.allow = allow


class PayloadTooLarge(Refusal):
    code, status, sentence = "PAYLOAD_TOO_LARGE", 413, "Request body is too large"
    when = (
        "The body exceeds the limit of the route (64 KiB for auth routes, 1 MiB elsewhere), or a file "
        "exceeds the client's quota."
    )


class UnsupportedMediaType(Refusal):
    code, status, sentence = "UNSUPPORTED_MEDIA_TYPE", 415, "Content-Type must be application/json"
    when = "The body isn't `application/json` in UTF-8, or it is compressed."


class Conflict(Refusal):
    code, status, sentence = "CONFLICT", 409, "The request conflicts with the current state"
    when = (
        "The name is taken, another caller changed the object first, or the license has no free seat for these roles."
    )


class NoSeat(Conflict):
    """The license has no free seat for the roles of a user. The sentence is for users who manage users."""


class RateLimited(Refusal):
    code, status, sentence = "RATE_LIMITED", 429, "Too many attempts, try again later"
    when = (
        "Too many attempts for this account or address, or too many uploads at the same time. `Retry-After` "
        "is the number of seconds to wait."
    )
    keeps_writes = True


class SsoFailed(Refusal):
    code, status, sentence = "SSO_FAILED", 401, "Sign-in through the identity provider failed"
    when = "The provider's assertion or code was rejected, or the user has no account here. The log has the reason."
    keeps_writes = True

    def __init__(self, message: Marked | None = None, *, reason: Reason, replay: Replay | None = None) -> None:
        """Creates the refusal. ``message`` is the server's own text, because pages show it; a provider's text goes only
        to the log."""
        super().__init__(message, reason=reason.text, replay=replay)
        self.why = reason
        #: The address that the provider reports for the person, after it authenticated them; empty before.
        self.email = ""


class ProviderUnavailable(Refusal):
    code, status, sentence = "PROVIDER_UNAVAILABLE", 502, "The identity provider can't be reached, try again later"
    when = "The identity provider didn't respond in time, or its response is invalid."


class Overloaded(Refusal):
    code, status, sentence = "OVERLOADED", 503, "The server is busy, try again shortly"
    when = (
        "The queue for password hashes or SAML responses is full, too many large bodies arrive at the same "
        "time, or the server is shutting down. Retry after the time in `Retry-After`."
    )


class InternalError(Refusal):
    code, status, sentence = "INTERNAL_ERROR", 500, "Internal error"
    when = "A bug. The server logs it with the request ID."


#: The classes in the order above. Their subclasses share the code.
REFUSALS: tuple[type[Refusal], ...] = tuple(Refusal.__subclasses__())
