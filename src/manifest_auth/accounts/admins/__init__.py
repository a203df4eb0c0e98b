"""System admins: their accounts, sessions and second factors, and the networks that can call the admin routes.

Owns ``system_admins``, ``admin_sessions``, ``admin_second_factors`` and ``admin_recovery_codes``. Never reads a
client's data.
"""

from manifest_auth.accounts.admins import admins, management, second_factor
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
    proved,
    read,
    rehash,
    signed_in,
)
from manifest_auth.accounts.admins.management import AdminNetworks
