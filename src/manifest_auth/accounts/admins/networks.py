"""From where the admin plane can be reached: the environment's networks, and those that a system admin has set. An
address must be in both, where there are both, so nobody lifts over HTTP what the environment says.

What was set is remembered as a principal is (``sessions/principals.py``): with SQLite until anybody commits anything,
with PostgreSQL until it is announced to have changed, and not at all while announcements may not arrive.
"""

from __future__ import annotations

import ipaddress

from manifest_auth.runtime.settings import Network, Settings, admin_networks, is_listed, networks_of
from manifest_auth.store import Announcement, Store, SystemUnit, installation_values

_NAME = "admin_addresses"
_NOBODY = (ipaddress.IPv6Network("::/128"),)  # the address of nobody (RFC 4291, 2.5.2)


def addresses(unit: SystemUnit) -> str:
    """The networks that a system admin has set, comma separated; empty: none."""
    return installation_values.get(unit, _NAME) or ""


def written(text: str) -> str:
    """A list of networks as it is stored. Raises ValueError."""
    return ", ".join(str(network) for network in networks_of(text))


def limit(unit: SystemUnit, text: str) -> None:
    """Leaves the plane to the networks, as :func:`written` has them, from the commit on; empty: to all that the
    environment lets in. On other nodes within a second."""
    if text:
        installation_values.put(unit, _NAME, text)
    else:
        installation_values.take(unit, _NAME)
    unit.announce(_NAME, "")


class AdminRange:
    """Who is let near the admin plane, asked on every request."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._always = admin_networks(settings)
        self._store = store
        self._set: tuple[Network, ...] | None = None  # of `_version`; None: to be asked for
        self._version: object | None = None
        self._generation = 0
        store.on_announcement(self._forget)

    async def admits(self, address: str) -> bool:
        """Whether somebody of that address may see that there is a plane at all. Raises StoreUnavailable."""
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
        # Nothing is kept that was read while something changed: it may be what was changed.
        if version is not None and generation == self._generation and version == self._store.version():
            self._set, self._version = found, version
        return found

    def _forget(self, announcement: Announcement) -> None:
        if announcement.kind in (_NAME, "all"):
            self._set = None
            self._generation += 1


def _read(value: str) -> tuple[Network, ...]:
    """What somebody wrote into the store by hand, and is no list, lets nobody in: ``admin addresses`` mends it."""
    try:
        return networks_of(value) or _NOBODY
    except ValueError:
        return _NOBODY
