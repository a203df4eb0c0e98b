"""The people of a tenant. Owns ``users`` and ``password_history``. Never computes a hash, never opens a session."""

from manifest_auth.users.users import (
    User,
    change,
    create,
    deactivate,
    find,
    find_by_email,
    find_where_last_signed_in,
    former_hashes,
    get,
    is_last_admin,
    list_page,
    rehash,
    restore,
    set_password,
    set_roles,
    signed_in,
)

__all__ = [
    "User",
    "change",
    "create",
    "deactivate",
    "find",
    "find_by_email",
    "find_where_last_signed_in",
    "former_hashes",
    "get",
    "is_last_admin",
    "list_page",
    "rehash",
    "restore",
    "set_password",
    "set_roles",
    "signed_in",
]
