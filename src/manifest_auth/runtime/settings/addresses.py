"""IP addresses as they are compared everywhere: one form for each, whoever wrote it down."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: The address of somebody who came from none that can be read. It is in no network.
UNKNOWN = "unknown"
_LONGEST = 64
#: What proxies write down beside the address: brackets and a port (RFC 7239, section 6), a port alone, a zone.
_BRACKETS = re.compile(r"\[([^\[\]]*)\](?::[0-9]{1,5})?\Z")
_PORT = re.compile(r"([0-9.]+):[0-9]{1,5}\Z")
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")  # IPv4 addresses in the dress of IPv6 ones (RFC 4291, 2.5.5.2)


@lru_cache(maxsize=4096)
def plain_address(text: str) -> str | None:
    """The address in its one form: an IPv4 one in the dress of an IPv6 one as what it is, without port, brackets,
    quotes and zone. None for what is no address."""
    address = _parsed(text)
    return None if address is None else str(address)


def is_listed(address: str, networks: tuple[Network, ...]) -> bool:
    """Whether the address is in one of the networks; what is no address is in none."""
    parsed = _parsed(address)
    return parsed is not None and any(parsed in network for network in networks)


def networks_of(text: str) -> tuple[Network, ...]:
    """The networks of a list that is comma separated; an empty text has none. Raises ValueError, with a line for the
    operator: no network, none at all, or one that no address can be in since IPv4 addresses are compared as such."""
    found = tuple(_network(part.strip()) for part in text.split(",") if part.strip())
    if text and not found:
        raise ValueError("names no network; leave it out where none is meant")
    return found


def _network(text: str) -> Network:
    network = ipaddress.ip_network(text, strict=False)
    if isinstance(network, ipaddress.IPv6Network) and network.overlaps(_MAPPED):
        inner = network.network_address.ipv4_mapped
        if network.prefixlen >= _MAPPED.prefixlen and inner is not None:
            return ipaddress.IPv4Network((inner, network.prefixlen - _MAPPED.prefixlen))
        if network.prefixlen:  # ::/0 is every IPv6 address, and meant so
            raise ValueError(f"{text} holds IPv4 addresses in the dress of IPv6 ones; name the IPv4 network itself")
    return network


@lru_cache(maxsize=4096)
def _parsed(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    if len(text) > _LONGEST:
        return None
    text = text.strip(' \t"')
    if dressed := _BRACKETS.match(text) or _PORT.match(text):
        text = dressed[1]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
