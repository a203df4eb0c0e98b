"""Menu of the console: the one list of its entries, each with the permission that its page asks for."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from manifest_auth.permissions import Permission, permissions_of


class Entry(NamedTuple):
    """``href``: empty for a heading above those that follow."""

    href: str
    text: str


class _Section(NamedTuple):
    permission: Permission
    href: str
    text: str
    heading: str


OVERVIEW = "/console"
_PEOPLE, _MACHINES, _SIGN_IN, _RECORDS = "People", "Machines", "How people sign in", "Records"
_SECTIONS = (
    _Section(Permission.SETTINGS_MANAGE, OVERVIEW, "Overview", ""),
    _Section(Permission.USERS_MANAGE, "/console/users", "Users", _PEOPLE),
    _Section(Permission.USERS_MANAGE, "/console/invite", "Invite", _PEOPLE),
    _Section(Permission.USERS_MANAGE, "/console/service-accounts", "Service accounts", _MACHINES),
    _Section(Permission.SETTINGS_MANAGE, "/console/devices", "Devices", _MACHINES),
    _Section(Permission.SETTINGS_MANAGE, "/console/providers", "Providers", _SIGN_IN),
    _Section(Permission.SETTINGS_MANAGE, "/console/domains", "Domains", _SIGN_IN),
    _Section(Permission.SETTINGS_MANAGE, "/console/rules", "Rules", _SIGN_IN),
    _Section(Permission.SETTINGS_MANAGE, "/console/branding", "Branding", _SIGN_IN),
    _Section(Permission.AUDIT_READ, "/console/audit", "Audit trail", _RECORDS),
    _Section(Permission.SETTINGS_MANAGE, "/console/usage", "Usage", _RECORDS),
)


@lru_cache(maxsize=128)
def entries(roles: int) -> tuple[Entry, ...]:
    """What the menu lists for a user with those roles (a bit mask), headings among it; empty: nothing is for them."""
    allowed, found, heading = permissions_of(roles), [], ""
    for one in _SECTIONS:
        if one.permission not in allowed:
            continue
        if one.heading != heading:
            heading = one.heading
            found.append(Entry("", heading))
        found.append(Entry(one.href, one.text))
    return tuple(found)


def section_of(path: str) -> str:
    """The entry that a page of the console belongs to."""
    return "/".join(path.partition("?")[0].split("/")[:3])
