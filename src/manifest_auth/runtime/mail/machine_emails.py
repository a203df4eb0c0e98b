"""E-mails to Admins about the secrets of service accounts: a function for each.

No input or output.
"""

from __future__ import annotations

from manifest_auth.runtime.mail.writing import Email, Reader, several, write
from manifest_auth.runtime.mail.writing import sentence as _


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
