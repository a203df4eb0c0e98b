"""The networks of an address, by which callers are counted and recognised."""

from __future__ import annotations

import ipaddress

from manifest_auth.runtime.settings import plain_address

#: IPv6 is counted by each of these prefixes. A subscriber has at least a /64, a private customer usually a /56 and a
#: company a /48 (RIPE-690), so a counter of the narrowest alone would give a company 65,536 budgets.
PREFIXES = (64, 56, 48)


def networks_of(address: str) -> tuple[str, ...]:
    """The networks by which an address is counted, the narrowest first: IPv4 by itself, IPv6 by the networks around it.
    A text that is not an address is counted as it is."""
    plain = plain_address(address)
    if plain is None:
        return (address,)
    if ":" not in plain:
        return (plain,)
    return tuple(str(ipaddress.ip_network((plain, prefix), strict=False)) for prefix in PREFIXES)


def network_of(address: str) -> str:
    """The narrowest network of an address, which belongs to one subscriber."""
    return networks_of(address)[0]


def widened(free: int, step: int) -> int:
    """The budget of a network that is ``step`` levels wider than the narrowest: 50 % more for each level. More users
    may share it, but far fewer than its number of addresses suggests."""
    return free * (2 + step) // 2


def is_ip_address(address: str) -> bool:
    """Whether the text is an IP address, and so identifies a caller's network."""
    return plain_address(address) is not None
