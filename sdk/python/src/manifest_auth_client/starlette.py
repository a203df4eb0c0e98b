"""Starlette support: sets ``request.user`` to the caller, and returns errors in the server's envelope."""

from __future__ import annotations

import httpx2
from starlette.authentication import AuthCredentials, AuthenticationBackend, AuthenticationError, BaseUser
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse

from manifest_auth_client._failure import ManifestAuthError
from manifest_auth_client.credentials import OAuthError
from manifest_auth_client.errors import Forbidden, InvalidToken, Overloaded, Unauthenticated
from manifest_auth_client.verifier import Caller, TokenVerifier


class CallerUser(BaseUser):
    """The ``request.user`` of a request with a valid token. ``caller`` is the token's owner.

    >>> CallerUser(verifier.verify(token)).display_name
    'ada@acme.example'
    """

    def __init__(self, caller: Caller) -> None:
        self.caller = caller

    @property
    def is_authenticated(self) -> bool:
        """Always true."""
        return True

    @property
    def display_name(self) -> str:
        """The email address of a user, or the name of a machine."""
        return self.caller.username or self.caller.subject

    @property
    def identity(self) -> str:
        """The user's ID, or ``svc_…``."""
        return self.caller.subject


class Refused(AuthenticationError):
    """Carries an error through Starlette. ``refusal`` is an error of ``manifest_auth_client.errors``.

    >>> Refused(InvalidToken()).refusal.code
    'INVALID_TOKEN'
    """

    def __init__(self, refusal: ManifestAuthError) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class ManifestAuthBackend(AuthenticationBackend):
    """A backend for ``AuthenticationMiddleware``. Its scopes are ``authenticated`` and the caller's permissions. A
    request without a bearer token continues anonymously, and ``@requires("jobs:execute")`` rejects it. If the verifier
    can't know permissions, ``@requires`` with one of them raises OfflineVerificationUnavailable.

    >>> from starlette.middleware.authentication import AuthenticationMiddleware
    >>> from starlette.applications import Starlette
    >>> app = Starlette()
    >>> app.add_middleware(AuthenticationMiddleware, backend=ManifestAuthBackend(verifier), on_error=refuse)
    """

    def __init__(self, verifier: TokenVerifier) -> None:
        self._verifier = verifier

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, BaseUser] | None:
        """Raises Refused for an invalid bearer token."""
        try:
            caller = await caller_of(conn, self._verifier)
        except Unauthenticated:
            return None
        except ManifestAuthError as refusal:
            raise Refused(refusal) from None
        credentials = AuthCredentials()
        credentials.scopes = _Scopes(caller)
        return credentials, CallerUser(caller)


class _Scopes(list[str]):
    """``authenticated``, and the caller's permissions. If they aren't known, checking for any other scope raises an
    error."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(["authenticated", *sorted(caller.permissions if "scope" in caller.claims else ())])
        self._caller = caller

    def __contains__(self, scope: object) -> bool:
        return super().__contains__(scope) or scope in self._caller.permissions


def refuse(conn: HTTPConnection, failed: Exception) -> JSONResponse:
    """Returns an error in the server's format: the envelope, and ``WWW-Authenticate`` with a 401.

    >>> refuse(None, InvalidToken()).status_code
    401
    """
    refusal = failed.refusal if isinstance(failed, Refused) else failed
    if not isinstance(refusal, ManifestAuthError):
        refusal = InvalidToken()
    headers = {"Cache-Control": "no-store"}
    if refusal.status == 401:
        shown = "" if isinstance(refusal, Unauthenticated) else ' error="invalid_token"'
        headers["WWW-Authenticate"] = f"Bearer{shown}"
    if refusal.retry_after is not None:
        headers["Retry-After"] = str(int(refusal.retry_after))
    error = {"message": refusal.message, "code": refusal.code}
    return JSONResponse({"success": False, "error": error}, refusal.status, headers)


async def caller_of(conn: HTTPConnection, verifier: TokenVerifier, permission: str | None = None) -> Caller:
    """Returns the owner of the request's bearer token. Raises Unauthenticated, InvalidToken, Forbidden, or Overloaded.
    Overloaded means that the server couldn't verify the token or didn't authorize this service to ask.

    >>> scope = {"type": "http", "headers": [(b"authorization", f"Bearer {token}".encode())]}
    >>> asyncio.run(caller_of(HTTPConnection(scope), verifier)).username
    'ada@acme.example'
    """
    lines = conn.headers.getlist("authorization")
    scheme, _, token = lines[0].partition(" ") if len(lines) == 1 else ("", "", "")
    if not lines:
        raise Unauthenticated()
    if scheme.lower() != "bearer" or not token.strip():
        raise InvalidToken()
    try:
        caller = await verifier.averify(token.strip())
    except (httpx2.HTTPError, OAuthError) as failed:
        raise Overloaded(retry_after=1) from failed
    if permission is not None and permission not in caller.permissions:
        raise Forbidden()
    return caller
