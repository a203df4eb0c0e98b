"""The roles of a client's users, and which permissions each has."""

from __future__ import annotations

from manifest_auth.permissions import HOLDERS, Permission, Role, role_names

__all__ = ["HOLDERS", "ROLES", "Permission", "Role"]

#: Their names, in the order in which they are told.
ROLES = role_names(sum(role.bit for role in Role))
