"""Emails to users about their accounts and second factors, and to Admins and the operator, with one function for each.

No input or output. The only variable parts are the client's name, the link and its lifetime. No email contains text
that a person wrote, and one about two addresses names neither. Otherwise, a user who can invite could send arbitrary
text in this server's name. An invitation contains the inviter's address, and the name if it consists of letters
(:func:`inviter`). An email to a client never names another client. ``address``: the network address of the action.
"""

from __future__ import annotations

import unicodedata

from manifest_auth.runtime.mail.writing import (
    Email,
    Link,
    Part,
    Reader,
    RemovedData,
    Verbatim,
    after_undoing,
    opened,
    several,
    write,
)
from manifest_auth.runtime.mail.writing import sentence as _

_UNEXPECTED = _("If you didn't expect this email, you can ignore it.")
_KEEP = _("Don't share this link.")
_UNDOING = _(
    "Sign-in methods are removed if they were added in the 24 hours before the change was requested, or later."
)
_SIGN_IN_OTHERWISE = _(
    "To sign in, use your organization's sign-in service, or ask your administrator for a new password."
)


_LONGEST_NAME = 48
_IN_NAMES = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc"})  # letters and their marks


def inviter(name: str, email: str) -> str:
    """Returns how an email names a person: by name and address, or only by the address if the name could be anything
    else.

    People choose their own names. A name of letters, spaces, hyphens, and apostrophes can't contain a web address or a
    phone number.
    """
    is_name = all(c in " -'’" or unicodedata.category(c) in _IN_NAMES for c in name)
    return f"{name} ({email})" if name and is_name and len(name) <= _LONGEST_NAME else email


def invitation(to: Reader, link: Link, by: str = "") -> Email:
    """Returns the email to a new user who has no password yet. ``by``: the inviter, from :func:`inviter`, or empty."""
    made = _("You have a new account at %(client)s. To choose your password and sign in, open this link:")
    named = _("%(inviter)s invited you to %(client)s. To choose your password and sign in, open this link:", inviter=by)
    return write(
        to,
        _("%(client)s: your account is ready"),
        named if by else made,
        *opened(link),
        _("If the link has expired, ask the person who invited you for a new one."),
        _UNEXPECTED,
    )


def reset(to: Reader, link: Link) -> Email:
    """Returns the email to a user who asked for a new password."""
    return write(
        to,
        _("%(client)s: choose a new password"),
        _("Someone requested a new password for your account at %(client)s. To choose it, open this link:"),
        *opened(link),
        _("When you set a new password, you're signed out everywhere else."),
        _("If you didn't request this, you can ignore this email. Your password stays the same."),
        _KEEP,
    )


def access_link(to: Reader, link: Link) -> Email:
    """Returns the email to a user who became an Admin, which ended their sessions and password."""
    return write(
        to,
        _("%(client)s: sign in again"),
        _("Your account at %(client)s now has the Admin role."),
        _("All your devices are signed out, and your password no longer works. To sign in again, open this link:"),
        *opened(link),
        _("If the link has expired, ask your administrator for a new one."),
        _KEEP,
    )


def email_confirm(to: Reader, link: Link) -> Email:
    """Returns the email to the new address of a user, which takes effect when the user follows the link."""
    return write(
        to,
        _("%(client)s: confirm your new address"),
        _("Someone entered this address as the new email address of an account at %(client)s."),
        _("To confirm the address, open this link:"),
        *opened(link),
        _("Nothing changes until you confirm the address."),
        _UNEXPECTED,
    )


def email_taken(to: Reader) -> Email:
    """Returns the email to an address that a user requested although another account has it."""
    return write(
        to,
        _("%(client)s: this address already has an account"),
        _(
            "Someone requested this address for an account at %(client)s. It already belongs to another "
            "account there, so nothing changes."
        ),
        _("If it was you, sign in with this address, or request a new password."),
        _("If it wasn't you, you can ignore this email."),
    )


def email_asked(to: Reader) -> Email:
    """Returns the email to the current address of a user, after someone requested another address."""
    return write(
        to,
        _("%(client)s: a change of email address was requested"),
        _(
            "Someone asked to change the email address of your account at %(client)s. The change "
            "takes effect when the owner of the new address confirms it. We'll then email you "
            "here."
        ),
        _(
            "If you didn't expect this, change your password now, or tell your administrator. Until the "
            "address is confirmed, a new password cancels the request."
        ),
    )


