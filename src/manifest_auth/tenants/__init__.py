"""Clients of the installation (tenants, in code) and their settings. Owns ``tenants``.

Knows no users, and never decides who may change a client.
"""

from manifest_auth.tenants.addresses import origins_for, return_addresses_for, settle
from manifest_auth.tenants.checks import check, check_lengths, for_admins
from manifest_auth.tenants.lengths import Lengths, installations, lengths_of
from manifest_auth.tenants.settings import (
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
    due_for_deletion,
    find,
    find_only,
    get,
    get_named,
    list_page,
    mark_for_deletion,
    restore,
    shown_name,
    suspend,
)
