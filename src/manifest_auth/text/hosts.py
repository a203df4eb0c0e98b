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
#: An IP address, and a network in CIDR form or one address, but for their numbers.
ADDRESS = re.compile(r"(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*)\Z")
NETWORK = re.compile(ADDRESS.pattern.removesuffix(r"\Z") + r"(?:/[0-9]{1,3})?\Z")
#: The identifier of a client, and the name of a service account.
SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])\Z")
#: A domain as stored: lower case, two labels or more.
DOMAIN = re.compile(r"(?=.{4,189}\Z)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)+\Z")
