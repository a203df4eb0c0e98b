"""Connections, and where they may lead. Loaded at the first call: what it imports costs 2 MB and 30 ms.

It stands on httpcore2, the layer below httpx2, since what we want is what that layer does not have: redirects,
cookies, proxies of the environment, decompression.
"""

from __future__ import annotations

import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from urllib.parse import urlsplit

import httpcore2

from manifest_auth.runtime.outgoing.dns import Names
from manifest_auth.runtime.outgoing.response import NotPublic, Reply, Unreachable
from manifest_auth.runtime.outgoing.ssrf_guard import Target

MAX_BODY = 1024 * 1024
MOST_IDLE = 32
KEEP_S = 4.0  # below the 5 s of the servers in wide use, so that a call does not meet a connection just being closed
_LEAST_PIECE = 512  # what a piece of a body counts at least: a megabyte of single bytes would keep the processor busy
_MOST_TRIED = 4
#: The client that the running call is for. The pool opens a connection in the task of the call that needs it, and hands
#: nothing of the call on.
_TENANT: ContextVar[int] = ContextVar("tenant")
#: Host and address → why it may not be called, or nothing.
Refusal = Callable[[str, str], str]


class Wire:
    """The connections of one process."""

    def __init__(self, names: Names, refusal: Refusal) -> None:
        # Certificates are checked against the system's authorities, or those that SSL_CERT_FILE names.
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=httpcore2.default_ssl_context(),
            max_connections=None,  # the shares of the clients are what bounds them
            max_keepalive_connections=MOST_IDLE,
            keepalive_expiry=KEEP_S,
            network_backend=_CheckedBackend(names, refusal),
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
        """One request, one answer. ``redirects``: one that sends elsewhere is an answer too. Raises Unreachable; a
        time-out of the whole is the caller's."""
        _TENANT.set(tenant_id)
        with _told():
            try:
                return await self._once(method, target, headers, body, seconds, redirects)
            except (httpcore2.RemoteProtocolError, httpcore2.ReadError, httpcore2.WriteError):
                if method != "GET":  # RFC 9110, section 9.2.2: a code is redeemed once
                    raise
                # A connection that the other side was about to close; the next one is new or fails as well.
                return await self._once(method, target, headers, body, seconds, redirects)

    async def close(self) -> None:
        """Ends all connections."""
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
            received = _joined(answer.headers)
            if 300 <= answer.status < 400 and not redirects:
                raise Unreachable(f"redirected to {_without_query(received.get('location', 'nowhere'))}")
            if received.get("content-encoding", "identity").lower() != "identity":
                raise Unreachable("compressed its answer, though asked not to")
            return Reply(answer.status, received, await _read(answer.aiter_stream()))


class _CheckedBackend(httpcore2.AnyIOBackend):
    """Connects to an address that was checked, never to a name. TLS is still spoken with the name."""

    def __init__(self, names: Names, refusal: Refusal) -> None:
        self._names, self._refusal = names, refusal

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        addresses = await self._names.find(host, port, _TENANT.get())
        why = {address: self._refusal(host, address) for address in addresses}
        allowed = [address for address in addresses if not why[address]][:_MOST_TRIED]
        if not allowed:
            raise NotPublic("; ".join(why.values()))
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
            raise Unreachable("the answer is too large")
    return bytes(body)


def _joined(lines: list[tuple[bytes, bytes]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for raw_name, raw in lines:
        name, text = raw_name.decode("ascii", "replace").lower(), raw.decode("latin-1")
        found[name] = f"{found[name]}, {text}" if name in found else text
    return found


def _without_query(location: str) -> str:
    """Where a redirect led, for the log: the query may hold a code."""
    try:
        parts = urlsplit(location)
    except ValueError:
        return "nowhere"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"[:200] if parts.netloc else parts.path[:200]


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """What went wrong, in words, as Unreachable."""
    try:
        yield
    except httpcore2.PoolTimeout:
        raise Unreachable("no connection was free in time") from None
    except httpcore2.TimeoutException:
        raise Unreachable("no answer in time") from None
    except httpcore2.ConnectError as error:
        cause = _innermost(error)
        kind = "TLS" if isinstance(cause, ssl.SSLError) else "cannot connect"
        raise Unreachable(f"{kind}: {cause}") from None
    except (httpcore2.NetworkError, httpcore2.ProtocolError) as error:
        raise Unreachable(f"broken answer: {_innermost(error)}") from None
    except OSError as error:  # the name was looked up by us
        raise NotPublic(f"the name cannot be looked up: {error}") from None


def _innermost(error: BaseException) -> BaseException:
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return error
