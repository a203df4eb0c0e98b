"""Words of the account pages for roles, sign-in methods, browsers, and events of the trail."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from manifest_auth.audit import Event
from manifest_auth.permissions import Role
from manifest_auth.text.languages import Words
from manifest_auth.text.languages import marked as _
from manifest_auth.text.user_agents import browser_of


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

#: By how a second factor was proved, see :mod:`manifest_auth.sessions.proofs`.
FACTORS = {
    "otp": _("Authenticator app"),
    "passkey": _("Passkey"),
    "recovery": _("Recovery code"),
    "trusted": _("Trusted browser"),
}

#: By the word of :mod:`..said`.
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

_TOO_MANY = _("Too many attempts; the next ones had to wait")
#: What happened, and whether it may be someone else's doing.
EVENTS: dict[Event, tuple[str, bool]] = {
    Event.SIGNED_IN: (_("Sign-in"), False),
    Event.SIGN_IN_FAILED: (_("A sign-in that did not work"), True),
    Event.SIGN_IN_REFUSED: (_("A sign-in that was refused"), True),
    Event.THROTTLED: (_TOO_MANY, True),
    Event.SIGNED_OUT_ALL: (_("Sessions were ended"), False),
    Event.SESSION_ENDED: (_("A session was ended"), False),
    Event.REFRESH_TOKEN_REUSED: (_("A session was ended, because its key was used a second time"), True),
    Event.SIGN_IN_CODE_REUSED: (_("A session was ended, because its sign-in code was used a second time"), True),
    Event.PASSWORD_CHANGED: (_("Password changed"), False),
    Event.PASSWORD_CHECK_FAILED: (_("A wrong password, typed by someone who was signed in to your account"), True),
    Event.PASSWORD_RESET_STARTED: (_("A link to choose a new password was asked for"), False),
    Event.PASSWORD_RESET: (_("A new password was chosen by a link"), False),
    Event.CREDENTIALS_DROPPED: (_("Former ways into your account were closed"), False),
    Event.EMAIL_CHANGE_STARTED: (_("Another e-mail address was asked for"), False),
    Event.EMAIL_CHANGED: (_("E-mail address changed"), False),
    Event.EMAIL_CHANGE_UNDONE: (_("The former e-mail address was put back"), False),
    Event.IDENTITY_LINKED: (_("An identity at a provider was linked"), False),
    Event.IDENTITY_CONFIRMED: (_("An identity at a provider was confirmed"), False),
    Event.IDENTITY_UNLINKED: (_("An identity at a provider was unlinked"), False),
    Event.SECOND_FACTOR_ENROLLED: (_("An authenticator app was set up"), False),
    Event.SECOND_FACTOR_REMOVED: (_("The authenticator app was removed"), False),
    Event.SECOND_FACTOR_FAILED: (
        _("A sign-in with a right first step and a wrong code after it"),
        True,
    ),
    Event.SECOND_FACTOR_RESET: (_("Your second factors were taken away"), True),
    Event.PASSKEY_ADDED: (_("A passkey was added"), False),
    Event.PASSKEY_REMOVED: (_("A passkey was removed"), False),
    Event.PASSKEY_COUNTER_REGRESSED: (_("A passkey was refused: there may be a copy of it"), True),
    Event.RECOVERY_CODES_MADE: (_("New recovery codes were made"), False),
    Event.RECOVERY_CODE_USED: (_("A recovery code was used"), True),
    Event.BROWSER_TRUSTED: (_("A browser is not asked for the second factor for a while"), False),
    Event.BROWSER_TRUST_ENDED: (_("Browsers are asked for the second factor again"), False),
    Event.DEVICE_APPROVED: (_("A device was let in"), False),
    Event.DEVICE_DENIED: (_("A device was refused"), False),
    Event.DEVICE_CODE_REUSED: (_("A device was signed out, because its code was used a second time"), True),
    Event.REAUTHENTICATION_FAILED: (_("A proof that was asked for again did not fit"), True),
    Event.USER_INVITED: (_("An invitation link was created"), False),
    Event.INVITATION_ACCEPTED: (_("An invitation link was used"), False),
    Event.BADGE_ISSUED: (_("A badge was issued to you"), False),
    Event.BADGE_ENDED: (_("A badge of yours was ended"), False),
    Event.BADGE_PIN_SET: (_("A PIN was set"), False),
    Event.BADGE_PIN_RESET: (_("You were given a temporary PIN"), True),
    Event.BADGE_PIN_DEAD: (_("Your PIN ended after ten wrong ones in a row"), True),
    Event.USER_CHANGED: (_("Profile changed"), False),
    Event.USER_ROLES_CHANGED: (_("Roles changed"), False),
    Event.ADMIN_GAINED: (_("You became an Admin"), False),
    Event.USER_DEACTIVATED: (_("Your account was switched off"), False),
    Event.USER_RESTORED: (_("Your account was switched on again"), False),
}


def browser(t: Words, user_agent: str) -> str:
    """A browser in words: "Firefox on Windows"."""
    name, system = browser_of(user_agent)
    if name and system:
        return t.gettext("%(browser)s on %(system)s") % {"browser": name, "system": system}
    return name or system or t.gettext("Unknown browser")


def ways(name: str, amr: Iterable[str]) -> tuple[str, ...]:
    """How a session was signed in: the method, and what was proved besides, as messages of the catalogue."""
    return (method(name), *(FACTORS[way] for way in amr if way in FACTORS and way != name))


def method(name: str) -> str:
    """A way to sign in, as a message of the catalogue."""
    return METHODS.get(name, name)
