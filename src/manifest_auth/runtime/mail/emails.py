"""E-mails to users about their accounts and second factors, and to Admins and the operator: a function for each.

No input or output. The only variable parts are the client's name, the link and its lifetime. Names of people are left
out, and an e-mail about two addresses names neither: otherwise a user who may invite could send texts of their choice
in the name of this server. An e-mail to a client never names another one.

``address``: the network address that an act came from.
"""

from __future__ import annotations

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


def email_undone(to: Reader, link: Link | None, removed: RemovedData, manages: bool) -> Email:
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


_ALL_IS_WELL = _("If it was you, you need not do anything.")
_NOT_ASKED = _("If you did not ask for this, tell an administrator of your organization.")


def app_added(to: Reader, address: str) -> Email:
    """To a user who has an authenticator app from now on. ``address``: from which network address."""
    return write(
        to,
        _("%(client)s: a second factor was set up"),
        _("An authenticator app was set up for your account at %(client)s, from the address %(at)s.", at=address),
        _("All other devices are signed out."),
        _ALL_IS_WELL,
        _(
            "If it was not you, someone else knows your password. Ask those who manage your account to reset its "
            "second factors, and choose a new password."
        ),
    )


def recovery_code_used(to: Reader, address: str, left: int) -> Email:
    """To a user with one of whose recovery codes someone proved who they are. ``left``: how many there are still."""
    return write(
        to,
        _("%(client)s: a recovery code was used"),
        _("A recovery code of your account at %(client)s was used, from the address %(at)s.", at=address),
        several("%(num)s recovery code is left.", "%(num)s recovery codes are left.", left),
        _ALL_IS_WELL,
        _("If it was not you, choose a new password at once, sign out all devices, and make new recovery codes."),
    )


def wrong_codes(to: Reader, address: str) -> Email:
    """To a user for whose right password several wrong codes of the second factor came within a day."""
    return write(
        to,
        _("%(client)s: someone may know your password"),
        _(
            "Someone gave the right password of your account at %(client)s, and a wrong code five times or more, last "
            "from the address %(at)s.",
            at=address,
        ),
        _("If it was not you, choose a new password now."),
    )


def app_removed(to: Reader, address: str) -> Email:
    """To a user whose authenticator app was removed. ``address``: from which network address."""
    return write(
        to,
        _("%(client)s: a second factor was removed"),
        _("The authenticator app was removed from your account at %(client)s, from the address %(at)s.", at=address),
        _("All other devices are signed out."),
        _ALL_IS_WELL,
        _("If it was not you, choose a new password at once, and set a second factor up again."),
    )


def recovery_codes_made(to: Reader, address: str) -> Email:
    """To a user who has new recovery codes. ``address``: from which network address."""
    return write(
        to,
        _("%(client)s: new recovery codes"),
        _(
            "New recovery codes were made for your account at %(client)s, from the address %(at)s. The "
            "former ones do not work any more.",
            at=address,
        ),
        _ALL_IS_WELL,
        _("If it was not you, choose a new password at once, sign out all devices, and make new recovery codes."),
    )


def factors_reset(to: Reader) -> Email:
    """To a user whose second factors another person took away."""
    return write(
        to,
        _("%(client)s: your second factors were reset"),
        _(
            "Those who manage your account at %(client)s took its second factors, recovery codes and trusted browsers "
            "away. All its devices are signed out."
        ),
        _("At the next sign-in you can set a second factor up again."),
        _("If you did not ask for this, tell those who manage your account."),
    )


def passkey_added(to: Reader, address: str) -> Email:
    """To a user who has a new passkey. ``address``: the IP address that it was added from."""
    return write(
        to,
        _("%(client)s: a passkey was added"),
        _(
            "A passkey was added to your account at %(client)s, from the address %(address)s. It signs in without a "
            "password.",
            address=address,
        ),
        _(
            "If it was not you, remove it in your account, change your password, and tell those who manage your "
            "account."
        ),
    )


