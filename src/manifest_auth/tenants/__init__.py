"""Clients of the installation (tenants, in code) and their settings.

Owns ``tenants``.

Knows no users, and never decides who can change a client.
"""

from manifest_auth.tenants.effective_settings import (
    admin_only_members,
    check,
    check_lengths,
    due_from,
    installation_lengths,
    is_required,
    lengths_of,
    passkeys_sign_in,
    password_rules,
    required_roles,
)
from manifest_auth.tenants.origin_index import OriginIndex, apply_change, origins_for, return_addresses_for
from manifest_auth.tenants.rules import BadgeRules
from manifest_auth.tenants.settings import (
    LEAVES,
    BrandingChange,
    PasswordRules,
    StoredSettings,
    TenantSettings,
    TenantSettingsChange,
    settings_of,
)
from manifest_auth.tenants.tenants import (
    LISTING,
    ClientData,
    Tenant,
    change,
    check_identifier,
    create,
    drop,
    due_for_deletion,
    find,
    find_only,
    get,
    get_named,
    known_words,
    list_page,
    mark_for_deletion,
    restore,
    shown_name,
    suspend,
)
