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


#: A domain as stored: lower case, two labels or more.
DOMAIN = re.compile(r"(?=.{4,189}\Z)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)+\Z")
