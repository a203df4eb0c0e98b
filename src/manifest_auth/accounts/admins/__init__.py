"""System admins: who they are, their sessions and second factors, and from which networks they may come.

Owns ``system_admins``, ``admin_sessions``, ``admin_second_factors`` and ``admin_recovery_codes``. Knows no client.
"""

from manifest_auth.accounts.admins import console, managing, networks, second_factor, setup_code
from manifest_auth.accounts.admins.admins import (
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
from manifest_auth.accounts.admins.networks import AdminRange
