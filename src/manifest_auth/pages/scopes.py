"""Scopes of apps in words for users: what an app can see and do."""

from __future__ import annotations

from collections.abc import Iterable

from manifest_auth.text.languages import marked as _

SCOPES = {
    "openid": _("Identify you"),
    "profile": _("View your name and language"),
    "email": _("View your email address"),
    "roles": _("View your roles"),
    "offline_access": _("Stay signed in while you aren't using it"),
    "users:read": _("View users"),
    "users:manage": _("Manage users"),
    "settings:manage": _("Manage settings"),
    "audit:read": _("View the audit trail"),
    "templates:read": _("View templates"),
    "templates:edit": _("Edit templates"),
    "templates:approve": _("Approve templates"),
    "templates:publish": _("Publish templates"),
    "jobs:read": _("View jobs"),
    "jobs:execute": _("Run jobs"),
}


def in_words(scopes: Iterable[str]) -> list[str]:
    """Returns the scopes as messages of the catalog, in the order of :data:`SCOPES`."""
    asked = set(scopes)
    return [words for scope, words in SCOPES.items() if scope in asked]
