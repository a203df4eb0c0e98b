"""All routes of pages and of their files, in one list."""

from __future__ import annotations

from manifest_auth.pages import asset_files, common_routes
from manifest_auth.pages import devices as _devices
from manifest_auth.pages.account import home, identities, passkeys, password, profile, reauthenticate, sessions
from manifest_auth.pages.account import second_factor as account_second_factor
from manifest_auth.pages.console import audit as console_audit
from manifest_auth.pages.console import (
    branding,
    domains,
    invite,
    provider,
    providers,
    rules,
    service_accounts,
    shared_devices,
    users,
)
from manifest_auth.pages.console import devices as console_devices
from manifest_auth.pages.console import overview as console_overview
from manifest_auth.pages.installation import account as installation_account
from manifest_auth.pages.installation import admins, clients, health, settings
from manifest_auth.pages.installation import audit as installation_audit
from manifest_auth.pages.installation import overview as installation_overview
from manifest_auth.pages.installation import sign_in as installation_sign_in
from manifest_auth.pages.sign_in import done, one_time_links, start
from manifest_auth.pages.sign_in import second_factor as sign_in_second_factor

ROUTES = (
    *common_routes.ROUTES,
    *start.ROUTES,
    *sign_in_second_factor.ROUTES,
    *done.ROUTES,
    *one_time_links.ROUTES,
    *home.ROUTES,
    *profile.ROUTES,
    *password.ROUTES,
    *account_second_factor.ROUTES,
    *passkeys.ROUTES,
    *sessions.ROUTES,
    *_devices.ROUTES,
    *identities.ROUTES,
    *reauthenticate.ROUTES,
    *console_overview.ROUTES,
    *users.ROUTES,
    *shared_devices.ROUTES,
    *invite.ROUTES,
    *service_accounts.ROUTES,
    *providers.ROUTES,
    *provider.ROUTES,
    *console_devices.ROUTES,
    *domains.ROUTES,
    *rules.ROUTES,
    *branding.ROUTES,
    *console_audit.ROUTES,
    *installation_sign_in.ROUTES,
    *installation_overview.ROUTES,
    *clients.ROUTES,
    *admins.ROUTES,
    *settings.ROUTES,
    *health.ROUTES,
    *installation_audit.ROUTES,
    *installation_account.ROUTES,
    *asset_files.ROUTES,
)
