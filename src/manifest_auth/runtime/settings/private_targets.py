"""The setting ``outgoing_private``: which providers at private addresses may be called: all, none, or a list."""

from __future__ import annotations

import re
from typing import NamedTuple

from manifest_auth.runtime.settings.addresses import Address, Network, networks_of

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
