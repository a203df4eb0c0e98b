"""Classes for ``auth=`` of any ``httpx2`` client, which add a bearer token only to requests to the listed origins."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Generator, Iterable
from typing import Generic, Protocol, TypeVar

import httpx2

from manifest_auth_client._answers import code_of, failure
from manifest_auth_client._failure import ManifestAuthError
from manifest_auth_client._renewal import Renewed

_RENEWABLE = ("TOKEN_EXPIRED", "INVALID_TOKEN")


class BoundAuth(httpx2.Auth):
    """The base of these classes. It sends a credential only to the origins of ``base_url`` and ``origins``, even after
    a redirect. An origin is a scheme, host, and port (RFC 6454).

    >>> issubclass(ApiKeyAuth, BoundAuth)
    True
    """

    def __init__(self, base_url: str, origins: Iterable[str] = ()) -> None:
        self._origins = frozenset(httpx2.URL(url).origin for url in (base_url, *origins))

    def _is_ours(self, request: httpx2.Request) -> bool:
        return request.url.origin in self._origins


class ApiKeyAuth(BoundAuth):
    """Sends the API key of a service account. A key has no session: it works until it expires or is revoked.

    ``base_url`` is the server's address, and ``key`` is ``mfst_key_…``. ``origins`` lists other servers that accept the
    key.

    >>> machine = ManifestAuth(URL, auth=ApiKeyAuth(URL, key), transport=fake.transport)
    >>> machine.me()["service"]["name"]
    'robot'
    """

    def __init__(self, base_url: str, key: str, *, origins: Iterable[str] = ()) -> None:
        super().__init__(base_url, origins)
        self._key = key

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Adds the key if the request goes to one of the origins."""
        if self._is_ours(request):
            request.headers["Authorization"] = f"Bearer {self._key}"
        yield request


class _Bearer(Protocol):
    @property
    def access_token(self) -> str: ...
    @property
    def expires_at(self) -> float: ...
    @property
    def is_due(self) -> bool: ...


B = TypeVar("B", bound=_Bearer)


class RenewingAuth(BoundAuth, Generic[B]):
    """Sends a token and renews it: shortly before it expires, and once after a 401 because of the token.

    If several threads and tasks need a new token, one renews it and the others wait. A request is sent again only if
    its body is bytes, not a stream. An error on the second attempt is raised.

    >>> issubclass(SessionAuth, RenewingAuth)
    True
    """

    def __init__(self, base_url: str, origins: Iterable[str], value: B | None) -> None:
        super().__init__(base_url, origins)
        self._held: Renewed[B] = Renewed(value, self._renew)

    def _renew(self, stale: B | None) -> B:
        raise NotImplementedError

    def sync_auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Handles requests of ``httpx2.Client``."""
        if not self._is_ours(request):
            yield request
            return
        held = self._held.value
        if held is None or held.is_due:
            try:
                held = self._held.after(held)
            except (httpx2.TransportError, ManifestAuthError) as failed:
                held = _still_good(held, failed)
        response = yield _with(request, held)
        if self._may_be_renewed(response):
            response.read()
            if code_of(response) in _RENEWABLE:
                held = self._held.after(held)
                again = yield _again(request, response, held)
                if again.status_code == 401 and self._is_ours(again.request):
                    again.read()
                    raise failure(again)

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """Handles requests of ``httpx2.AsyncClient`` under asyncio."""
        if not self._is_ours(request):
            yield request
            return
        held = self._held.value
        if held is None or held.is_due:
            try:
                held = await self._held.after_async(held)
            except (httpx2.TransportError, ManifestAuthError) as failed:
                held = _still_good(held, failed)
        response = yield _with(request, held)
        if self._may_be_renewed(response):
            await response.aread()
            if code_of(response) in _RENEWABLE:
                held = await self._held.after_async(held)
                again = yield _again(request, response, held)
                if again.status_code == 401 and self._is_ours(again.request):
                    await again.aread()
                    raise failure(again)

    def _may_be_renewed(self, response: httpx2.Response) -> bool:
        """Whether this is a 401 from one of the origins. A 401 from another server, after a redirect, doesn't concern
        the token."""
        return response.status_code == 401 and self._is_ours(response.request)


def _with(request: httpx2.Request, held: _Bearer) -> httpx2.Request:
    request.headers["Authorization"] = f"Bearer {held.access_token}"
    return request


def _again(request: httpx2.Request, refused: httpx2.Response, held: _Bearer) -> httpx2.Request:
    """Returns the request with the new token. Raises the error if the body is a stream, which can't be sent again."""
    if not isinstance(request.stream, httpx2.ByteStream):
        raise failure(refused)
    return _with(request, held)


def _still_good(held: B | None, failed: Exception) -> B:
    """Returns the old token if it hasn't expired and the server couldn't be reached. Otherwise raises the failure."""
    is_passing = not isinstance(failed, ManifestAuthError) or failed.status >= 500
    if held is not None and is_passing and time.time() < held.expires_at:
        return held
    raise failed
