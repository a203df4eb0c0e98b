"""All routes of pages and of their files, in one list."""

from __future__ import annotations

from manifest_auth.pages import asset_files, everywhere
from manifest_auth.pages.account import (
    badge,
    email,
    home,
    identities,
    language,
    leaving,
    passkeys,
    profile,
    reauthenticate,
    sessions,
)
from manifest_auth.pages.account import codes as account_codes
from manifest_auth.pages.account import devices as account_devices
from manifest_auth.pages.account import password as account_password
from manifest_auth.pages.account import second_factor as account_second_factor
from manifest_auth.pages.console import audit as console_audit
from manifest_auth.pages.console import (
    branding,
    domains,
    invite,
    provider,
    provider_acts,
    providers,
    rules,
    service_accounts,
    shared_devices,
    users,
)
from manifest_auth.pages.console import devices as console_devices
from manifest_auth.pages.console import overview as console_overview
from manifest_auth.pages.devices import by_code, explained, pairing
from manifest_auth.pages.installation import account as installation_account
from manifest_auth.pages.installation import (
    admins,
    backups,
    client,
    client_rules,
    clients,
    health,
    keys,
    licence,
    settings,
    setup,
    throttles,
)
from manifest_auth.pages.installation import audit as installation_audit
from manifest_auth.pages.installation import overview as installation_overview
from manifest_auth.pages.installation import sign_in as installation_sign_in
from manifest_auth.pages.sign_in import codes as sign_in_codes
from manifest_auth.pages.sign_in import ending, enrol, forgot, out, passkey, start, welcome
from manifest_auth.pages.sign_in import password as sign_in_password
from manifest_auth.pages.sign_in import second_factor as sign_in_second_factor

ROUTES = (
    *everywhere.ROUTES,
    *start.ROUTES,
    *sign_in_password.ROUTES,
    *passkey.ROUTES,
    *sign_in_second_factor.ROUTES,
    *enrol.ROUTES,
    *sign_in_codes.ROUTES,
    *ending.ROUTES,
    *out.ROUTES,
    *forgot.ROUTES,
    *welcome.ROUTES,
    *home.ROUTES,
    *profile.ROUTES,
    *email.ROUTES,
    *account_password.ROUTES,
    *account_second_factor.ROUTES,
    *passkeys.ROUTES,
    *account_codes.ROUTES,
    *account_devices.ROUTES,
    *badge.ROUTES,
    *pairing.ROUTES,
    *by_code.ROUTES,
    *explained.ROUTES,
    *sessions.ROUTES,
    *identities.ROUTES,
    *leaving.ROUTES,
    *reauthenticate.ROUTES,
    *language.ROUTES,
    *console_overview.ROUTES,
    *users.ROUTES,
    *shared_devices.ROUTES,
    *invite.ROUTES,
    *service_accounts.ROUTES,
    *providers.ROUTES,
    *provider.ROUTES,
    *provider_acts.ROUTES,
    *console_devices.ROUTES,
    *domains.ROUTES,
    *rules.ROUTES,
    *branding.ROUTES,
    *console_audit.ROUTES,
    *setup.ROUTES,
    *installation_sign_in.ROUTES,
    *installation_overview.ROUTES,
    *clients.ROUTES,
    *client.ROUTES,
    *client_rules.ROUTES,
    *admins.ROUTES,
    *licence.ROUTES,
    *keys.ROUTES,
    *throttles.ROUTES,
    *health.ROUTES,
    *backups.ROUTES,
    *installation_audit.ROUTES,
    *settings.ROUTES,
    *installation_account.ROUTES,
    *asset_files.ROUTES,
)
