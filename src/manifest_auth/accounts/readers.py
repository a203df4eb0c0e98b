"""Recipient and language of an e-mail to a user."""

from __future__ import annotations

from manifest_auth import tenants
from manifest_auth.accounts.users import User
from manifest_auth.runtime.mail import Reader
from manifest_auth.tenants import Tenant
from manifest_auth.text.languages import LANGUAGES


def reader(user: User, tenant: Tenant, email: str = "") -> Reader:
    """The user, in the language that the user chose, else the client's default, else English. ``email``: another
    address than the current one."""
    wanted = (user.language, tenants.settings_of(tenant.settings).language)
    return Reader(email or user.email, next((tag for tag in wanted if tag in LANGUAGES), "en"), tenant.name)
