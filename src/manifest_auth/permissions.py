"""Roles, permissions, and the one table between them.

A user's roles are stored as a bit mask (``Role.bit``) and read with the session on every request, so that a change
counts at once.
"""

from __future__ import annotations

import enum
from functools import lru_cache


class Role(enum.Enum):
    """Value: the name on the wire. The order is that of the bits, so new roles go to the end."""

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
    """The stored bit mask of a set of roles."""
    return sum(role.bit for role in set(roles))


@lru_cache(maxsize=1 << len(Role))
def roles_of(mask: int) -> tuple[Role, ...]:
    """The roles of a stored mask, in the order of the enumeration."""
    return tuple(role for role in Role if mask & role.bit)


@lru_cache(maxsize=1 << len(Role))
def role_names(mask: int) -> tuple[str, ...]:
    """The names of the roles of a stored mask, in the order of the enumeration."""
    return tuple(role.value for role in roles_of(mask))


@lru_cache(maxsize=1 << len(Role))
def permissions_of(mask: int) -> frozenset[Permission]:
    """The permissions of all roles of a mask."""
    held = set(roles_of(mask))
    return frozenset(p for p, holders in HOLDERS.items() if holders & held)


@lru_cache(maxsize=1 << len(Role))
def permission_names(mask: int) -> tuple[str, ...]:
    allowed = permissions_of(mask)
    return tuple(p.value for p in Permission if p in allowed)
