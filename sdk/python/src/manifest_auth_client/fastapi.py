"""FastAPI dependencies that identify the caller and require permissions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.requests import Request

from manifest_auth_client._failure import ManifestAuthError
from manifest_auth_client.starlette import Refused, caller_of, refuse
from manifest_auth_client.verifier import Caller, TokenVerifier


class Guard:
    """Creates dependencies for an application. ``require("jobs:execute")`` returns the Caller if they have that
    permission, and ``require()`` returns anyone with a valid token. Other requests get a 401 or 403 in the server's
    envelope. Requiring a permission that a verifier with ``mode="jwks"`` can't know raises
    OfflineVerificationUnavailable immediately.

    >>> from fastapi import Depends, FastAPI
    >>> app = FastAPI()
    >>> require = Guard(app, verifier)
    >>> @app.post("/jobs/{number}/start")
    ... async def start(number: int, caller: Caller = Depends(require("jobs:execute"))) -> dict[str, str]:
    ...     return {"started_by": caller.subject}
    """

    def __init__(self, app: Starlette, verifier: TokenVerifier) -> None:
        self._verifier = verifier
        app.add_exception_handler(Refused, refuse)

    def __call__(self, permission: str | None = None) -> Callable[[Request], Awaitable[Caller]]:
        """Returns the dependency, for ``Depends``."""
        verifier = self._verifier
        if permission is not None:
            verifier.check_permissions_are_known()

        async def dependency(request: Request) -> Caller:
            try:
                return await caller_of(request, verifier, permission)
            except ManifestAuthError as refusal:
                raise Refused(refusal) from None

        # FastAPI needs classes here, but this module's annotations are strings.
        dependency.__annotations__ = {"request": Request, "return": Caller}
        return dependency
