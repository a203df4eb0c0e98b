"""Rules for texts that people type: one canonical form of an e-mail address, patterns for searching."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from functools import lru_cache

from manifest_auth.errors import ValidationError

#: One @, no spaces, quotes, comments, controls or angle brackets (security bar 87); not trimmed, not normalised.
_EMAIL = re.compile(r"[^\s@\"()<>\[\]\\,;:\x00-\x1f\x7f]{1,64}@[^\s@\"'()<>\[\]\\,;:\x00-\x1f\x7f]{1,189}\Z")


def email_key(email: str) -> str:
    """The form in which addresses are compared: case-folded.

    A letter outside ASCII that would fold onto ASCII (the Kelvin sign, the long s, ligatures) stays as it is: two
    different mailboxes must not become one account.
    """
    if email.isascii():
        return email.lower()
    return "".join(_fold(c) for c in email)


def _fold(c: str) -> str:
    for folded in (c.casefold(), c.lower()):  # the sharp s folds onto two letters, but has a small form
        if c.isascii() or not any(f.isascii() for f in folded):
            return folded
    return c


def check_email(email: str, field: str = "email") -> str:
    """The address as given. Raises ValidationError when it is none, or mixes scripts that look alike."""
    local, _, domain = email.rpartition("@")
    dotted = ".." in email or local.startswith(".") or local.endswith(".") or domain.endswith(".")
    sane = _EMAIL.match(email) and not dotted and not domain.startswith((".", "-"))
    if not sane or any(unicodedata.category(c) in ("Cc", "Cf", "Cn", "Co", "Cs") for c in email) or _mixes(email):
        raise ValidationError(details=[(field, "Not a valid e-mail address")])
    return email


def check_name(text: str, field: str) -> str:
    """A person's or thing's name as given. Raises ValidationError for control characters."""
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in text):
        raise ValidationError(details=[(field, "Control characters are not allowed")])
    return text


@lru_cache(maxsize=4096)
def when(at: int) -> str:
    """A time of the store (milliseconds) as RFC 3339 text in UTC."""
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at % 1000:03d}Z"


def like(q: str) -> str:
    """A pattern for LIKE with escape ``\\`` that finds ``q`` anywhere, lower case."""
    escaped = q.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def _mixes(email: str) -> bool:
    """Whether one part holds Latin letters beside Cyrillic or Greek ones, which look like them."""
    for part in re.split(r"[@.\-_+]", email):
        scripts = {unicodedata.name(c, "").split(" ")[0] for c in part if c.isalpha()}
        if len(scripts & {"LATIN", "CYRILLIC", "GREEK"}) > 1:
            return True
    return False
