"""Writes an email in its reader's language: plain text, a greeting and paragraphs.

A part is a sentence from the catalogs, or the same in every language. Values are inserted by name, so that each
language can place them where they belong. A paragraph is one line, because programs wrap it, and Japanese has no spaces
to wrap at.
"""

from __future__ import annotations

from typing import NamedTuple, NewType

from manifest_auth.runtime.settings import DAY, HOUR, MINUTE
from manifest_auth.text.languages import Words, catalogue
from manifest_auth.text.models import Wire


class Email(NamedTuple):
    """An email as it is sent. ``language``: the tag (RFC 5646) of its texts."""

    to: str
    subject: str
    text: str
    language: str = "en"


class Reader(NamedTuple):
    """The recipient of an email. ``client``: its name, which any sentence can contain as ``%(client)s``."""

    email: str
    language: str
    client: str = ""


class Link(NamedTuple):
    """A one-time link. ``life_s``: how long it is valid, in seconds."""

    address: str
    life_s: int


class Sentence(NamedTuple):
    """A message of the catalogs, or its plural by ``values["num"]``, with the values to insert."""

    one: str
    many: str
    values: dict[str, str | int]

    def said(self, words: Words, client: str) -> str:
        """Returns the sentence in the reader's language."""
        text = words.ngettext(self.one, self.many, int(self.values["num"])) if self.many else words.gettext(self.one)
        return text % {"client": client, **self.values}


#: Text that is the same in every language: an address, a code, a command.
Verbatim = NewType("Verbatim", str)
Part = Sentence | Verbatim


def sentence(text: str, **values: str) -> Sentence:
    """Marks a text for the catalogs, under the name ``_``. ``values``: replace ``%(name)s`` in the text."""
    return Sentence(text, "", {**values})


def several(one: str, many: str, num: int, **values: str) -> Sentence:
    """Marks a text like :func:`sentence`, with a number that it contains as ``%(num)s``."""
    return Sentence(one, many, {"num": num, **values})


_ = sentence
_HELLO = _("Hello,")


def write(to: Reader, subject: Sentence, *parts: Part) -> Email:
    """Creates the email, with a greeting before the parts."""
    words = catalogue(to.language)
    said = [part.said(words, to.client) if isinstance(part, Sentence) else part for part in (_HELLO, *parts)]
    return Email(to.email, subject.said(words, to.client), "\n\n".join(said) + "\n", to.language)


def opened(link: Link) -> tuple[Part, ...]:
    """Returns the link, the same text for a browser that opens no links from emails or runs no scripts, and how long it
    is valid."""
    address, _hash, code = link.address.partition("#")
    return (
        Verbatim(link.address),
        _("If the link doesn't open, go to %(address)s and enter this code:", address=address),
        Verbatim(code),
        _works(link.life_s),
    )


def _works(life_s: int) -> Sentence:
    minutes, hours, days = life_s // MINUTE, life_s // HOUR, life_s // DAY
    if not hours:
        return several(
            "The link works once, within %(num)s minute.", "The link works once, within %(num)s minutes.", minutes
        )
    if days <= 3:
        return several("The link works once, within %(num)s hour.", "The link works once, within %(num)s hours.", hours)
    return several("The link works once, within %(num)s day.", "The link works once, within %(num)s days.", days)


_REMOVED = _(
    "Sign-in methods were removed because they were added in the 24 hours before the change was requested, or later:"
)


class RemovedData(Wire, frozen=True):
    """Credentials that were added less than 24 hours before the change was requested, or later. ``app``: the
    authenticator app; ``identities``: how many were unlinked."""

    app: bool
    passkeys: int
    recovery_codes: bool
    identities: int
    badges: int
    pin: bool


def after_undoing(removed: RemovedData, manages: bool) -> tuple[Sentence, ...]:
    """Returns the facts for a user whose previous address was restored. ``manages``: the user manages other users."""
    passkeys, identities, badges = removed.passkeys, removed.identities, removed.badges
    each = (
        (removed.app, _("The authenticator app was removed.")),
        (passkeys, several("%(num)s passkey was removed.", "%(num)s passkeys were removed.", passkeys)),
        (removed.recovery_codes, _("The recovery codes no longer work.")),
        (
            identities,
            several("%(num)s linked account was unlinked.", "%(num)s linked accounts were unlinked.", identities),
        ),
        (badges, several("%(num)s badge no longer works.", "%(num)s badges no longer work.", badges)),
        (removed.pin, _("The PIN no longer works.")),
    )
    gone = [sentence for count, sentence in each if count]
    if gone:
        gone = [_REMOVED, *gone, _("If you added one of them yourself, add it again.")]
    return (*gone, *([_("Check the audit log for changes that this account made.")] if manages else []))
