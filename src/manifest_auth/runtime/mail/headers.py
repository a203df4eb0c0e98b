"""Headers of e-mails with text from others, written as they are sent.

The library would read such a text first: it takes parts that look like encoded words (RFC 2047) for encoded, even line
breaks (CVE-2024-6923, up to Python 3.11.9 and 3.12.4), and loses or doubles spaces where it folds.
"""

from __future__ import annotations

from email.header import Header

from manifest_auth.text.canonical import EMAIL_SHAPE, mailbox

_LONGEST = 76  # characters of a line with an encoded word (RFC 2047)


def recipient(email: str) -> str:
    """The address of an e-mail, for its envelope and ``To``. Raises ValueError for what is not one address."""
    if not EMAIL_SHAPE.fullmatch(email):
        raise ValueError("not an e-mail address")
    return mailbox(email)


def subject(text: str) -> str:
    """The value of ``Subject``: short ASCII as it is, else encoded, in lines. Raises ValueError for a line break."""
    if text.splitlines() != [text]:
        raise ValueError("a line break in the subject")
    if text.isascii() and text.isprintable() and "=?" not in text and len("Subject: " + text) <= _LONGEST:
        return text
    return Header(text, "utf-8", _LONGEST, "Subject").encode()