def email_changed(to: Reader, link: Link | None) -> Email:
    """Returns the email to the previous address of a user. ``link``: undoes the change; None if nothing does."""
    subject = _("%(client)s: your email address was changed")
    said = _("Your account at %(client)s now has a different email address. This address is no longer used for it.")
    if link is None:
        return write(to, subject, said, _NOT_ASKED)
    return write(
        to,
        subject,
        said,
        _("If you didn't want this, open this link to restore this address:"),
        *opened(link),
        _("This signs out all devices, and the password no longer works."),
        _UNDOING,
        _KEEP,
        _("If you know about this change, you can ignore this email."),
    )


def email_undone(to: Reader, link: Link | None, removed: RemovedData, manages: bool) -> Email:
    """Returns the email to the restored old address of a user; the password is invalid. ``link``: to choose another
    one, or None for a user who gets none; ``manages``: the user manages other users."""
    again, also = _("This is the email address of your account at %(client)s again."), after_undoing(removed, manages)
    if link is None:
        return write(to, _("%(client)s: your email address was restored"), again, _SIGN_IN_OTHERWISE, *also)
    return write(
        to,
        _("%(client)s: choose a new password"),
        again,
        _("Your password no longer works. To choose a new one, open this link:"),
        *opened(link),
        _KEEP,
        *also,
    )


_ALL_IS_WELL = _("If it was you, you can ignore this email.")
_NOT_ASKED = _("If you didn't ask for this, tell an administrator of your organization.")


def app_added(to: Reader, address: str) -> Email:
    """Returns the email to a user who added an authenticator app. ``address``: the IP address that it was added
    from."""
    return write(
        to,
        _("%(client)s: a second factor was set up"),
        _("An authenticator app was set up for your account at %(client)s, from the IP address %(at)s.", at=address),
        _("All other devices are signed out."),
        _ALL_IS_WELL,
        _(
            "If it wasn't you, someone else knows your password. Ask your administrator to reset your second "
            "factors, and choose a new password."
        ),
    )


def recovery_code_used(to: Reader, address: str, left: int) -> Email:
    """Returns the email to a user after one of their recovery codes was used. ``left``: the number of remaining
    codes."""
    return write(
        to,
        _("%(client)s: a recovery code was used"),
        _("A recovery code for your account at %(client)s was used, from the IP address %(at)s.", at=address),
        several("%(num)s recovery code is left.", "%(num)s recovery codes are left.", left),
        _ALL_IS_WELL,
        _("If it wasn't you, choose a new password immediately, sign out all devices, and create new recovery codes."),
    )


def wrong_codes(to: Reader, address: str) -> Email:
    """Returns the email to a user after several incorrect second-factor codes with the correct password within a
    day."""
    return write(
        to,
        _("%(client)s: someone might know your password"),
        _(
            "Someone entered the correct password for your account at %(client)s, and an incorrect code at "
            "least five times. The last attempt came from the IP address %(at)s.",
            at=address,
        ),
        _("If it wasn't you, choose a new password now."),
    )


def app_removed(to: Reader, address: str) -> Email:
    """Returns the email to a user after their authenticator app was removed. ``address``: the IP address of the
    request."""
    return write(
        to,
        _("%(client)s: a second factor was removed"),
        _("The authenticator app was removed from your account at %(client)s, from the IP address %(at)s.", at=address),
        _("All other devices are signed out."),
        _ALL_IS_WELL,
        _("If it wasn't you, choose a new password immediately, and set up a second factor again."),
    )


def recovery_codes_made(to: Reader, address: str) -> Email:
    """Returns the email to a user who has new recovery codes. ``address``: the IP address of the request."""
    return write(
        to,
        _("%(client)s: new recovery codes"),
        _(
            "New recovery codes were created for your account at %(client)s, from the IP address %(at)s. The "
            "old ones no longer work.",
            at=address,
        ),
        _ALL_IS_WELL,
        _("If it wasn't you, choose a new password immediately, sign out all devices, and create new recovery codes."),
    )


def factors_reset(to: Reader) -> Email:
    """Returns the email to a user after another person removed their second factors."""
    return write(
        to,
        _("%(client)s: your second factors were reset"),
        _(
            "An administrator of %(client)s removed the second factors, recovery codes, and trusted browsers "
            "of your account. All your devices are signed out."
        ),
        _("You can set up a second factor again at your next sign-in."),
        _("If you didn't ask for this, tell your administrator."),
    )


