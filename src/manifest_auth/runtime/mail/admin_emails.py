"""E-mails to Admins and the operator about domains and the secrets of service accounts: a function for each.

No input or output. An e-mail to a client never names another one.
"""

from __future__ import annotations

from manifest_auth.runtime.mail.writing import Email, Part, Reader, Verbatim, several, write
from manifest_auth.runtime.mail.writing import sentence as _


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
