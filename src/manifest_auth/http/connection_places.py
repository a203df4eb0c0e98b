"""Limits on the connections that a process keeps, in all and from one network.

Where no place is left, the connection that was silent for longest gives way: of the new one's network when that network
has its share, else of all. Connections with a request under way give way to none. Listed proxies have no share, since
all callers come from them.
"""

from __future__ import annotations

import resource
from collections.abc import Iterable
from typing import Protocol

from manifest_auth.runtime.settings import Network, is_listed
from manifest_auth.throttle.networks import network_of

MOST = 4096  # each takes some 20 kB, and more while a request is under way
_PROXIES = ""  # in place of a network


class Connection(Protocol):
    """``silent_since``: by the clock of the event loop; None while a request is under way."""

    @property
    def silent_since(self) -> float | None: ...

    def drop(self) -> None:
        """Closes it at once, whatever was not sent yet."""


class Places:
    """The connections of one process."""

    def __init__(self, proxies: tuple[Network, ...]) -> None:
        self._proxies = proxies
        self._taken: dict[Connection, str] = {}
        self._by_network: dict[str, set[Connection]] = {}

    def take(self, connection: Connection, address: str) -> None:
        """Gives a new connection a place, or drops it where none is left and none gives way."""
        network = _PROXIES if is_listed(address, self._proxies) else network_of(address)
        same, most = self._by_network.get(network, ()), _most()
        if network != _PROXIES and len(same) >= most // 4:
            gives_way = _silent_longest(same)
        elif len(self._taken) >= most:
            strangers = (one for one, of in self._taken.items() if of != _PROXIES)
            gives_way = _silent_longest(strangers) or _silent_longest(self._taken)
        else:
            self._add(connection, network)
            return
        if gives_way is None:
            connection.drop()
            return
        self.leave(gives_way)
        gives_way.drop()
        self._add(connection, network)

    def _add(self, connection: Connection, network: str) -> None:
        self._taken[connection] = network
        self._by_network.setdefault(network, set()).add(connection)

    def leave(self, connection: Connection) -> None:
        """Takes back the place of a connection that has ended, if it has one."""
        network = self._taken.pop(connection, None)
        if network is not None:
            self._by_network[network].discard(connection)
            if not self._by_network[network]:
                del self._by_network[network]


def _most() -> int:
    """The store, uploads and the log need files too."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST if files == resource.RLIM_INFINITY else min(MOST, files * 3 // 4)


def _silent_longest(connections: Iterable[Connection]) -> Connection | None:
    silent = ((since, one) for one in connections if (since := one.silent_since) is not None)
    return min(silent, key=lambda pair: pair[0], default=(0.0, None))[1]
