"""The roles of a client's users, the permissions of each, and principals with these roles."""

from __future__ import annotations

from typing import Any

from manifest_auth.context import Principal
from manifest_auth.permissions import HOLDERS, Permission, Role, role_names

__all__ = ["HOLDERS", "ROLES", "Permission", "Role"]

#: Role names, in the order in which they are listed.
ROLES = role_names(sum(role.bit for role in Role))
_SOME: dict[str, Any] = {
    **dict.fromkeys(Principal._fields),
    "session_id": "sid",
    "tenant_id": 7,
    "user_id": 42,
    "method": "password",
    "created_at": 0,
    "ends_at": 1,
    "email": "a@acme.example",
    "first_name": "Ada",
    "last_name": "Lovelace",
    "title": "Dr",
    "held_roles": 0,
    "client": "acme",
    "client_name": "Acme",
    "tenant_settings": "{}",
}


def principal(**members: Any) -> Principal:
    """A user of acme, with any members replaced."""
    return Principal(**{**_SOME, **members})
