"""The people of a tenant. Owns ``users`` and ``password_history``. Never computes a hash, never opens a session."""

from manifest_auth.users.roles import Voids, deactivate, is_last_admin, restore, set_roles
from manifest_auth.users.users import (
    LISTING,
    User,
    change,
    create,
    drop_password,
    find,
    find_by_email,
    find_where_last_signed_in,
    former_hashes,
    get,
    get_many,
    list_page,
    rehash,
    set_password,
    signed_in,
)

__all__ = [
    "LISTING",
    "User",
    "Voids",
    "change",
    "create",
    "deactivate",
    "drop_password",
    "find",
    "find_by_email",
    "find_where_last_signed_in",
    "former_hashes",
    "get",
    "get_many",
    "is_last_admin",
    "list_page",
    "rehash",
    "restore",
    "set_password",
    "set_roles",
    "signed_in",
]
