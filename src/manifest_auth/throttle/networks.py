"""The networks around an address, by which anonymous callers are counted and known."""

from __future__ import annotations

import ipaddress

from manifest_auth.runtime.settings import plain_address

#: IPv6 is counted by each of these. A subscriber has a /64 at least, a household usually a /56 and a company a /48
#: (RIPE-690), so a counter of the narrowest alone would leave one of them 65,536 budgets.
PREFIXES = (64, 56, 48)


def networks_of(address: str) -> tuple[str, ...]:
    """What an address is counted by, the narrowest first: itself, or of IPv6 the networks around it. What is no address
    is counted as it is: all who come from none that can be read, together."""
    plain = plain_address(address)
    if plain is None:
        return (address,)
    if ":" not in plain:
        return (plain,)
    return tuple(str(ipaddress.ip_network((plain, prefix), strict=False)) for prefix in PREFIXES)


def network_of(address: str) -> str:
    """The narrowest network that an address is counted by: where one subscriber is."""
    return networks_of(address)[0]


def widened(free: int, step: int) -> int:
    """The budget of a network that is ``step`` wider than the narrowest: half as much again for each. More people
    may share it, and many fewer than it has narrow ones: what it has without end are addresses, not people."""
    return free * (2 + step) // 2


def is_somewhere(address: str) -> bool:
    """Whether it tells anything of where somebody is: callers whose address cannot be read share one name."""
    return plain_address(address) is not None
