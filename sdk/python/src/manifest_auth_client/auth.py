"""Classes for ``auth=`` of any client of ``httpx2``: they add a bearer to requests of listed origins alone."""

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
    """The shared parts of these classes: a credential goes to the origins of ``base_url`` and ``origins`` and to no
    other, also when a server redirects elsewhere. Scheme, host and port make an origin (RFC 6454).

    >>> issubclass(ApiKeyAuth, BoundAuth)
    True
    """

    def __init__(self, base_url: str, origins: Iterable[str] = ()) -> None:
        self._origins = frozenset(httpx2.URL(url).origin for url in (base_url, *origins))

    def _is_ours(self, request: httpx2.Request) -> bool:
        return request.url.origin in self._origins


class ApiKeyAuth(BoundAuth):
    """Sends the API key of a service account. A key has no session: it works until it ends or is revoked.

    ``base_url``: the server's address. ``key``: ``mfst_key_…``. ``origins``: of other servers that take the key.

    >>> machine = ManifestAuth(URL, auth=ApiKeyAuth(URL, key), transport=fake.transport)
    >>> machine.me()["service"]["name"]
    'robot'
    """

    def __init__(self, base_url: str, key: str, *, origins: Iterable[str] = ()) -> None:
        super().__init__(base_url, origins)
        self._key = key

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Adds the key where the request goes to one of the origins."""
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
    """Sends a token that ends, and renews it: before its end, and once after a 401 that says so.

    Of any number of threads and tasks one renews and the others wait for its result. A request is sent a second time
    only where its body can be: bytes, not a stream. The refusal of the second time is raised.

    >>> issubclass(SessionAuth, RenewingAuth)
    True
    """

    def __init__(self, base_url: str, origins: Iterable[str], value: B | None) -> None:
        super().__init__(base_url, origins)
        self._held: Renewed[B] = Renewed(value, self._renew)

    def _renew(self, stale: B | None) -> B:
        raise NotImplementedError

    def sync_auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """For ``httpx2.Client``."""
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
        """For ``httpx2.AsyncClient`` under asyncio."""
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
        """A 401 of one of the origins; another server's, after a redirect, says nothing of the token."""
        return response.status_code == 401 and self._is_ours(response.request)


def _with(request: httpx2.Request, held: _Bearer) -> httpx2.Request:
    request.headers["Authorization"] = f"Bearer {held.access_token}"
    return request


def _again(request: httpx2.Request, refused: httpx2.Response, held: _Bearer) -> httpx2.Request:
    """The request once more; raises the refusal where its body is a stream, which is used up."""
    if not isinstance(request.stream, httpx2.ByteStream):
        raise failure(refused)
    return _with(request, held)


def _still_good(held: B | None, failed: Exception) -> B:
    """The token that could not be renewed, where it has not ended and the server could not be asked; else raises."""
    is_passing = not isinstance(failed, ManifestAuthError) or failed.status >= 500
    if held is not None and is_passing and time.time() < held.expires_at:
        return held
    raise failed
