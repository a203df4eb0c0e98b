"""The exceptions of this package."""

from __future__ import annotations

_LONGEST = 200


class Refused(Exception):
    """A response, a document or a certificate is refused. The text is the reason, for the log.

    Only reasons about metadata and certificates are shown to an administrator; the sender of a response never sees the
    reason.
    """


class NotBase64(Refused):
    """The input is not base64: an error of the request, which the sender may see."""


def quoted(text: str | None) -> str:
    """Text from outside, safe for a reason: one line, printable, shortened."""
    if text is None:
        return "none"
    cut = text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
    return '"' + "".join(letter if letter.isprintable() else "·" for letter in cut) + '"'
