"""Scopes of apps in words for users: the things that an app can see and do."""

from __future__ import annotations

from collections.abc import Iterable

from manifest_auth.text.languages import marked as _

SCOPES = {
    "openid": _("Know that it is you"),
    "profile": _("See your name and language"),
    "email": _("See your email address"),
    "roles": _("See your roles"),
    "offline_access": _("Stay signed in when you don't use it"),
    "users:read": _("See users"),
    "users:manage": _("Manage users"),
    "settings:manage": _("Manage settings"),
    "audit:read": _("Read the audit trail"),
    "templates:read": _("Read templates"),
    "templates:edit": _("Edit templates"),
    "templates:approve": _("Approve templates"),
    "templates:publish": _("Publish templates"),
    "jobs:read": _("See jobs"),
    "jobs:execute": _("Carry out jobs"),
}


def in_words(scopes: Iterable[str]) -> list[str]:
    """The scopes as messages of the catalogue, in the order of :data:`SCOPES`."""
    asked = set(scopes)
    return [words for scope, words in SCOPES.items() if scope in asked]
