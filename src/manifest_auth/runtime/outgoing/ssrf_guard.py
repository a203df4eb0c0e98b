"""Addresses that may be called: the guard against server-side request forgery (SSRF).

It has rules for URLs, and for the IP addresses that they resolve to.
"""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple
from urllib.parse import urlsplit

from manifest_auth.runtime.settings import PrivateTargets, is_loopback_host

MAX_LENGTH = 2048
_ADDRESS = re.compile(r"[!-~]+\Z")  # RFC 3986 knows printable ASCII only
_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(\.(?!-)[A-Za-z0-9_-]{1,63})*\.?\Z")
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
_IETF_ASSIGNMENTS = ipaddress.ip_network("2001::/23")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class Target(NamedTuple):
    """The parts of a URL, parsed once: no later code parses the text again, perhaps differently."""

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
    """The parts of a URL that may be called. Raises ValueError with a message for the user who configures it."""
    if len(url) > MAX_LENGTH or not _ADDRESS.match(url) or "\\" in url:
        raise ValueError("must be an address in plain ASCII without spaces; write an international host as xn--…")
    parts = urlsplit(url)
    if parts.scheme not in _PORTS:
        raise ValueError("must begin with https://")
    if "@" in parts.netloc:
        raise ValueError("must not contain a user name or password")
    if "#" in url:
        raise ValueError("must not contain #")
    host = parts.hostname or ""  # lower case, without brackets
    if not _NAME.match(host) and not _is_ipv6(parts.netloc, host):
        raise ValueError("must name a host")
    port = parts.port or _PORTS[parts.scheme]  # ValueError beyond 65535
    if parts.scheme == "http" and not is_loopback_host(host):
        raise ValueError("must begin with https://; http is for loopback addresses only")
    return Target(parts.scheme, host, port, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))


def _is_ipv6(netloc: str, host: str) -> bool:
    try:
        return netloc.startswith("[") and ipaddress.ip_address(host).version == 6 and "%" not in host
    except ValueError:
        return False


def refusal(host: str, address: str, private: PrivateTargets) -> str:
    """Why ``address``, which ``host`` resolved to, may not be called; empty when it may."""
    ip = _ipv4_inside(ipaddress.ip_address(address.partition("%")[0]))
    if is_loopback_host(host) and not ip.is_loopback:  # otherwise http would leave this machine
        return f"{host} is {ip}, which is not this machine"
    if ip.is_unspecified or ip.is_multicast or (ip.version == 4 and ip.is_reserved):
        return f"{ip} is no address of a server"
    if not _is_public(ip) and not private.allow(host, ip):
        return f"{ip} is not a public address, and MANIFEST_OUTGOING_PRIVATE does not allow it"
    return ""


def literal_refusal(host: str, private: PrivateTargets) -> str:
    """Why a host may not be called, as far as is known before the DNS lookup: for IP addresses and loopback names; else
    empty."""
    try:
        return refusal(host, host, private)
    except ValueError:
        return refusal(host, "127.0.0.1", private) if is_loopback_host(host) else ""


def _ipv4_inside(ip: IpAddress) -> IpAddress:
    """The IPv4 address that an IPv6 address contains, if any: mapped, NAT64 (RFC 6052), 6to4 (RFC 3056)."""
    if ip.version == 4:
        return ip
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


def _is_public(ip: IpAddress) -> bool:
    """By the registries of RFC 6890; for IPv6 only addresses that are allocated to networks."""
    if ip.version == 4:
        return ip.is_global
    return ip in _GLOBAL_UNICAST and ip.is_global and ip not in _IETF_ASSIGNMENTS
