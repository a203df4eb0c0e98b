"""The texts of e-mails: plain text.

No input or output.

The only variable parts are the client's name and the link. Names of people are left out, and an e-mail about two
addresses names neither: otherwise a user who may invite could send texts of their choice in the name of this server.
"""

from __future__ import annotations

from typing import NamedTuple


class Email(NamedTuple):
    to: str
    subject: str
    text: str


def _by_hand(link: str) -> str:
    """The same for a browser that opens no links from e-mails, or runs no scripts."""
    address, _, code = link.partition("#")
    return f"""
If the link does not open, go to {address} and enter this code:

{code}"""


def invitation(to: str, client: str, link: str) -> Email:
    """To a new user who has no password yet."""
    return Email(
        to,
        f"{client}: your account is ready",
        f"""\
Hello,

an account was made for you at {client}.
Open this link to choose your password and sign in:

{link}
{_by_hand(link)}

The link works once, within 72 hours. After that, ask the person who
invited you for a new one.

If you did not expect this, you need not do anything.
""",
    )


def reset(to: str, client: str, link: str) -> Email:
    """To a user who asked for a new password."""
    return Email(
        to,
        f"{client}: choose a new password",
        f"""\
Hello,

a new password was requested for your account at {client}.
Open this link to choose it:

{link}
{_by_hand(link)}

The link works once, within 30 minutes. You are signed out everywhere else
when the new password is set.

If you did not ask for this, you need not do anything: your password stays as
it is. Do not pass the link on.
""",
    )


def access_link(to: str, client: str, link: str) -> Email:
    """To a user who became an Admin, whose sessions and password ended with that."""
    return Email(
        to,
        f"{client}: sign in again",
        f"""\
Hello,

your account at {client} was given the role Admin. All its devices are signed
out, and its password does not work any more. Open this link to sign in again:

{link}
{_by_hand(link)}

The link works once, within 72 hours. After that, ask those who manage your
account for a new one. Do not pass the link on.
""",
    )


def email_confirm(to: str, client: str, link: str) -> Email:
    """To the new address of a user, which takes effect when the user follows the link."""
    return Email(
        to,
        f"{client}: confirm your new address",
        f"""\
Hello,

this address was named as the new e-mail address of an account at {client}.
Open this link to confirm it:

{link}
{_by_hand(link)}

The link works once, within 24 hours. Until then nothing changes.

If you did not expect this, you need not do anything.
""",
    )


def email_taken(to: str, client: str) -> Email:
    """To an address that a user requested and that another account has."""
    return Email(
        to,
        f"{client}: this address has an account already",
        f"""\
Hello,

this address was asked for, for an account at {client}. It belongs to
another account there already, so nothing changes.

If it was you, sign in with this address, or ask for a new password. If it was
not you, you need not do anything.
""",
    )


def email_asked(to: str, client: str) -> Email:
    """To the current address of a user for whom another one was requested."""
    return Email(
        to,
        f"{client}: another e-mail address was asked for",
        f"""\
Hello,

another e-mail address was asked for, for your account at {client}. It takes
effect when its owner confirms it. You are told here when that happens.

If you did not expect this, change your password now, or ask those who manage
your account: until it is confirmed, a new password stops it.
""",
    )


def email_changed(to: str, client: str, link: str) -> Email:
    """To the former address of a user."""
    return Email(
        to,
        f"{client}: your e-mail address was changed",
        f"""\
Hello,

your account at {client} has another e-mail address now. This one is not used
for it any more.

If you did not want this, open this link to put this address back:

{link}
{_by_hand(link)}

The link works within 7 days. All devices are signed out of the account then,
and its password does not work any more. Do not pass the link on.

If you know of the change, you need not do anything.
""",
    )


