"""IP addresses and networks in one normal form, for comparison."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import NamedTuple

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: The address of a caller whose address cannot be read. It is in no network.
UNKNOWN = "unknown"
_LONGEST = 64
#: What proxies add to the address: brackets and a port (RFC 7239, section 6), a port, a zone.
_BRACKETS = re.compile(r"\[([^\[\]]*)\](?::[0-9]{1,5})?\Z")
_PORT = re.compile(r"([0-9.]+):[0-9]{1,5}\Z")
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")  # IPv4-mapped IPv6 addresses (RFC 4291, 2.5.5.2)


@lru_cache(maxsize=4096)
def plain_address(text: str) -> str | None:
    """The address in its normal form: IPv4 for an IPv4-mapped one, without port, brackets, quotes and zone. None for an
    invalid address."""
    address = _parsed(text)
    return None if address is None else str(address)


def is_listed(address: str, networks: tuple[Network, ...]) -> bool:
    """Whether the address is in one of the networks. False for an invalid address."""
    parsed = _parsed(address)
    return parsed is not None and any(parsed in network for network in networks)


def networks_of(text: str) -> tuple[Network, ...]:
    """The networks of a comma-separated list; none for an empty text. Raises ValueError with a line for the operator,
    also for IPv4-mapped networks, which no address can be in, since mapped addresses are compared as IPv4."""
    found = tuple(_network(part.strip()) for part in text.split(",") if part.strip())
    if text and not found:
        raise ValueError("names no network; leave it out if none is meant")
    return found


def _network(text: str) -> Network:
    network = ipaddress.ip_network(text, strict=False)
    if isinstance(network, ipaddress.IPv6Network) and network.overlaps(_MAPPED):
        inner = network.network_address.ipv4_mapped
        if network.prefixlen >= _MAPPED.prefixlen and inner is not None:
            return ipaddress.IPv4Network((inner, network.prefixlen - _MAPPED.prefixlen))
        if network.prefixlen:  # ::/0 means every IPv6 address
            raise ValueError(f"{text} contains IPv4-mapped addresses; name the IPv4 network itself")
    return network


@lru_cache(maxsize=4096)
def _parsed(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    if len(text) > _LONGEST:
        return None
    text = text.strip(' \t"')
    if decorated := _BRACKETS.match(text) or _PORT.match(text):
        text = decorated[1]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


# The setting ``outgoing_private``: which providers at private addresses may be called: all, none, or a list.


_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(\.(?!-)[a-z0-9_-]{1,63})*\Z")
_NUMBER = re.compile(r"(0x[0-9a-f]*|[0-9]+)\Z")  # some programs parse a last label like this as an address
_WORDS = frozenset({"auto", "on", "off", "yes", "no", "true", "false"})


class PrivateTargets(NamedTuple):
    """``everywhere``: all; ``hosts``: names in a provider's URLs, whatever they resolve to; ``networks``: of
    addresses."""

    everywhere: bool
    hosts: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    def allow(self, host: str, address: Address) -> bool:
        """Whether ``address``, a private address that ``host`` resolves to, may be called."""
        if self.everywhere or host.removesuffix(".") in self.hosts:
            return True
        return any(address in network for network in self.networks)


def parse_targets(text: str) -> PrivateTargets:
    """The hosts and networks of a comma-separated list. Raises ValueError with a line for the operator."""
    hosts: set[str] = set()
    networks: list[Network] = []
    for part in filter(None, (part.strip().lower() for part in text.split(","))):
        try:
            networks += networks_of(part)
        except ValueError:
            if part in _WORDS or not _NAME.match(part) or _NUMBER.match(part.rpartition(".")[2]):
                raise ValueError(f"{part} is neither auto, on nor off, nor a host or network of a list") from None
            hosts.add(part)
    if not hosts and not networks:
        raise ValueError("must be auto, on, off, or a list of hosts and networks")
    return PrivateTargets(False, frozenset(hosts), tuple(networks))
