"""E-mails to users about their accounts: a function for each.

No input or output.

The only variable parts are the client's name, the link and its lifetime. Names of people are left out, and an e-mail
about two addresses names neither: otherwise a user who may invite could send texts of their choice in the name of this
server.
"""

from __future__ import annotations

from manifest_auth.runtime.mail.removed import Removed, after_undoing
from manifest_auth.runtime.mail.writing import Email, Link, Reader, opened, write
from manifest_auth.runtime.mail.writing import sentence as _

_UNEXPECTED = _("If you did not expect this, you need not do anything.")
_KEEP = _("Do not pass the link on.")
_UNDOING = _(
    "Sign-in methods are removed if they were added in the 24 hours before the change was requested, or later."
)
_SIGN_IN_OTHERWISE = _(
    "To sign in, use the sign-in service of your organisation, or ask the people who manage your account for a new "
    "password."
)


def invitation(to: Reader, link: Link) -> Email:
    """To a new user who has no password yet."""
    return write(
        to,
        _("%(client)s: your account is ready"),
        _("An account was made for you at %(client)s. Open this link to choose your password and sign in:"),
        *opened(link),
        _("After that, ask the person who invited you for a new one."),
        _UNEXPECTED,
    )


def reset(to: Reader, link: Link) -> Email:
    """To a user who asked for a new password."""
    return write(
        to,
        _("%(client)s: choose a new password"),
        _("A new password was requested for your account at %(client)s. Open this link to choose it:"),
        *opened(link),
        _("You are signed out everywhere else when the new password is set."),
        _("If you did not ask for this, you need not do anything: your password stays as it is."),
        _KEEP,
    )


def access_link(to: Reader, link: Link) -> Email:
    """To a user who became an Admin, whose sessions and password ended with that."""
    return write(
        to,
        _("%(client)s: sign in again"),
        _("Your account at %(client)s was given the role Admin."),
        _("All its devices are signed out, and its password does not work any more. Open this link to sign in again:"),
        *opened(link),
        _("After that, ask those who manage your account for a new one."),
        _KEEP,
    )


def email_confirm(to: Reader, link: Link) -> Email:
    """To the new address of a user, which takes effect when the user follows the link."""
    return write(
        to,
        _("%(client)s: confirm your new address"),
        _("This address was named as the new e-mail address of an account at %(client)s."),
        _("Open this link to confirm it:"),
        *opened(link),
        _("Nothing changes until the address is confirmed."),
        _UNEXPECTED,
    )


def email_taken(to: Reader) -> Email:
    """To an address that a user requested and that another account has."""
    return write(
        to,
        _("%(client)s: this address has an account already"),
        _(
            "This address was asked for, for an account at %(client)s. It belongs to another account there already, so "
            "nothing changes."
        ),
        _("If it was you, sign in with this address, or ask for a new password."),
        _("If it was not you, you need not do anything."),
    )


def email_asked(to: Reader) -> Email:
    """To the current address of a user for whom another one was requested."""
    return write(
        to,
        _("%(client)s: another e-mail address was asked for"),
        _(
            "Another e-mail address was asked for, for your account at %(client)s. It takes effect when its owner "
            "confirms it. You are told here when that happens."
        ),
        _(
            "If you did not expect this, change your password now, or ask those who manage your account: until the "
            "address is confirmed, a new password stops it."
        ),
    )


def email_changed(to: Reader, link: Link) -> Email:
    """To the former address of a user."""
    return write(
        to,
        _("%(client)s: your e-mail address was changed"),
        _("Your account at %(client)s has another e-mail address now. This one is not used for it any more."),
        _("If you did not want this, open this link to put this address back:"),
        *opened(link),
        _("All devices are signed out of the account then, and its password does not work any more."),
        _UNDOING,
        _KEEP,
        _("If you know of the change, you need not do anything."),
    )


def email_undone(to: Reader, link: Link | None, removed: Removed, manages: bool) -> Email:
    """To the old address of a user, which was restored; the password is invalid. ``link``: to choose another one, None
    for a user who gets none; ``manages``: the user manages other users."""
    again, also = _("This is the e-mail address of your account at %(client)s again."), after_undoing(removed, manages)
    if link is None:
        return write(to, _("%(client)s: your email address was restored"), again, _SIGN_IN_OTHERWISE, *also)
    return write(
        to,
        _("%(client)s: choose a new password"),
        again,
        _("Its password does not work any more. Open this link to choose a new one:"),
        *opened(link),
        _KEEP,
        *also,
    )
