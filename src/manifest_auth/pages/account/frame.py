"""Parts that the account pages share: the sentences after a change, and common words."""

from __future__ import annotations

from typing import NamedTuple

from manifest_auth.permissions import Role
from manifest_auth.sessions import ListedSession
from manifest_auth.sessions.sessions import ways_of
from manifest_auth.text.languages import marked as _


class RoleWords(NamedTuple):
    """``about``: what it lets a user do."""

    name: str
    about: str


ROLES = {
    Role.ADMIN: RoleWords(
        _("Admin"), _("Manages users, sign-in and all settings, and may do what every other role may.")
    ),
    Role.USER_ADMIN: RoleWords(_("User Admin"), _("Manages users and sign-in, except those who are Admins.")),
    Role.AUTHOR: RoleWords(_("Author"), _("Writes templates and changes them.")),
    Role.APPROVER: RoleWords(_("Approver"), _("Approves templates, or sends them back.")),
    Role.PUBLISHER: RoleWords(_("Publisher"), _("Publishes templates that are approved.")),
    Role.OPERATOR: RoleWords(_("Operator"), _("Carries out jobs.")),
    Role.VIEWER: RoleWords(_("Viewer"), _("Reads templates and jobs.")),
}

#: By the method of a session. Names of products are the same in all languages.
METHODS = {
    "password": _("Password"),
    "oidc": _("Single sign-on"),
    "saml": _("Single sign-on"),
    "dynamics": "Microsoft Dynamics 365",
    "entra": "Microsoft",
    "device": _("Device"),
    "badge": _("Badge and PIN"),
}

#: By how a second factor was proved, see :mod:`manifest_auth.sessions.sessions`.
FACTORS = {
    "otp": _("Authenticator app"),
    "passkey": _("Passkey"),
    "recovery": _("Recovery code"),
    "trusted": _("Trusted browser"),
}

#: By the word of :mod:`..flash`.
SAID = {
    "profile": _("Your profile is saved."),
    "language": _("Your language is saved."),
    "email": _("We sent a link to the new address. Your address changes when you follow it."),
    "password": _("Your password is changed. All other sessions are ended."),
    "session": _("The session is ended."),
    "sessions": _("All other sessions are ended."),
    "unlinked": _("The identity is unlinked."),
    "app": _("The new authenticator app counts from now on. All other sessions are ended."),
    "app-removed": _("The authenticator app is removed. All other sessions are ended."),
    "passkey": _("The passkey is added. All other sessions are ended."),
    "passkey-renamed": _("The passkey has its new name."),
    "passkey-removed": _("The passkey is removed. All other sessions are ended."),
    "pin": _("Your PIN is set."),
    "trust": _("This browser is asked for the second factor again."),
    "device-in": _("The device is let in. It signs in within a few seconds."),
    "device-refused": _("The device is refused."),
    "device-ended": _("The device is signed out."),
    "all-trust": _("All your browsers are asked for the second factor again."),
}


def ways(session: ListedSession) -> tuple[str, ...]:
    """The authentication of a session: the method, and what was verified besides, as messages of the catalogue."""
    proved = (FACTORS[way] for way in ways_of(session.amr) if way in FACTORS and way != session.method)
    return (method(session.method), *proved)


def method(name: str) -> str:
    """A way to sign in, as a message of the catalogue."""
    return METHODS.get(name, name)