def passkey_added(to: Reader, address: str) -> Email:
    """Returns the email to a user who has a new passkey. ``address``: the IP address that it was added from."""
    return write(
        to,
        _("%(client)s: a passkey was added"),
        _(
            "A passkey was added to your account at %(client)s, from the IP address %(address)s. "
            "You can use it to sign in without a password.",
            address=address,
        ),
        _("If it wasn't you, remove it from your account, change your password, and tell your administrator."),
    )


def passkey_removed(to: Reader, address: str) -> Email:
    """Returns the email to a user after a passkey was removed. ``address``: the IP address of the request."""
    return write(
        to,
        _("%(client)s: a passkey was removed"),
        _(
            "A passkey was removed from your account at %(client)s, from the IP address "
            "%(address)s. It can no longer be used to sign in.",
            address=address,
        ),
        _("If it wasn't you, change your password, and tell your administrator."),
    )


def device_paired(to: Reader, address: str, until: str) -> Email:
    """Returns the email to a user who approved a device. ``address``: the IP address of the device; ``until``: its end,
    as RFC 3339."""
    return write(
        to,
        _("%(client)s: a device was signed in"),
        _(
            "A device was signed in to your account at %(client)s, from the IP address %(address)s, until %(until)s.",
            address=address,
            until=until,
        ),
        _("If it wasn't you, end its session in your account, change your password, and tell your administrator."),
    )


def badge_issued(to: Reader) -> Email:
    """Returns the email to a user for whom a badge was issued."""
    return write(
        to,
        _("%(client)s: a badge was issued"),
        _("A badge was issued for your account at %(client)s."),
        _("With your PIN, you can use it to sign in on shared devices of your organization."),
        _NOT_ASKED,
    )


def pin_reset(to: Reader) -> Email:
    """Returns the email to a user who was given a temporary PIN."""
    return write(
        to,
        _("%(client)s: a temporary PIN was created"),
        _(
            "An administrator created a temporary PIN for your account at %(client)s. Your previous PIN no longer "
            "works."
        ),
        _("To use your badge again, go to your account and set a PIN that only you know."),
        _NOT_ASKED,
    )


def pin_set(to: Reader, address: str) -> Email:
    """Returns the email to a user after a PIN for their badge was set. ``address``: the IP address that it was set
    from."""
    return write(
        to,
        _("%(client)s: a PIN was set"),
        _("A PIN was set for your account at %(client)s, from the IP address %(address)s.", address=address),
        _ALL_IS_WELL,
        _("If it wasn't you, set a different PIN in your account, and tell an administrator of your organization."),
    )


def passkey_copied(to: Reader, address: str) -> Email:
    """Returns the email to a user after a passkey responded with a counter that didn't increase. ``address``: the IP
    address it came from."""
    return write(
        to,
        _("%(client)s: a sign-in with your passkey was rejected"),
        _(
            "A sign-in to your account at %(client)s with your passkey was rejected. It came from the IP "
            "address %(address)s. The passkey's counter didn't increase, which happens if someone has a copy "
            "of the passkey. Two attempts at the same moment look the same.",
            address=address,
        ),
        _("If it wasn't you, remove the passkey from your account, and tell your administrator."),
    )


def identity_linked(to: Reader, address: str) -> Email:
    """Returns the email to a user after an account at a provider was linked. ``address``: the IP address of the
    request."""
    return write(
        to,
        _("%(client)s: a provider account was linked"),
        _(
            "A provider account was linked to your account at %(client)s, from the IP address %(at)s.",
            at=address,
        ),
        _("It can now sign in to your account."),
        _ALL_IS_WELL,
        _("If it wasn't you, unlink it in your account, and tell an administrator of your organization."),
    )


def changed_provider_used(to: Reader, address: str) -> Email:
    """Returns the email to a user who signed in with a linked account for the first time after a User Admin changed its
    provider. ``address``: the IP address of the sign-in."""
    return write(
        to,
        _("%(client)s: a sign-in through a changed provider"),
        _(
            "The settings of a provider that you use to sign in at %(client)s were changed. "
            "Someone then signed in to your account through this provider, from the IP address "
            "%(at)s.",
            at=address,
        ),
        _ALL_IS_WELL,
        _("If it wasn't you, end all your sessions, and tell an administrator of your organization."),
    )


def _record(name: str, value: str) -> tuple[Part, ...]:
    return _("Name: %(name)s", name=name), _("Value: %(value)s", value=value)


