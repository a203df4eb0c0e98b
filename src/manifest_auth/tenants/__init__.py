"""Clients of the installation. Owns the table ``tenants`` and what a client settles for itself. Knows no users."""

from manifest_auth.tenants.rules import PasswordRules, TenantSettings, TenantSettingsChange, merge, settings_of
from manifest_auth.tenants.tenants import (
    Tenant,
    change,
    create,
    find,
    get,
    list_page,
    restore,
    suspend,
)

__all__ = [
    "PasswordRules",
    "Tenant",
    "TenantSettings",
    "TenantSettingsChange",
    "change",
    "create",
    "find",
    "get",
    "list_page",
    "merge",
    "restore",
    "settings_of",
    "suspend",
]
