"""Clients of the installation. Owns the table ``tenants`` and what a client settles for itself. Knows no users."""

from manifest_auth.tenants.tenants import (
    PasswordRules,
    Tenant,
    TenantSettings,
    change,
    create,
    find,
    get,
    list_page,
    restore,
    settings_of,
    suspend,
)

__all__ = [
    "PasswordRules",
    "Tenant",
    "TenantSettings",
    "change",
    "create",
    "find",
    "get",
    "list_page",
    "restore",
    "settings_of",
    "suspend",
]
