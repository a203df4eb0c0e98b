"""Index of listed origins: which clients list the origin of a page, for requests that name no user.

It is kept in memory. Every change of the lists replaces a stamp in the database, and is announced in its transaction.
SQLite announces nothing to other processes, so the stamp is read after each commit there, and with PostgreSQL while
announcements might be lost (``docs/decisions/0005-revocation.md``).
"""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple

import msgspec
from sqlalchemy import or_, select

from manifest_auth.permissions import Role
from manifest_auth.store import RESET, Announcement, Store, SystemUnit, global_, installation_values
from manifest_auth.store.tables import tenants
from manifest_auth.tenants.effective_settings import following_length
from manifest_auth.tenants.settings import StoredSettings, TenantSettingsChange, Unconfirmed, merge

# Only this module reads the two lists.
#
# An entry that a User Admin adds is not valid for Admins until an Admin saves it. Otherwise a User Admin could list a
# page that acts with an Admin's cookie, or receives an Admin's session.


def origins_for(settings: StoredSettings, roles: int) -> tuple[str, ...]:
    """Returns the origins whose pages can act with the session cookie of a user who has those roles (a bit mask)."""
    return _for(settings.allowed_origins, settings.unconfirmed.allowed_origins, roles)


def return_addresses_for(settings: StoredSettings, roles: int) -> tuple[str, ...]:
    """Returns the addresses to which a sign-in of a user with those roles can return."""
    return _for(settings.return_addresses, settings.unconfirmed.return_addresses, roles)


def _for(listed: tuple[str, ...], unconfirmed: tuple[str, ...], roles: int) -> tuple[str, ...]:
    if unconfirmed and roles & Role.ADMIN.bit:
        return tuple(one for one in listed if one not in unconfirmed)
    return listed


def apply_change(before: StoredSettings, change: TenantSettingsChange, *, by_admin: bool) -> StoredSettings:
    """Returns the settings with the change applied. ``by_admin``: an Admin makes the change, which confirms all entries
    of the lists in it, and lets a default password length follow the second-factor policy."""
    after, old = merge(before, change), before.unconfirmed
    password: object = change.password
    if by_admin and getattr(password, "min_length", msgspec.UNSET) is msgspec.UNSET:
        after = following_length(before, after)

    def left(was: tuple[str, ...], old: tuple[str, ...], now: tuple[str, ...], named: object) -> tuple[str, ...]:
        if by_admin:
            return old if named is msgspec.UNSET else ()
        return tuple(one for one in now if one in old or one not in was)

    unconfirmed = Unconfirmed(
        left(before.allowed_origins, old.allowed_origins, after.allowed_origins, change.allowed_origins),
        left(before.return_addresses, old.return_addresses, after.return_addresses, change.return_addresses),
    )
    return msgspec.structs.replace(after, unconfirmed=unconfirmed)


_STAMP: Final = "origins"
_CHANGED: Final = Announcement("installation", _STAMP)


class _Lists(msgspec.Struct, rename="camel"):
    """The part of the stored settings that the index needs."""

    allowed_origins: tuple[str, ...] = ()


class _Index(NamedTuple):
    """The index. ``stamp``: of the lists that were read; ``of_any``: origins of any client; ``of_client``: by
    identifier and by number."""

    stamp: str
    of_any: frozenset[str]
    of_client: dict[str, frozenset[str]]


_C = tenants.c
# Most clients list nothing; their settings are not read.
_ACTIVE = global_(
    select(_C.id, _C.identifier, _C.settings).where(
        _C.suspended_at.is_(None),
        or_(_C.settings.like('%"allowedOrigins":["%'), _C.settings.like('%"allowedOrigins": ["%')),
    )
)
_decode = msgspec.json.Decoder(_Lists).decode


def changed(unit: SystemUnit) -> None:
    """Makes every process read the lists again once this commits. Called with each change of them, and of which clients
    are active."""
    installation_values.put(unit, _STAMP, str(int(installation_values.lock(unit, _STAMP) or 0) + 1))
    unit.announce("installation", _STAMP)


def _read(unit: SystemUnit) -> _Index:
    stamp = installation_values.get(unit, _STAMP) or ""
    of_any, of_client = set[str](), dict[str, frozenset[str]]()
    for number, identifier, settings in unit.all(_ACTIVE):
        listed = frozenset(_decode(settings).allowed_origins)
        of_any |= listed
        of_client[identifier] = of_client[str(number)] = listed
    return _Index(stamp, frozenset(of_any), of_client)


class OriginIndex:
    """The origins that active clients list, as this process knows them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._index = _Index("", frozenset(), {})
        self._is_read = False
        self._version: object | None = None
        self._generation = 0
        self._renewing = asyncio.Lock()
        store.on_announcement(self._forget)

    async def is_listed(self, origin: str, client: str | None) -> bool:
        """Whether the client lists the origin; with None, whether any client does. Raises StoreUnavailable.

        ``client`` is an identifier or number; a missing or suspended client lists nothing.
        """
        if not self._is_current():
            async with self._renewing:
                if not self._is_current():
                    await self._renew()
        return origin in (self._index.of_any if client is None else self._index.of_client.get(client, ()))

    def _is_current(self) -> bool:
        version = self._store.version()
        return version is not None and version == self._version

    async def _renew(self) -> None:
        version, generation = self._store.version(), self._generation
        stamp = await installation_values.look_up(self._store, _STAMP)
        if not self._is_read or stamp != self._index.stamp:
            self._index, self._is_read = await self._store.read(_read), True
        # Lists that are read during a change can be the old ones: the next request reads them again.
        if generation == self._generation and version == self._store.version():
            self._version = version

    def _forget(self, announcement: Announcement) -> None:
        if announcement in (_CHANGED, RESET):
            self._generation += 1
            self._version = None
