"""The people of a tenant. Owns ``users``, ``password_history`` and ``email_changes``. Never computes a hash, never
opens a session."""

from manifest_auth.users import email_changes
from manifest_auth.users.credentials import (
    former_hashes,
    password_is_proved,
    prove_email,
    rehash,
    set_email,
    set_password,
    void_password,
)
from manifest_auth.users.email_changes import EmailChange
from manifest_auth.users.users import (
    LISTING,
    User,
    change,
    create,
    deactivate,
    find,
    find_by_email,
    find_without_client,
    get,
    get_many,
    is_last_admin,
    list_page,
    restore,
    set_roles,
    signed_in,
)

__all__ = [
    "LISTING",
    "EmailChange",
    "User",
    "change",
    "create",
    "deactivate",
    "email_changes",
    "find",
    "find_by_email",
    "find_without_client",
    "former_hashes",
    "get",
    "get_many",
    "is_last_admin",
    "list_page",
    "password_is_proved",
    "prove_email",
    "rehash",
    "restore",
    "set_email",
    "set_password",
    "set_roles",
    "signed_in",
    "void_password",
]
