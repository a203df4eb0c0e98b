"""The roles of a client's users, which permissions each has, and principals that have them."""

from __future__ import annotations

from typing import Any

from manifest_auth.context import Principal
from manifest_auth.permissions import HOLDERS, Permission, Role, role_names

__all__ = ["HOLDERS", "ROLES", "Permission", "Role"]

#: Their names, in the order in which they are told.
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
    """A user of acme, with other members where they are given."""
    return Principal(**{**_SOME, **members})