def domain_failing(to: Reader, domain: str, name: str, value: str, day: str) -> Email:
    """Returns the email to an Admin of a client that owns a domain with a missing DNS record. ``name``, ``value``:
    those of the record; ``day``: when the claim lapses, in UTC, as ISO 8601."""
    return write(
        to,
        _("%(client)s: the DNS record of %(domain)s is missing", domain=domain),
        _("The DNS record that verifies %(domain)s for %(client)s is missing.", domain=domain),
        _(
            "If it stays missing, users from %(domain)s are no longer recognized by their email "
            "address from %(day)s (UTC). Add this TXT record again:",
            domain=domain,
            day=day,
        ),
        *_record(name, value),
        _("Users who have signed in before aren't affected."),
    )


def domain_lapsed(to: Reader, domain: str, name: str, value: str, days: int) -> Email:
    """Returns the email to an Admin of a client that lost a domain, because its record wasn't found for that many
    days."""
    return write(
        to,
        _("%(client)s: %(domain)s is no longer verified", domain=domain),
        several(
            "The DNS record that verifies %(domain)s for %(client)s has been missing for %(num)s day.",
            "The DNS record that verifies %(domain)s for %(client)s has been missing for %(num)s days.",
            days,
            domain=domain,
        ),
        _(
            "New users from %(domain)s are no longer recognized by their email address. Users "
            "who have signed in before can still sign in.",
            domain=domain,
        ),
        _("To verify the domain again, add this TXT record, and then check it in the settings:"),
        *_record(name, value),
    )


def domain_held(to: Reader, domain: str) -> Email:
    """Returns the email to an Admin of the client that owns a domain, when another client has published a record for
    it."""
    return write(
        to,
        _("%(client)s: two clients claim %(domain)s", domain=domain),
        _(
            "Another client of this installation added a DNS record for %(domain)s, which belongs to "
            "%(client)s. Nothing changes while your own record is found.",
            domain=domain,
        ),
        _(
            "If nobody at your company did this, check who can change the DNS of %(domain)s, and tell the "
            "operator of this installation.",
            domain=domain,
        ),
    )


def domain_contested(to: Reader, domain: str, days: int) -> Email:
    """Returns the email to an Admin of the client that has published a record for a domain that another client owns.
    ``days``: how long the record must be missing before the owner loses the domain."""
    return write(
        to,
        _("%(client)s: two clients claim %(domain)s", domain=domain),
        _(
            "The DNS record of %(domain)s was found for %(client)s. The domain belongs to another client of "
            "this installation, so nothing changes yet.",
            domain=domain,
        ),
        several(
            "The domain becomes yours if the other client releases it, or if its record is missing for %(num)s day.",
            "The domain becomes yours if the other client releases it, or if its record is missing for %(num)s days.",
            days,
        ),
        _("If you're the only owner of the domain, tell the operator of this installation."),
    )


def domain_contested_between(to: Reader, domain: str, owner: str, contester: str) -> Email:
    """Returns the email to the operator's address."""
    return write(
        to,
        _("Two clients claim %(domain)s", domain=domain),
        _(
            "%(domain)s belongs to the client %(owner)s, but the client %(contester)s also added "
            "a DNS record for it. Nothing changes while the record of %(owner)s is found.",
            domain=domain,
            owner=owner,
            contester=contester,
        ),
        _(
            "If %(owner)s has no DNS record because an operator approved the domain by mistake, release the domain:",
            owner=owner,
        ),
        Verbatim(f"manifest-auth domain release {domain} --client {owner}"),
    )


def machine_secret_ends(to: Reader, account: str, hint: str, day: str, days: int) -> Email:
    """Returns the email to an Admin of the client, some days before an API key or a client secret expires. ``account``:
    the name of the service account; ``hint``: the last characters of the secret; ``day``: in UTC, as ISO 8601."""
    return write(
        to,
        _("%(client)s: a key of %(account)s expires on %(day)s", account=account, day=day),
        several(
            "The key of the service account %(account)s that ends in %(hint)s expires in %(num)s day, on "
            "%(day)s (UTC).",
            "The key of the service account %(account)s that ends in %(hint)s expires in %(num)s days, on "
            "%(day)s (UTC).",
            days,
            hint=hint,
            account=account,
            day=day,
        ),
        _(
            "After that, the program that uses it gets an error. Rotate the key before it expires, "
            "and give the program the new one."
        ),
    )
