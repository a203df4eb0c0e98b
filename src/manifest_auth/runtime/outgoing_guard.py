"""Checks outgoing URLs and the IP addresses that they resolve to, against server-side request forgery (SSRF).

Owns the DNS lookups, a client's share of them, and the responses of calls.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from manifest_auth.runtime.settings import PrivateTargets, is_loopback_host
from manifest_auth.text import strict_json
from manifest_auth.text.languages import marked as _

MAX_LENGTH = 2048
_ADDRESS = re.compile(r"[!-~]+\Z")  # RFC 3986 allows only printable ASCII
_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(\.(?!-)[A-Za-z0-9_-]{1,63})*\.?\Z")
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
_IETF_ASSIGNMENTS = ipaddress.ip_network("2001::/23")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class Target(NamedTuple):
    """The parts of a URL, parsed once, so that no later code parses the text again, perhaps differently."""

    scheme: str
    host: str
    port: int
    path: str  # with the query

    @property
    def authority(self) -> str:
        """The value of the ``Host`` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


_PORTS = {"https": 443, "http": 80}


def split(url: str) -> Target:
    """Returns the parts of a URL that can be called. Raises ValueError with a message for the user who configures
    it."""
    if len(url) > MAX_LENGTH or not _ADDRESS.match(url) or "\\" in url:
        raise ValueError(_("must be a URL in plain ASCII without spaces; write an international host as xn--…"))
    parts = urlsplit(url)
    if parts.scheme not in _PORTS:
        raise ValueError(_("must begin with https://"))
    if "@" in parts.netloc:
        raise ValueError(_("must not contain a user name or password"))
    if "#" in url:
        raise ValueError(_("must not contain #"))
    host = parts.hostname or ""  # lower case, without brackets
    if not _NAME.match(host) and not _is_ipv6(parts.netloc, host):
        raise ValueError(_("must include a host"))
    port = parts.port or _PORTS[parts.scheme]  # ValueError beyond 65535
    if parts.scheme == "http" and not is_loopback_host(host):
        raise ValueError(_("must begin with https://; http is allowed only for loopback addresses"))
    return Target(parts.scheme, host, port, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))


def _is_ipv6(netloc: str, host: str) -> bool:
    try:
        return netloc.startswith("[") and ipaddress.ip_address(host).version == 6 and "%" not in host
    except ValueError:
        return False


def refusal(host: str, address: str, private: PrivateTargets) -> str:
    """Returns why ``address``, which ``host`` resolved to, must not be called; empty if it can be called."""
    ip = _ipv4_inside(ipaddress.ip_address(address.partition("%")[0]))
    if is_loopback_host(host) and not ip.is_loopback:  # otherwise http would leave this machine
        return _("%(host)s is %(ip)s, which isn't this machine", host=host, ip=str(ip))
    if ip.is_unspecified or ip.is_multicast or (ip.version == 4 and ip.is_reserved):
        return _("%(ip)s isn't the address of a server", ip=str(ip))
    if not _is_public(ip) and not private.allow(host, ip):
        return _("%(ip)s isn't a public address, and MANIFEST_OUTGOING_PRIVATE doesn't allow it", ip=str(ip))
    return ""


def literal_refusal(host: str, private: PrivateTargets) -> str:
    """Returns why a host must not be called, as far as this is known before the DNS lookup, for IP addresses and
    loopback names; empty for any other."""
    try:
        return refusal(host, host, private)
    except ValueError:
        return refusal(host, "127.0.0.1", private) if is_loopback_host(host) else ""


def _ipv4_inside(ip: IpAddress) -> IpAddress:
    """Returns the IPv4 address that an IPv6 address contains, if any: mapped, NAT64 (RFC 6052), 6to4 (RFC 3056)."""
    if ip.version == 4:
        return ip
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


def _is_public(ip: IpAddress) -> bool:
    """Whether the address is public according to the registries of RFC 6890. For IPv6, only addresses that are
    allocated to networks are."""
    if ip.version == 4:
        return ip.is_global
    return ip in _GLOBAL_UNICAST and ip.is_global and ip not in _IETF_ASSIGNMENTS


class Unreachable(Exception):
    """The provider could not be called, or its response is invalid HTTP.

    The message is for the log: hosts and reasons, never a code, a token or a query.
    """


class NotPublic(Unreachable):
    """The host does not resolve, or resolves to no address that can be called."""

    def __init__(self, text: str, host: str = "") -> None:
        super().__init__(text)
        self.host = host


class TooManyCalls(Unreachable):
    """Other calls of the client used up its share for the whole time. Nothing was called."""


