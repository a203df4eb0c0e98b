"""Principals without a request, for tests of functions that take a caller."""

from __future__ import annotations

from typing import Any

from manifest_auth.context import Principal

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
