"""The networks that may call the admin routes: those of the environment, and those that a system admin has set.

Where both are set, an address must be in both, so no request can lift the environment's limit.

The setting is cached like a principal (``sessions/principals.py``): with SQLite until the next commit, with PostgreSQL
until a change is announced, and not at all while announcements may be lost.
"""

from __future__ import annotations

import ipaddress

from manifest_auth.runtime.settings import Network, Settings, admin_networks, is_listed, networks_of
from manifest_auth.store import RESET, Announcement, Store, SystemUnit, installation_values

_NAME = "admin_addresses"
_CHANGED = Announcement("installation", _NAME)
_NO_ADDRESS = (ipaddress.IPv6Network("::/128"),)  # the unspecified address (RFC 4291, 2.5.2), which no caller has


def addresses(unit: SystemUnit) -> str:
    """The networks that a system admin has set, comma separated; empty: none."""
    return installation_values.get(unit, _NAME) or ""


def normalised(text: str) -> str:
    """A list of networks in its stored form. Raises ValueError."""
    return ", ".join(str(network) for network in networks_of(text))


def set_addresses(unit: SystemUnit, text: str) -> None:
    """Limits the admin routes to the networks (as from :func:`normalised`), from the commit on; other nodes follow
    within a second. Empty: only the environment's limit."""
    if text:
        installation_values.put(unit, _NAME, text)
    else:
        installation_values.take(unit, _NAME)
    unit.announce("installation", _NAME)


class AdminNetworks:
    """Checks a caller's address against both lists, on every admin request."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._always = admin_networks(settings)
        self._store = store
        self._set: tuple[Network, ...] | None = None  # as of `_version`; None: to be read
        self._version: object | None = None
        self._generation = 0
        store.on_announcement(self._forget)

    async def allows(self, address: str) -> bool:
        """Whether the address may call the admin routes, and learn that they exist. Raises StoreUnavailable."""
        if self._always and not is_listed(address, self._always):
            return False
        version = self._store.version()
        found = self._set if version is not None and version == self._version else None
        if found is None:
            found = await self._ask(version)
        return not found or is_listed(address, found)

    async def _ask(self, version: object | None) -> tuple[Network, ...]:
        generation = self._generation
        value = await installation_values.look_up(self._store, _NAME)
        found = () if value is None else _read(value)
        # A value that was read during a change is not cached: it may be the old one.
        if version is not None and generation == self._generation and version == self._store.version():
            self._set, self._version = found, version
        return found

    def _forget(self, announcement: Announcement) -> None:
        if announcement in (_CHANGED, RESET):
            self._set = None
            self._generation += 1


def _read(value: str) -> tuple[Network, ...]:
    """An invalid value, written into the store by hand, allows no address; ``admin addresses`` repairs it."""
    try:
        return networks_of(value) or _NO_ADDRESS
    except ValueError:
        return _NO_ADDRESS