def passkey_removed(to: Reader, address: str) -> Email:
    """To a user one of whose passkeys was removed. ``address``: the IP address that asked for it."""
    return write(
        to,
        _("%(client)s: a passkey was removed"),
        _(
            "A passkey was removed from your account at %(client)s, from the address %(address)s. It does not sign in "
            "any more.",
            address=address,
        ),
        _("If it was not you, change your password, and tell those who manage your account."),
    )


def device_paired(to: Reader, address: str, until: str) -> Email:
    """To a user who let a device in. ``address``: the IP address of the device; ``until``: its end, as RFC 3339."""
    return write(
        to,
        _("%(client)s: a device was signed in"),
        _(
            "A device was signed in to your account at %(client)s, from the address %(address)s, until %(until)s.",
            address=address,
            until=until,
        ),
        _("If it was not you, end it in your account, change your password, and tell those who manage your account."),
    )


def badge_issued(to: Reader) -> Email:
    """To a user for whom a badge was issued."""
    return write(
        to,
        _("%(client)s: a badge was issued"),
        _("A badge was issued for your account at %(client)s."),
        _("Together with your PIN, it signs in to your account on shared devices of your organization."),
        _NOT_ASKED,
    )


def pin_reset(to: Reader) -> Email:
    """To a user who was given a temporary PIN."""
    return write(
        to,
        _("%(client)s: a temporary PIN was created"),
        _(
            "An administrator created a temporary PIN for your account at %(client)s. Your previous PIN no longer "
            "works."
        ),
        _("To use your badge again, set a PIN that only you know in your account."),
        _NOT_ASKED,
    )


def pin_set(to: Reader, address: str) -> Email:
    """To a user for whose badge a PIN was set. ``address``: the IP address that it was set from."""
    return write(
        to,
        _("%(client)s: a PIN was set"),
        _("A PIN was set for your account at %(client)s, from the address %(address)s.", address=address),
        _ALL_IS_WELL,
        _("If it was not you, set another PIN in your account, and tell an administrator of your organization."),
    )


def passkey_copied(to: Reader, address: str) -> Email:
    """To a user whose passkey answered with a counter that did not go on. ``address``: the IP address it came from."""
    return write(
        to,
        _("%(client)s: a sign-in with your passkey was refused"),
        _(
            "A sign-in to your account at %(client)s with your passkey was refused. It came from the address "
            "%(address)s. The passkey's counter did not go on, as when someone has a copy of the passkey. Two attempts "
            "at the same moment look the same.",
            address=address,
        ),
        _("If it was not you, remove the passkey in your account, and tell those who manage your account."),
    )


def identity_linked(to: Reader, address: str) -> Email:
    """To a user to whose account an identity at a provider was linked. ``address``: from which network address."""
    return write(
        to,
        _("%(client)s: an identity was linked"),
        _("An identity at a provider was linked to your account at %(client)s, from the address %(at)s.", at=address),
        _("From now on, it signs in to your account."),
        _ALL_IS_WELL,
        _("If it was not you, unlink it in your account, and tell an administrator of your organization."),
    )


def changed_provider_used(to: Reader, address: str) -> Email:
    """To a user whose identity signed in for the first time since a User Admin changed who vouches for it.
    ``address``: from which network address."""
    return write(
        to,
        _("%(client)s: a sign-in through a changed provider"),
        _(
            "The settings of a provider that signs in to your account at %(client)s were changed. Your account was "
            "then signed in to through this provider, from the address %(at)s.",
            at=address,
        ),
        _ALL_IS_WELL,
        _("If it was not you, end all your sessions, and tell an administrator of your organization."),
    )


def _record(name: str, value: str) -> tuple[Part, ...]:
    return _("Name: %(name)s", name=name), _("Value: %(value)s", value=value)


