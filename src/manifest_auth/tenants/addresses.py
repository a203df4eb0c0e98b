"""Which of a client's origins and return addresses count, and for whom: the one place where the two lists are read.

What a User Admin adds counts for no Admin until an Admin saves it: else a User Admin would list a page that acts with
an Admin's cookie, or is handed an Admin's session.
"""

from __future__ import annotations

import msgspec

from manifest_auth.permissions import Role
from manifest_auth.tenants.settings import StoredSettings, TenantSettingsChange, Unconfirmed, merge


def origins_for(settings: StoredSettings, roles: int) -> tuple[str, ...]:
    """The origins whose pages may act with the session cookie of a user who has those roles (a bit mask)."""
    return _for(settings.allowed_origins, settings.unconfirmed.allowed_origins, roles)


def return_addresses_for(settings: StoredSettings, roles: int) -> tuple[str, ...]:
    """Where a sign-in of a user with those roles may end. For a default, where the user is not known yet, ask for those
    of an Admin."""
    return _for(settings.return_addresses, settings.unconfirmed.return_addresses, roles)


def _for(listed: tuple[str, ...], unconfirmed: tuple[str, ...], roles: int) -> tuple[str, ...]:
    if unconfirmed and roles & Role.ADMIN.bit:
        return tuple(one for one in listed if one not in unconfirmed)
    return listed


def settle(before: StoredSettings, change: TenantSettingsChange, *, by_admin: bool) -> StoredSettings:
    """The settings with what the change gives. ``by_admin``: whether the one who makes it ranks as an Admin, and so
    vouches for all that is in the lists that it names."""
    after, old = merge(before, change), before.unconfirmed

    def left(was: tuple[str, ...], old: tuple[str, ...], now: tuple[str, ...], named: object) -> tuple[str, ...]:
        if by_admin:
            return old if named is msgspec.UNSET else ()
        return tuple(one for one in now if one in old or one not in was)

    unconfirmed = Unconfirmed(
        left(before.allowed_origins, old.allowed_origins, after.allowed_origins, change.allowed_origins),
        left(before.return_addresses, old.return_addresses, after.return_addresses, change.return_addresses),
    )
    return msgspec.structs.replace(after, unconfirmed=unconfirmed)
