"""``ManifestAuth`` and ``AsyncManifestAuth``: the calls of an application that signs in users."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any, Literal, Self, TypeVar

import httpx2

from manifest_auth_client._answers import data_of
from manifest_auth_client._calls import ME, SIGN_OUT, Call, Calls, enrolment, graphql
from manifest_auth_client.errors import InvalidToken, TokenExpired, Unauthenticated
from manifest_auth_client.tokens import SignedIn, Tokens

R = TypeVar("R")
Method = Literal["totp", "passkey"]
_OVER = (InvalidToken, TokenExpired, Unauthenticated)  # errors that mean that the session has already ended


class ManifestAuth(Calls):
    """Signs in a user and calls the API as that user; or as a machine, if ``auth`` is given.

    ``base_url`` is the server's public address, and ``client`` is the identifier of the client whose users sign in.
    ``store`` keeps the tokens, by default in memory; a store that already has tokens restores that session. ``timeout``
    is in seconds. Pass a context to ``verify`` to use your own certificates. A server that signs in its users passes
    ``forwarded``: the API key of a service account with ``mayForwardAddress``, and the user's address. Threads can
    share an object, which has one session. Errors are the classes of ``manifest_auth_client.errors``, or those of
    ``httpx2`` if the server can't be reached.

    >>> with ManifestAuth(URL, client="acme", transport=fake.transport) as auth:
    ...     _ = auth.sign_in("ada@acme.example", "kestrel-harbor-21")
    ...     [user["email"] for user in auth.graphql("{ users { email } }")["users"]]
    ['ada@acme.example']
    """

    _http: httpx2.Client

    def _open(self) -> httpx2.Client:
        return self._connection.open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections. The session stays open, and the stored tokens remain."""
        self._http.close()

    def _do(self, call: Call[R]) -> R:
        return call.read(self._http.request(**self._request(call)))

    def sign_in(self, email: str, password: str, *, otp: str | None = None) -> SignedIn:
        """Signs in. Raises MfaRequired if a second factor is required, and ``otp`` (a code from the authenticator app)
        is missing or incorrect."""
        return self._keep(self._do(self._signing_in("/sign-in", email=email, password=password, otp=otp)))

    def continue_sign_in(self, challenge: str, **proof: Any) -> SignedIn:
        """Continues after MfaRequired. Pass its ``challenge`` and a member that its ``details`` name: ``otp``,
        ``recoveryCode``, ``passkey``, or ``newPasskey``."""
        return self._keep(self._do(self._signing_in("/sign-in/continue", challenge=challenge, **proof)))

    def enrol(self, challenge: str, method: Method) -> dict[str, Any]:
        """Starts setting up the required factor. Returns ``secret``, ``uri``, and ``qr`` for an app, or
        ``publicKey``."""
        return self._do(enrolment(challenge, method))

    def exchange(self, code: str, code_verifier: str | None = None) -> SignedIn:
        """Signs in with the one-time code from single sign-on."""
        return self._keep(self._do(self._signing_in("/exchange", code=code, codeVerifier=code_verifier)))

    def me(self) -> dict[str, Any]:
        """Returns the current ``user`` (or ``service``), ``client``, ``roles``, and ``permissions``."""
        return self._do(ME)

    def graphql(self, query: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Returns ``data`` of a query or mutation. Raises the first error, with any partial ``data``."""
        return self._do(graphql(query, variables))

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Returns ``data`` of any other route: ``auth.call("GET", "/api/client/auth/sessions")``."""
        return self._do(Call(method, path, body, data_of))

    def refresh(self) -> Tokens:
        """Gets new tokens now. When tokens are about to expire, this happens automatically."""
        return self.session.refresh()

    def sign_out(self) -> None:
        """Ends the session on the server and clears the store."""
        with contextlib.suppress(*_OVER):
            self._do(SIGN_OUT)
        self._forget()


class AsyncManifestAuth(Calls):
    """The asyncio version of :class:`ManifestAuth`. Await every method that calls the server.

    >>> async def emails():
    ...     async with AsyncManifestAuth(URL, client="acme", transport=fake.transport) as auth:
    ...         await auth.sign_in("ada@acme.example", "kestrel-harbor-21")
    ...         return [user["email"] for user in (await auth.graphql("{ users { email } }"))["users"]]
    >>> asyncio.run(emails())
    ['ada@acme.example']
    """

    _http: httpx2.AsyncClient

    def _open(self) -> httpx2.AsyncClient:
        return self._connection.open_async()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def _do(self, call: Call[R]) -> R:
        return call.read(await self._http.request(**self._request(call)))

    async def _sign_in(self, call: Call[SignedIn]) -> SignedIn:
        return await asyncio.to_thread(self._keep, await self._do(call))  # a store can wait for a disk or a lock

    async def sign_in(self, email: str, password: str, *, otp: str | None = None) -> SignedIn:
        """Signs in, or raises MfaRequired."""
        return await self._sign_in(self._signing_in("/sign-in", email=email, password=password, otp=otp))

    async def continue_sign_in(self, challenge: str, **proof: Any) -> SignedIn:
        """Continues after MfaRequired."""
        return await self._sign_in(self._signing_in("/sign-in/continue", challenge=challenge, **proof))

    async def enrol(self, challenge: str, method: Method) -> dict[str, Any]:
        """Starts setting up the required factor."""
        return await self._do(enrolment(challenge, method))

    async def exchange(self, code: str, code_verifier: str | None = None) -> SignedIn:
        """Signs in with the one-time code from single sign-on."""
        return await self._sign_in(self._signing_in("/exchange", code=code, codeVerifier=code_verifier))

    async def me(self) -> dict[str, Any]:
        """Returns ``user`` (or ``service``), ``client``, ``roles``, and ``permissions``."""
        return await self._do(ME)

    async def graphql(self, query: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Returns ``data`` of a query or mutation. Raises its first error."""
        return await self._do(graphql(query, variables))

    async def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Returns ``data`` of any other route."""
        return await self._do(Call(method, path, body, data_of))

    async def refresh(self) -> Tokens:
        """Gets new tokens now."""
        return await self.session.arefresh()

    async def sign_out(self) -> None:
        """Ends the session on the server and clears the store."""
        with contextlib.suppress(*_OVER):
            await self._do(SIGN_OUT)
        await asyncio.to_thread(self._forget)
