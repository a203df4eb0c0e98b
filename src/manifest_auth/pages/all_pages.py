"""All routes of pages, of their files and of the files of branding, in one list."""

from __future__ import annotations

from manifest_auth.pages import asset_files as assets
from manifest_auth.pages import brand_files, everywhere
from manifest_auth.pages.account import email, identities, language, profile, sessions
from manifest_auth.pages.account import home as account
from manifest_auth.pages.account import password as own_password
from manifest_auth.pages.console import audit as console_audit
from manifest_auth.pages.console import branding as console_branding
from manifest_auth.pages.console import domains as console_domains
from manifest_auth.pages.console import invite as console_invite
from manifest_auth.pages.console import overview as console_overview
from manifest_auth.pages.console import provider as console_provider
from manifest_auth.pages.console import provider_acts as console_provider_acts
from manifest_auth.pages.console import providers as console_providers
from manifest_auth.pages.console import rules as console_rules
from manifest_auth.pages.console import usage as console_usage
from manifest_auth.pages.console import user as console_user
from manifest_auth.pages.console import users as console_users
from manifest_auth.pages.sign_in import ending as sign_in_ending
from manifest_auth.pages.sign_in import forgot, welcome
from manifest_auth.pages.sign_in import out as sign_out
from manifest_auth.pages.sign_in import password as sign_in_password
from manifest_auth.pages.sign_in import start as sign_in

ROUTES = (
    *everywhere.ROUTES,
    *sign_in.ROUTES,
    *sign_in_password.ROUTES,
    *sign_in_ending.ROUTES,
    *sign_out.ROUTES,
    *forgot.ROUTES,
    *welcome.ROUTES,
    *account.ROUTES,
    *profile.ROUTES,
    *email.ROUTES,
    *own_password.ROUTES,
    *sessions.ROUTES,
    *identities.ROUTES,
    *language.ROUTES,
    *console_overview.ROUTES,
    *console_users.ROUTES,
    *console_user.ROUTES,
    *console_invite.ROUTES,
    *console_providers.ROUTES,
    *console_provider.ROUTES,
    *console_provider_acts.ROUTES,
    *console_domains.ROUTES,
    *console_rules.ROUTES,
    *console_branding.ROUTES,
    *console_audit.ROUTES,
    *console_usage.ROUTES,
    *assets.ROUTES,
    *brand_files.ROUTES,
)
