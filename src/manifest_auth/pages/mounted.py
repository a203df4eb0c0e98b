"""All pages, in one visible list."""

from __future__ import annotations

from manifest_auth.pages import asset_files, brand_files, everywhere
from manifest_auth.pages.account import email, home, identities, language, profile, sessions
from manifest_auth.pages.account import password as own_password
from manifest_auth.pages.sign_in import ending, forgot, out, password, start, welcome

ROUTES = (
    *everywhere.ROUTES,
    *start.ROUTES,
    *password.ROUTES,
    *ending.ROUTES,
    *out.ROUTES,
    *forgot.ROUTES,
    *welcome.ROUTES,
    *home.ROUTES,
    *profile.ROUTES,
    *email.ROUTES,
    *own_password.ROUTES,
    *sessions.ROUTES,
    *identities.ROUTES,
    *language.ROUTES,
    *asset_files.ROUTES,
    *brand_files.ROUTES,
)