class Reply(NamedTuple):
    """A response. ``headers``: names in lower case, repeated ones joined by commas."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> dict[str, Any] | list[Any]:
        """Returns the body, parsed by :func:`parse`. Raises ValueError."""
        # RFC 8259, section 8.1, allows ignoring a byte order mark.
        return parse(self.body.removeprefix(b"\xef\xbb\xbf"))


def parse(raw: bytes) -> dict[str, Any] | list[Any]:
    """Returns an object or a list, parsed by :mod:`...text.strict_json`. Its texts can contain NUL; they are cleaned
    before they are stored. Raises ValueError."""
    found = strict_json.read(raw, may_hold_nul=True)
    if not isinstance(found, dict | list):
        raise ValueError("neither an object nor a list")
    return found


# DNS lookups are done before connecting, so the address that was checked is the one that is called (DNS rebinding).


class Shares:
    """Slots of one kind in one process. ``own``: guaranteed slots of a client. While all clients together use fewer
    than ``common``, a client can use up to ``most``.

    So the total is limited by ``common`` plus ``own`` for each calling client, and a client that uses fewer than
    ``own`` never waits. The client with the fewest used slots comes first; within a client, the longest-waiting task.
    """

    def __init__(self, own: int, most: int, common: int) -> None:
        self._own, self._most, self._common = own, most, common
        self._in_use: dict[int, int] = {}
        self._total = 0
        self._waiting: dict[int, dict[asyncio.Future[None], None]] = {}

    async def acquire(self, tenant_id: int) -> None:
        """Waits for a slot of the tenant. The caller must :meth:`release` it."""
        if tenant_id not in self._waiting and self._is_free(tenant_id):
            self._count(tenant_id, 1)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(tenant_id, {})[turn] = None
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._remove_waiting(tenant_id, turn)
            else:  # the slot was granted at the same moment
                self.release(tenant_id)
            raise

    def release(self, tenant_id: int) -> None:
        """Returns a slot; the next waiting task gets it."""
        self._count(tenant_id, -1)
        while ready := [waiting for waiting in self._waiting if self._is_free(waiting)]:
            first = min(ready, key=lambda waiting: self._in_use.get(waiting, 0))
            turn = next(iter(self._waiting[first]))
            self._remove_waiting(first, turn)
            if not turn.done():
                self._count(first, 1)
                turn.set_result(None)

    @asynccontextmanager
    async def slot(self, tenant_id: int) -> AsyncIterator[None]:
        """Holds a slot until the end of the block."""
        await self.acquire(tenant_id)
        try:
            yield
        finally:
            self.release(tenant_id)

    def _is_free(self, tenant_id: int) -> bool:
        in_use = self._in_use.get(tenant_id, 0)
        return in_use < self._own or (in_use < self._most and self._total < self._common)

    def _count(self, tenant_id: int, change: int) -> None:
        self._total += change
        self._in_use[tenant_id] = self._in_use.get(tenant_id, 0) + change
        if not self._in_use[tenant_id]:
            del self._in_use[tenant_id]

    def _remove_waiting(self, tenant_id: int, turn: asyncio.Future[None]) -> None:
        turns = self._waiting.get(tenant_id, {})
        turns.pop(turn, None)
        if not turns:
            self._waiting.pop(tenant_id, None)


#: Function from host and port to addresses, best first. Blocks; raises OSError.
Resolve = Callable[[str, int], list[str]]
#: Simultaneous lookups: guaranteed for a client; maximum for a client (more than its providers, all of which can have
#: dead name servers); and total above which a client has only its guaranteed number.
OWN_LOOKUPS, MOST_LOOKUPS, COMMON_LOOKUPS = 8, 64, 128
_THREADS = 10_000  # started on demand; the shares limit them


def system(host: str, port: int) -> list[str]:
    """Returns the addresses from the operating system's resolver."""
    return list(dict.fromkeys(str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))


class Resolver:
    """DNS lookups in threads. Simultaneous requests for one name share one lookup and one thread.

    A lookup cannot be canceled, and a dead name server blocks a thread for many seconds. So the client that started it
    uses a slot of its share until the thread is free, even when the call itself was given up.
    """

    def __init__(self, resolve: Resolve = system) -> None:
        self._resolve = resolve
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="names")
        self._shares = Shares(OWN_LOOKUPS, MOST_LOOKUPS, COMMON_LOOKUPS)
        self._under_way: dict[tuple[str, int], asyncio.Future[list[str]]] = {}

    async def resolve(self, host: str, port: int, tenant_id: int) -> list[str]:
        """Returns the addresses of a host, best first. Raises OSError (socket.gaierror) if there are none, and
        UnicodeError for an invalid name."""
        if (host, port) not in self._under_way:  # while it waits for a slot, no other call shares its wait
            await self._shares.acquire(tenant_id)
            if (host, port) in self._under_way:
                self._shares.release(tenant_id)
            else:
                self._begin(host, port, tenant_id)
        return await asyncio.shield(self._under_way[host, port])

    def _begin(self, host: str, port: int, tenant_id: int) -> None:
        look_up = asyncio.get_running_loop().run_in_executor(self._threads, self._resolve, host, port)
        self._under_way[host, port] = look_up
        look_up.add_done_callback(lambda done: self._forget((host, port), tenant_id, done))

    def _forget(self, key: tuple[str, int], tenant_id: int, done: asyncio.Future[list[str]]) -> None:
        del self._under_way[key]
        self._shares.release(tenant_id)
        if not done.cancelled():
            done.exception()  # marks the error as handled; the callers might be gone

    def close(self) -> None:
        """Stops without waiting for running lookups."""
        self._threads.shutdown(wait=False, cancel_futures=True)
