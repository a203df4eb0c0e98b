"""Roles, permissions, and the one table between them.

A user's roles are stored as a bit mask (``Role.bit``) and read with the session on every request, so that a change
takes effect immediately.
"""

from __future__ import annotations

import enum
from functools import lru_cache


class Role(enum.Enum):
    """The role of a user. Its value is the name on the wire. The order is that of the bits, so new roles go to the
    end."""

    ADMIN = "Admin"
    USER_ADMIN = "User Admin"
    AUTHOR = "Author"
    APPROVER = "Approver"
    PUBLISHER = "Publisher"
    OPERATOR = "Operator"
    VIEWER = "Viewer"

    @property
    def bit(self) -> int:
        return 1 << _POSITION[self]


_POSITION = {role: position for position, role in enumerate(Role)}


class Permission(enum.Enum):
    """The permission of a caller. Its value is the name on the wire. The order is that of the bits of a service
    account's scopes, so new ones go to the end."""

    USERS_READ = "users:read"
    USERS_MANAGE = "users:manage"
    SETTINGS_MANAGE = "settings:manage"
    AUDIT_READ = "audit:read"
    TEMPLATES_READ = "templates:read"
    TEMPLATES_EDIT = "templates:edit"
    TEMPLATES_APPROVE = "templates:approve"
    TEMPLATES_PUBLISH = "templates:publish"
    JOBS_READ = "jobs:read"
    JOBS_EXECUTE = "jobs:execute"

    @property
    def bit(self) -> int:
        return 1 << _PLACE[self]


_PLACE = {permission: place for place, permission in enumerate(Permission)}

P, R = Permission, Role
_ALL_ROLES = frozenset(Role)

#: The roles that hold a permission.
HOLDERS: dict[Permission, frozenset[Role]] = {
    P.USERS_READ: _ALL_ROLES,
    P.USERS_MANAGE: frozenset({R.ADMIN, R.USER_ADMIN}),
    P.SETTINGS_MANAGE: frozenset({R.ADMIN, R.USER_ADMIN}),
    P.AUDIT_READ: frozenset({R.ADMIN, R.USER_ADMIN}),
    P.TEMPLATES_READ: _ALL_ROLES,
    P.TEMPLATES_EDIT: frozenset({R.ADMIN, R.AUTHOR}),
    P.TEMPLATES_APPROVE: frozenset({R.ADMIN, R.APPROVER}),
    P.TEMPLATES_PUBLISH: frozenset({R.ADMIN, R.PUBLISHER}),
    P.JOBS_READ: _ALL_ROLES,
    P.JOBS_EXECUTE: frozenset({R.ADMIN, R.OPERATOR}),
}


def mask_of(roles: frozenset[Role] | set[Role] | list[Role]) -> int:
    """Returns the stored bit mask of a set of roles."""
    return sum(role.bit for role in set(roles))


@lru_cache(maxsize=1 << len(Role))
def roles_of(mask: int) -> tuple[Role, ...]:
    """Returns the roles of a stored mask, in the order of the enumeration."""
    return tuple(role for role in Role if mask & role.bit)


@lru_cache(maxsize=1 << len(Role))
def role_names(mask: int) -> tuple[str, ...]:
    """Returns the names of the roles of a stored mask, in the order of the enumeration."""
    return tuple(role.value for role in roles_of(mask))


@lru_cache(maxsize=1 << len(Role))
def permissions_of(mask: int) -> frozenset[Permission]:
    """Returns the permissions of all roles of a mask."""
    held = set(roles_of(mask))
    return frozenset(p for p, holders in HOLDERS.items() if holders & held)


@lru_cache(maxsize=4096)
def allowed(roles: int, scopes: int | None) -> frozenset[Permission]:
    """Returns the permissions of a caller: those of the roles, limited to the ``scopes`` if the credential has any.
    Both are bit masks; ``scopes`` None means no limit."""
    held = permissions_of(roles)
    return held if scopes is None else held.intersection(permissions_in(scopes))


@lru_cache(maxsize=4096)
def permissions_in(scopes: int) -> tuple[Permission, ...]:
    """Returns the permissions of a stored mask of scopes, in the order of the enumeration."""
    return tuple(permission for permission in Permission if scopes & permission.bit)


@lru_cache(maxsize=4096)
def permissions_mask(scope: str) -> int:
    """Returns the bit mask of the permissions in a scope, separated by spaces; other names are ignored."""
    names = scope.split()
    return sum(permission.bit for permission in Permission if permission.value in names)


@lru_cache(maxsize=4096)
def permission_names(roles: int, scopes: int | None = None) -> tuple[str, ...]:
    """Returns the names of the permissions from :func:`allowed`, in the order of the enumeration."""
    held = allowed(roles, scopes)
    return tuple(p.value for p in Permission if p in held)
