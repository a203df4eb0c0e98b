"""Loopback hosts, and the pattern of domain names."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache


@lru_cache(maxsize=64)
def is_loopback_host(host: str) -> bool:
    """Whether the host is this machine only. An IPv4-mapped IPv6 address is not: releases of Python disagree about
    it."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
        return address.is_loopback and getattr(address, "ipv4_mapped", None) is None
    except ValueError:
        return False


#: The value of an ``Origin`` header (RFC 6454, section 6.2), but for its port's range and the hosts of ``http``.
ORIGIN = re.compile(r"(https?)://([a-z0-9.-]+|\[[0-9a-f:.]+\])(?::([1-9][0-9]{0,4}))?\Z")
_BYTE = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_V4 = rf"{_BYTE}(?:\.{_BYTE}){{3}}"
#: An IP address, and a network in CIDR form or one address, as far as a pattern says it.
ADDRESS = re.compile(rf"(?:{_V4}|(?:[0-9A-Fa-f]{{0,4}}:){{2,7}}(?:[0-9A-Fa-f]{{0,4}}|{_V4}))\Z")
NETWORK = re.compile(ADDRESS.pattern.removesuffix(r"\Z") + r"(?:/(?:12[0-8]|1[01][0-9]|[1-9]?[0-9]))?\Z")
#: The identifier of a client, and the name of a service account.
SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])\Z")
#: A domain as stored: lower case, two labels or more.
DOMAIN = re.compile(r"(?=.{4,189}\Z)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)+\Z")
