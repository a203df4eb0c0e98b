"""What the letters say: plain text in plain words. Pure.

The only words of others in them are the client's name and the link. Names of people are not: whoever may invite could
write to anybody whatever they like, in our name.
"""

from __future__ import annotations

from typing import NamedTuple


class Letter(NamedTuple):
    to: str
    subject: str
    text: str


def invitation(to: str, client: str, link: str) -> Letter:
    """To somebody who shall come in for the first time."""
    return Letter(
        to,
        f"{client}: your account is ready",
        f"""\
Hello,

an account was made for you at {client}.
Open this link to choose your password and sign in:

{link}

The link works once, within 72 hours. After that, ask whoever invited you for
a new one.

If you did not expect this, you need not do anything.
""",
    )


def reset(to: str, client: str, link: str) -> Letter:
    """To somebody who shall choose a new password."""
    return Letter(
        to,
        f"{client}: choose a new password",
        f"""\
Hello,

somebody, perhaps you, asked for a new password for your account at {client}.
Open this link to choose it:

{link}

The link works once, within 30 minutes. You are signed out everywhere else
when the new password is set.

If you did not ask for this, you need not do anything: your password stays as
it is. Do not pass the link on to anybody.
""",
    )
