"""All routes of pages and of their files, in one list."""

from __future__ import annotations

from manifest_auth.pages import asset_files as assets
from manifest_auth.pages import everywhere
from manifest_auth.pages.account import badge as own_badge
from manifest_auth.pages.account import codes as own_codes
from manifest_auth.pages.account import (
    devices,
    email,
    identities,
    language,
    leaving,
    passkeys,
    profile,
    reauthenticate,
    sessions,
)
from manifest_auth.pages.account import home as account
from manifest_auth.pages.account import password as own_password
from manifest_auth.pages.account import second_factor as own_factor
from manifest_auth.pages.console import audit as console_audit
from manifest_auth.pages.console import badge as console_badge
from manifest_auth.pages.console import branding as console_branding
from manifest_auth.pages.console import devices as console_devices
from manifest_auth.pages.console import domains as console_domains
from manifest_auth.pages.console import invite as console_invite
from manifest_auth.pages.console import overview as console_overview
from manifest_auth.pages.console import provider as console_provider
from manifest_auth.pages.console import provider_acts as console_provider_acts
from manifest_auth.pages.console import providers as console_providers
from manifest_auth.pages.console import rules as console_rules
from manifest_auth.pages.console import service_account as console_service_account
from manifest_auth.pages.console import service_accounts as console_service_accounts
from manifest_auth.pages.console import shared_devices as console_shared_devices
from manifest_auth.pages.console import usage as console_usage
from manifest_auth.pages.console import user as console_user
from manifest_auth.pages.console import users as console_users
from manifest_auth.pages.devices import by_code as device_by_code
from manifest_auth.pages.devices import explained as device_explained
from manifest_auth.pages.devices import pairing as device_pairing
from manifest_auth.pages.installation import account as installation_account
from manifest_auth.pages.installation import admins as installation_admins
from manifest_auth.pages.installation import audit as installation_audit
from manifest_auth.pages.installation import backups as installation_backups
from manifest_auth.pages.installation import client as installation_client
from manifest_auth.pages.installation import client_rules as installation_client_rules
from manifest_auth.pages.installation import clients as installation_clients
from manifest_auth.pages.installation import health as installation_health
from manifest_auth.pages.installation import keys as installation_keys
from manifest_auth.pages.installation import licence as installation_licence
from manifest_auth.pages.installation import overview as installation_overview
from manifest_auth.pages.installation import settings as installation_settings
from manifest_auth.pages.installation import setup as installation_setup
from manifest_auth.pages.installation import sign_in as installation_sign_in
from manifest_auth.pages.installation import throttles as installation_throttles
from manifest_auth.pages.sign_in import codes, enrol, forgot, passkey, second_factor, welcome
from manifest_auth.pages.sign_in import ending as sign_in_ending
from manifest_auth.pages.sign_in import out as sign_out
from manifest_auth.pages.sign_in import password as sign_in_password
from manifest_auth.pages.sign_in import start as sign_in

ROUTES = (
    *everywhere.ROUTES,
    *sign_in.ROUTES,
    *sign_in_password.ROUTES,
    *passkey.ROUTES,
    *second_factor.ROUTES,
    *enrol.ROUTES,
    *codes.ROUTES,
    *sign_in_ending.ROUTES,
    *sign_out.ROUTES,
    *forgot.ROUTES,
    *welcome.ROUTES,
    *account.ROUTES,
    *profile.ROUTES,
    *email.ROUTES,
    *own_password.ROUTES,
    *own_factor.ROUTES,
    *passkeys.ROUTES,
    *own_codes.ROUTES,
    *devices.ROUTES,
    *own_badge.ROUTES,
    *device_pairing.ROUTES,
    *device_by_code.ROUTES,
    *device_explained.ROUTES,
    *sessions.ROUTES,
    *identities.ROUTES,
    *leaving.ROUTES,
    *reauthenticate.ROUTES,
    *language.ROUTES,
    *console_overview.ROUTES,
    *console_users.ROUTES,
    *console_user.ROUTES,
    *console_badge.ROUTES,
    *console_invite.ROUTES,
    *console_service_accounts.ROUTES,
    *console_service_account.ROUTES,
    *console_shared_devices.ROUTES,
    *console_providers.ROUTES,
    *console_provider.ROUTES,
    *console_provider_acts.ROUTES,
    *console_devices.ROUTES,
    *console_domains.ROUTES,
    *console_rules.ROUTES,
    *console_branding.ROUTES,
    *console_audit.ROUTES,
    *console_usage.ROUTES,
    *installation_setup.ROUTES,
    *installation_sign_in.ROUTES,
    *installation_overview.ROUTES,
    *installation_clients.ROUTES,
    *installation_client.ROUTES,
    *installation_client_rules.ROUTES,
    *installation_admins.ROUTES,
    *installation_licence.ROUTES,
    *installation_keys.ROUTES,
    *installation_throttles.ROUTES,
    *installation_health.ROUTES,
    *installation_backups.ROUTES,
    *installation_audit.ROUTES,
    *installation_settings.ROUTES,
    *installation_account.ROUTES,
    *assets.ROUTES,
)
