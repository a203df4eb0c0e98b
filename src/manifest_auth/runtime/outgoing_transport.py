"""The HTTP connections, checked against the SSRF rules.

Loaded at the first call: its imports cost 2 MB and 30 ms.

It uses httpcore2, the layer below httpx2, which has no redirects, cookies, proxies of the environment or decompression:
none of them is wanted here.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from urllib.parse import urlsplit

import httpcore2

from manifest_auth.runtime.outgoing_guard import NotPublic, Reply, Resolver, Target, Unreachable
from manifest_auth.text.languages import joined
from manifest_auth.text.languages import marked as _

MAX_BODY = 1024 * 1024
MOST_IDLE = 32
KEEP_S = 4.0  # below the 5 s of common servers, so that no call gets a connection that is just closing
_LEAST_PIECE = 512  # minimum size that a body piece counts as, since a megabyte of single bytes would block the CPU
_MOST_TRIED = 4
_NAMES = {socket.EAI_NONAME: _("the name doesn't exist"), socket.EAI_AGAIN: _("the name servers don't respond")}
#: The client of the running call. The pool opens a connection in the task of the call, but passes no argument of the
#: call to the backend.
_TENANT: ContextVar[int] = ContextVar("tenant")
#: Function from host and address to the reason why it must not be called, or an empty string.
Refusal = Callable[[str, str], str]


class Transport:
    """The connection pool of one process."""

    def __init__(self, resolver: Resolver, refusal: Refusal) -> None:
        # Certificates are checked against the system's authorities, or those that SSL_CERT_FILE names.
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=httpcore2.default_ssl_context(),
            max_connections=None,  # the shares of the clients limit them
            max_keepalive_connections=MOST_IDLE,
            keepalive_expiry=KEEP_S,
            network_backend=_CheckedBackend(resolver, refusal),
        )

    async def exchange(
        self,
        tenant_id: int,
        method: str,
        target: Target,
        headers: Mapping[str, str],
        body: bytes | None,
        seconds: float,
        redirects: bool = False,
    ) -> Reply:
        """Sends one request. ``redirects``: whether a redirect is an accepted response. Raises Unreachable. The caller
        enforces the total time."""
        _TENANT.set(tenant_id)
        with _as_unreachable():
            try:
                return await self._once(method, target, headers, body, seconds, redirects)
            except (httpcore2.RemoteProtocolError, httpcore2.ReadError, httpcore2.WriteError):
                if method != "GET":  # RFC 9110, section 9.2.2: only idempotent requests are retried
                    raise
                # The provider closed an idle connection; the next one is new or fails as well.
                return await self._once(method, target, headers, body, seconds, redirects)

    async def close(self) -> None:
        """Closes all connections."""
        await self._pool.aclose()

    async def _once(
        self,
        method: str,
        target: Target,
        headers: Mapping[str, str],
        body: bytes | None,
        seconds: float,
        redirects: bool,
    ) -> Reply:
        url = httpcore2.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path)
        limits = dict.fromkeys(("connect", "read", "write", "pool"), seconds)
        exchange = self._pool.stream(
            method, url, headers=list(headers.items()), content=body, extensions={"timeout": limits}
        )
        async with exchange as answer:
            received = _joined_headers(answer.headers)
            if 300 <= answer.status < 400 and not redirects:
                raise Unreachable(
                    _("redirected to %(address)s", address=_without_query(received.get("location", "nowhere")))
                )
            if received.get("content-encoding", "identity").lower() != "identity":
                raise Unreachable(_("compressed its response, although the request forbids it"))
            return Reply(answer.status, received, await _read(answer.aiter_stream()))


class _CheckedBackend(httpcore2.AnyIOBackend):
    """A backend that connects to a checked IP address, never to a name. TLS still uses the name."""

    def __init__(self, resolver: Resolver, refusal: Refusal) -> None:
        self._resolver, self._refusal = resolver, refusal

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        addresses = await self._resolver.resolve(host, port, _TENANT.get())
        why = {address: self._refusal(host, address) for address in addresses}
        allowed = [address for address in addresses if not why[address]][:_MOST_TRIED]
        if not allowed:
            raise NotPublic(joined(why.values(), "; "))
        until = time.monotonic() + (timeout or 0)
        for others in range(len(allowed) - 1, -1, -1):
            share = (until - time.monotonic()) / (others + 1)
            try:
                return await super().connect_tcp(allowed[-1 - others], port, share, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                if not others:
                    raise
        raise AssertionError("the last one connects or raises")


async def _read(parts: AsyncIterator[bytes]) -> bytes:
    body, counted = bytearray(), 0
    async for part in parts:
        body += part
        counted += max(len(part), _LEAST_PIECE)
        if counted > MAX_BODY:
            raise Unreachable(_("the response is too large"))
    return bytes(body)


def _joined_headers(lines: list[tuple[bytes, bytes]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for raw_name, raw in lines:
        name, text = raw_name.decode("ascii", "replace").lower(), raw.decode("latin-1")
        found[name] = f"{found[name]}, {text}" if name in found else text
    return found


def _without_query(location: str) -> str:
    """Returns the target of a redirect, for the log, without its query, which might contain a code."""
    try:
        parts = urlsplit(location)
    except ValueError:
        return "nowhere"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"[:200] if parts.netloc else parts.path[:200]


@contextlib.contextmanager
def _as_unreachable() -> Iterator[None]:
    """Converts errors of the HTTP library to Unreachable."""
    try:
        yield
    except httpcore2.PoolTimeout:
        raise Unreachable(_("no connection became available in time")) from None
    except httpcore2.TimeoutException:
        raise Unreachable(_("no response in time")) from None
    except httpcore2.ConnectError as error:
        cause = _innermost(error)
        plain = _plain(cause)
        is_tls = isinstance(cause, ssl.SSLError)
        raise Unreachable(f"TLS: {plain}" if is_tls else _("can't connect: %(error)s", error=plain)) from None
    except (httpcore2.NetworkError, httpcore2.ProtocolError) as error:
        raise Unreachable(_("invalid response: %(error)s", error=str(_innermost(error)))) from None
    except OSError as error:  # from the DNS lookup
        raise NotPublic(_("the name can't be resolved: %(error)s", error=_plain(error))) from None


def _plain(error: BaseException) -> str:
    """Returns the system's error message, without its numbers."""
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, socket.gaierror):
        return _NAMES.get(number or 0) or error.strerror or str(error)
    return str(error) if isinstance(error, ssl.SSLError) or not number else os.strerror(number)


def _innermost(error: BaseException) -> BaseException:
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return error
