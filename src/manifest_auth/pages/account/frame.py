"""Parts that the account pages share: the sentences after a change, and common words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from manifest_auth.permissions import Role
from manifest_auth.sessions import ListedSession
from manifest_auth.sessions.sessions import ways_of
from manifest_auth.text.languages import joined
from manifest_auth.text.languages import marked as _


class RoleWords(NamedTuple):
    """A role in the reader's language. ``about``: what it lets a user do."""

    name: str
    about: str


ROLES = {
    Role.ADMIN: RoleWords(_("Admin"), _("Manages users, sign-in, and all settings. Includes all other roles.")),
    Role.USER_ADMIN: RoleWords(_("User Admin"), _("Manages users and sign-in, but not Admins.")),
    Role.AUTHOR: RoleWords(_("Author"), _("Writes and edits templates.")),
    Role.APPROVER: RoleWords(_("Approver"), _("Approves or rejects templates.")),
    Role.PUBLISHER: RoleWords(_("Publisher"), _("Publishes approved templates.")),
    Role.OPERATOR: RoleWords(_("Operator"), _("Runs jobs.")),
    Role.VIEWER: RoleWords(_("Viewer"), _("Views templates and jobs.")),
}


def names_of(roles: Iterable[Role]) -> str:
    """Returns the names of roles as a list; empty if there are none."""
    return joined(ROLES[role].name for role in roles)


#: Messages by the method of a session. Product names are the same in all languages.
METHODS = {
    "password": _("Password"),
    "oidc": _("Single sign-on"),
    "saml": _("Single sign-on"),
    "dynamics": "Microsoft Dynamics 365",
    "entra": "Microsoft",
    "device": _("Device"),
    "badge": _("Badge and PIN"),
}

#: Messages by the method of the second factor, see :mod:`manifest_auth.sessions.sessions`.
FACTORS = {
    "otp": _("Authenticator app"),
    "passkey": _("Passkey"),
    "recovery": _("Recovery code"),
    "trusted": _("Trusted browser"),
}

#: Messages by the keyword of :mod:`..flash`.
SAID = {
    "profile": _("Profile saved."),
    "language": _("Language saved."),
    "email": _("We sent a link to the new address. Your address changes when you open it."),
    "password": _("Password changed. All other sessions ended."),
    "session": _("Session ended."),
    "sessions": _("All other sessions ended."),
    "unlinked": _("Account unlinked."),
    "app": _("The new authenticator app is active. All other sessions ended."),
    "app-removed": _("Authenticator app removed. All other sessions ended."),
    "passkey": _("Passkey added. All other sessions ended."),
    "passkey-renamed": _("Passkey renamed."),
    "passkey-removed": _("Passkey removed. All other sessions ended."),
    "pin": _("PIN saved."),
    "trust": _("This browser is no longer trusted."),
    "device-in": _("Device approved. It signs in within a few seconds."),
    "device-refused": _("Device rejected."),
    "device-ended": _("Device signed out."),
    "all-trust": _("Your browsers are no longer trusted."),
    "access-removed": _("App removed. It no longer has access to your account."),
}


def ways(session: ListedSession) -> tuple[str, ...]:
    """Returns the authentication of a session as messages of the catalog: the method, and what else was verified."""
    proved = (FACTORS[way] for way in ways_of(session.amr) if way in FACTORS and way != session.method)
    return (method(session.method), *proved)


def method(name: str) -> str:
    """Returns a sign-in method as a message of the catalog."""
    return METHODS.get(name, name)
