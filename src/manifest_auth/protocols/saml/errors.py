"""The exceptions of this package."""

from __future__ import annotations

_LONGEST = 200


class Refused(Exception):
    """A response, a document or a certificate does not count. The text is the reason, for the log.

    Only reasons about metadata and certificates are written for an administrator's eyes; what is wrong with a response
    is never told to whoever sent it.
    """


class NotBase64(Refused):
    """What came is no response at all: wrong with the request, and the sender may know it."""


def quoted(text: str | None) -> str:
    """Foreign text as it may stand in a reason: one line, printable, cut."""
    if text is None:
        return "none"
    cut = text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
    return '"' + "".join(letter if letter.isprintable() else "·" for letter in cut) + '"'
