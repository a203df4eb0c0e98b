"""Clients of the installation (in code: tenants). Owns ``tenants`` and what a client settles for itself.

Knows no users, and never decides who may change a client.
"""

from manifest_auth.tenants.rules import (
    PasswordRules,
    TenantSettings,
    TenantSettingsChange,
    merge,
    settings_of,
)
from manifest_auth.tenants.tenants import (
    LISTING,
    Tenant,
    change,
    create,
    drop,
    due,
    find,
    find_only,
    get,
    get_named,
    list_page,
    mark,
    restore,
    suspend,
)
