"""All routes of pages, of their files and of the files of branding, in one list."""

from __future__ import annotations

from manifest_auth.pages import asset_files as assets
from manifest_auth.pages import brand_files, everywhere
from manifest_auth.pages.account import email, identities, language, profile, sessions
from manifest_auth.pages.account import home as account
from manifest_auth.pages.account import password as own_password
from manifest_auth.pages.console import audit, branding, domains, invite, overview, rules, usage, user, users
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
    *overview.ROUTES,
    *users.ROUTES,
    *user.ROUTES,
    *invite.ROUTES,
    *domains.ROUTES,
    *rules.ROUTES,
    *branding.ROUTES,
    *audit.ROUTES,
    *usage.ROUTES,
    *assets.ROUTES,
    *brand_files.ROUTES,
)