def email_undone(to: str, client: str, link: str) -> Email:
    """To the old address of a user, which was restored; the password is invalid."""
    return Email(
        to,
        f"{client}: choose a new password",
        f"""\
Hello,

this is the e-mail address of your account at {client} again. Its password
does not work any more. Open this link to choose a new one:

{link}
{_by_hand(link)}

The link works once, within 30 minutes. Do not pass it on.
""",
    )


def passkey_added(to: str, client: str, address: str) -> Email:
    """To a user who has a new passkey. ``address``: the IP address that it was added from."""
    return Email(
        to,
        f"{client}: a passkey was added",
        f"""\
Hello,

a passkey was added to your account at {client}, from the address
{address}. It signs in without a password.

If it was not you, remove it in your account, change your password, and tell
those who manage your account.
""",
    )


def passkey_removed(to: str, client: str, address: str) -> Email:
    """To a user one of whose passkeys was removed. ``address``: the IP address that asked for it."""
    return Email(
        to,
        f"{client}: a passkey was removed",
        f"""\
Hello,

a passkey was removed from your account at {client}, from the address
{address}. It does not sign in any more.

If it was not you, change your password, and tell those who manage your
account.
""",
    )


def passkey_copied(to: str, client: str, address: str) -> Email:
    """To a user whose passkey answered with a counter that did not go on. ``address``: the IP address it came from."""
    return Email(
        to,
        f"{client}: a sign-in with your passkey was refused",
        f"""\
Hello,

a sign-in to your account at {client} with your passkey was refused. It
came from the address {address}. The passkey's counter did not go on,
as it does when someone has a copy of the passkey. Two attempts at the same
moment look the same.

If it was not you, remove the passkey in your account, and tell those who
manage your account.
""",
    )


def domain_failing(to: str, client: str, domain: str, name: str, value: str, until: str) -> Email:
    """To an Admin of the client that owns a domain whose DNS record is missing."""
    return Email(
        to,
        f"{client}: the DNS record of {domain} is missing",
        f"""\
Hello,

the DNS record that proves {domain} for {client} was not found.
Without it, people of {domain} are not recognised by their address
from {until} on. Please put this TXT record back:

Name:  {name}
Value: {value}

People who have signed in before are not affected.
""",
    )


def domain_lapsed(to: str, client: str, domain: str, name: str, value: str) -> Email:
    """To an Admin of the client that owned a domain."""
    return Email(
        to,
        f"{client}: {domain} is not proved any more",
        f"""\
Hello,

for two weeks the DNS record that proves {domain} for {client} was not
found. From now on new people of {domain} are not recognised by their
address. People who have signed in before still can.

To prove the domain again, put this TXT record back and check it in the
settings:

Name:  {name}
Value: {value}
""",
    )


def domain_contested(to: str, client: str, domain: str, *, holds: bool) -> Email:
    """To an Admin of either client. Neither e-mail names the other client. ``holds``: to the owner of the domain."""
    if holds:
        what = f"""\
another client of this installation has shown a DNS record of {domain},
which {client} holds. Nothing changes while your own record is seen.

If no one of your company did this, see who may change the DNS of {domain},
and tell the operator of this installation."""
    else:
        what = f"""\
the DNS record of {domain} was found for {client}. Another client of this
installation holds this domain, so nothing changes yet: the domain becomes
yours when the other client releases it, or loses its record for two weeks.

If the domain is yours alone, tell the operator of this installation."""
    return Email(to, f"{client}: two clients claim {domain}", f"Hello,\n\n{what}\n")


def domain_contested_between(to: str, domain: str, owner: str, contester: str) -> Email:
    """To the operator's address."""
    return Email(
        to,
        f"Two clients claim {domain}",
        f"""\
Hello,

the client {owner} holds {domain}, and the client {contester} has shown a
DNS record of it, too. Nothing moves while the record of {owner} is seen.

If the claim of {owner} has no DNS record, because an operator vouched for it
or an upgrade kept it, and if the claim is wrong, release it:

manifest-auth domain release {domain} --client {owner}
""",
    )
