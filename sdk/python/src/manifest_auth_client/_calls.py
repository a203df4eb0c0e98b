"""The calls of an application, as requests and readers of their responses, for sync and async code."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

import httpx2

from manifest_auth_client._answers import data_of, graphql_data_of
from manifest_auth_client._connection import Connection
from manifest_auth_client.auth import BoundAuth
from manifest_auth_client.session import SessionAuth
from manifest_auth_client.stores import TokenStore
from manifest_auth_client.tokens import SignedIn

_AUTH = "/api/client/auth"
R = TypeVar("R")


class Call(NamedTuple, Generic[R]):
    """A request, and how its response is read. ``is_signed`` means that it carries the credential."""

    method: str
    path: str
    body: Mapping[str, Any] | None
    read: Callable[[httpx2.Response], R]
    is_signed: bool = True


class Calls:
    """The parts that both classes share: the server's address, the credential, and the calls."""

    def __init__(
        self,
        base_url: str,
        *,
        client: str | None = None,
        store: TokenStore | None = None,
        auth: BoundAuth | None = None,
        timeout: float = 30.0,
        verify: ssl.SSLContext | None = None,
        transport: httpx2.MockTransport | None = None,
        forwarded: tuple[str, str] | None = None,
    ) -> None:
        self._forwarded = forwarded
        self._connection = Connection(base_url, client, timeout, verify, transport)
        self._auth = SessionAuth(store=store, connection=self._connection) if auth is None else auth
        self._http = self._open()

    def _open(self) -> Any:
        raise NotImplementedError

    @property
    def auth(self) -> BoundAuth:
        """The credential, for ``auth=`` of other ``httpx2`` clients."""
        return self._auth

    @property
    def session(self) -> SessionAuth:
        """The session of the signed-in user. Raises TypeError if ``auth`` belongs to a machine."""
        if not isinstance(self._auth, SessionAuth):
            raise TypeError(f"{type(self._auth).__name__} has no session: make another object for users")
        return self._auth

    def _keep(self, signed_in: SignedIn) -> SignedIn:
        self.session.tokens = signed_in.tokens
        return signed_in

    def _forget(self) -> None:
        self.session.tokens = None

    def _signing_in(self, path: str, **members: Any) -> Call[SignedIn]:
        assert self.session  # a machine signs in no users
        body = {name: value for name, value in members.items() if value is not None}
        return Call("POST", f"{_AUTH}{path}", body, self._signed_in, is_signed=False)

    def _signed_in(self, answer: httpx2.Response) -> SignedIn:
        return SignedIn.of_answer(self._connection.base_url, data_of(answer))

    def _request(self, call: Call[Any]) -> dict[str, Any]:
        auth, headers = (self._auth if call.is_signed else None), {}
        if self._forwarded is not None and not call.is_signed:
            key, address = self._forwarded
            headers = {"Authorization": f"Bearer {key}", "Manifest-Forwarded-For": address}
        url = self._connection.url(call.path)
        return {"method": call.method, "url": url, "json": call.body, "auth": auth, "headers": headers}


ME: Call[dict[str, Any]] = Call("GET", f"{_AUTH}/me", None, data_of)
SIGN_OUT: Call[Any] = Call("POST", f"{_AUTH}/sign-out", None, data_of)


def enrolment(challenge: str, method: str) -> Call[dict[str, Any]]:
    """Starts setting up the factor that is required."""
    body = {"challenge": challenge, "method": method}
    return Call("POST", f"{_AUTH}/sign-in/enrol", body, data_of, is_signed=False)


def graphql(query: str, variables: Mapping[str, Any] | None) -> Call[dict[str, Any]]:
    """Sends a GraphQL document."""
    body = {"query": query, **({"variables": variables} if variables is not None else {})}
    return Call("POST", "/api/client/graphql", body, graphql_data_of)
