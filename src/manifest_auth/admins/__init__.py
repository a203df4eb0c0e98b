"""System admins: who they are and their sessions. Owns ``system_admins`` and ``admin_sessions``. Knows no tenant."""

from manifest_auth.admins.admins import (
    BY_SESSION,
    Admin,
    AdminSession,
    addresses_of,
    advance,
    create,
    end,
    find,
    get_locked,
    open_session,
    read,
    rehash,
    signed_in,
)

__all__ = [
    "BY_SESSION",
    "Admin",
    "AdminSession",
    "addresses_of",
    "advance",
    "create",
    "end",
    "find",
    "get_locked",
    "open_session",
    "read",
    "rehash",
    "signed_in",
]