def domain_failing(to: Reader, domain: str, name: str, value: str, day: str) -> Email:
    """To an Admin of the client that owns a domain whose DNS record is missing. ``name``, ``value``: of the record;
    ``day``: in UTC, as ISO 8601, when the claim lapses."""
    return write(
        to,
        _("%(client)s: the DNS record of %(domain)s is missing", domain=domain),
        _("The DNS record that proves %(domain)s for %(client)s was not found.", domain=domain),
        _(
            "Without it, people of %(domain)s are not recognised by their address from %(day)s (UTC) on. Please put "
            "this TXT record back:",
            domain=domain,
            day=day,
        ),
        *_record(name, value),
        _("People who have signed in before are not affected."),
    )


def domain_lapsed(to: Reader, domain: str, name: str, value: str, days: int) -> Email:
    """To an Admin of the client that owned a domain, whose record was not found for so many days."""
    return write(
        to,
        _("%(client)s: %(domain)s is not proved any more", domain=domain),
        several(
            "For %(num)s day the DNS record that proves %(domain)s for %(client)s was not found.",
            "For %(num)s days the DNS record that proves %(domain)s for %(client)s was not found.",
            days,
            domain=domain,
        ),
        _(
            "From now on new people of %(domain)s are not recognised by their address. People who have signed in "
            "before still can.",
            domain=domain,
        ),
        _("To prove the domain again, put this TXT record back and check it in the settings:"),
        *_record(name, value),
    )


def domain_held(to: Reader, domain: str) -> Email:
    """To an Admin of the client that owns a domain, when another client has shown a record of it."""
    return write(
        to,
        _("%(client)s: two clients claim %(domain)s", domain=domain),
        _(
            "Another client of this installation has shown a DNS record of %(domain)s, which %(client)s holds. Nothing "
            "changes while your own record is seen.",
            domain=domain,
        ),
        _(
            "If no one of your company did this, see who may change the DNS of %(domain)s, and tell the operator of "
            "this installation.",
            domain=domain,
        ),
    )


def domain_contested(to: Reader, domain: str, days: int) -> Email:
    """To an Admin of the client that has shown a record of a domain that another client owns. ``days``: without a
    record after which the owner loses it."""
    return write(
        to,
        _("%(client)s: two clients claim %(domain)s", domain=domain),
        _(
            "The DNS record of %(domain)s was found for %(client)s. Another client of this installation holds this "
            "domain, so nothing changes yet.",
            domain=domain,
        ),
        several(
            "The domain becomes yours when the other client releases it, or loses its record for %(num)s day.",
            "The domain becomes yours when the other client releases it, or loses its record for %(num)s days.",
            days,
        ),
        _("If the domain is yours alone, tell the operator of this installation."),
    )


def domain_contested_between(to: Reader, domain: str, owner: str, contester: str) -> Email:
    """To the operator's address."""
    return write(
        to,
        _("Two clients claim %(domain)s", domain=domain),
        _(
            "The client %(owner)s holds %(domain)s, and the client %(contester)s has shown a DNS record of it, too. "
            "Nothing moves while the record of %(owner)s is seen.",
            domain=domain,
            owner=owner,
            contester=contester,
        ),
        _(
            "If the claim of %(owner)s has no DNS record, because an operator vouched for it, "
            "and if the claim is wrong, release it:",
            owner=owner,
        ),
        Verbatim(f"manifest-auth domain release {domain} --client {owner}"),
    )


def machine_secret_ends(to: Reader, account: str, hint: str, day: str, days: int) -> Email:
    """To an Admin of the client, some days before an API key or a client secret ends. ``account``: the name of the
    service account; ``hint``: the last characters of the secret; ``day``: in UTC, as ISO 8601."""
    return write(
        to,
        _("%(client)s: a key of %(account)s ends on %(day)s", account=account, day=day),
        several(
            "The key that ends in %(hint)s, of the service account %(account)s, works for %(num)s day more, until "
            "%(day)s (UTC).",
            "The key that ends in %(hint)s, of the service account %(account)s, works for %(num)s days more, until "
            "%(day)s (UTC).",
            days,
            hint=hint,
            account=account,
            day=day,
        ),
        _("Then the program that uses it is refused. Please rotate the key before, and give the program the new one."),
    )
