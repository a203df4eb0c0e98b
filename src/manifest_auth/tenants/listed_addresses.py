"""Origins and return addresses of a client, and the users for whom they are valid.

Only this module reads the two lists.

An entry that a User Admin adds is not valid for Admins until an Admin saves it. Otherwise a User Admin could list a
page that acts with an Admin's cookie, or that gets an Admin's session.
"""

from __future__ import annotations

import msgspec

from manifest_auth.permissions import Role
from manifest_auth.tenants.effective_settings import following_length
from manifest_auth.tenants.settings import StoredSettings, TenantSettingsChange, Unconfirmed, merge


def origins_for(settings: StoredSettings, roles: int) -> tuple[str, ...]:
    """The origins whose pages may act with the session cookie of a user who has those roles (a bit mask)."""
    return _for(settings.allowed_origins, settings.unconfirmed.allowed_origins, roles)


def return_addresses_for(settings: StoredSettings, roles: int) -> tuple[str, ...]:
    """Addresses to which a sign-in of a user with those roles may return."""
    return _for(settings.return_addresses, settings.unconfirmed.return_addresses, roles)


def _for(listed: tuple[str, ...], unconfirmed: tuple[str, ...], roles: int) -> tuple[str, ...]:
    if unconfirmed and roles & Role.ADMIN.bit:
        return tuple(one for one in listed if one not in unconfirmed)
    return listed


def apply_change(before: StoredSettings, change: TenantSettingsChange, *, by_admin: bool) -> StoredSettings:
    """The settings with the change applied. ``by_admin``: an Admin makes the change, which confirms all entries of the
    lists in it, and lets a default length of passwords follow the policy of second factors."""
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
