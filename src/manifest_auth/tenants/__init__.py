"""Clients of the installation (in code: tenants). Owns ``tenants`` and what a client settles for itself.

Knows no users, and never decides who may change a client.
"""

from manifest_auth.tenants.addresses import origins_for, return_addresses_for, settle
from manifest_auth.tenants.checks import check, check_lengths, for_admins
from manifest_auth.tenants.lengths import Lengths, installations, lengths_of
from manifest_auth.tenants.rules import (
    BrandingChange,
    PasswordRules,
    StoredSettings,
    TenantSettings,
    TenantSettingsChange,
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
    shown_name,
    suspend,
)
