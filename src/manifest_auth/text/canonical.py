"""Rules for texts that people type: one canonical form of an e-mail address, patterns for searching."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import SplitResult, urlsplit

from manifest_auth.errors import ValidationError
from manifest_auth.text import invisible
from manifest_auth.text.hosts import is_loopback_host

#: Visible ASCII without what browsers read as something else than RFC 3986 does: quotes, angle brackets, backslash.
_ADDRESS = re.compile(r"[!#$%&'()*+,\-./0-9:;=?@A-Z\[\]_a-z~]{1,2000}\Z")
_APP_SCHEME = re.compile(r"[a-z][a-z0-9+-]*(?:\.[a-z0-9+-]+)+\Z")
#: One @, no spaces, quotes, comments, controls or angle brackets (security bar 87); not trimmed, not normalised.
EMAIL_SHAPE = re.compile(r"[^\s@\"()<>\[\]\\,;:\x00-\x1f\x7f]{1,64}@[^\s@\"'()<>\[\]\\,;:\x00-\x1f\x7f]{1,189}\Z")

_CONTROLS = frozenset({"Cc", "Cs"})
_NOT_IN_EMAIL = frozenset({"Cc", "Cf", "Cn", "Co", "Cs"})
_BLANK = "".join(filter(str.isspace, map(chr, range(0x3001)))) + "\u2800"  # Braille has a blank of its own
_LINES = dict.fromkeys(map(ord, "\n\r\t"))


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
    sane = EMAIL_SHAPE.match(email) and not dotted and not domain.startswith((".", "-"))
    hidden = invisible.holds_any(email) or any(unicodedata.category(c) in _NOT_IN_EMAIL for c in email)
    if not sane or hidden or _mixes(email):
        raise ValidationError(details=[(field, "Not a valid e-mail address")])
    return email


def check_name(text: str, field: str) -> str:
    """A person's or thing's name as given. Raises ValidationError for control characters and for those that nobody sees
    (:mod:`.invisible`)."""
    _check_controls(text, field)
    if places := invisible.misplaced(text):
        number = ord(text[places[0]])
        sentence = f"Invisible characters are not allowed: U+{number:04X}"
        raise ValidationError(details=[(field, sentence)], rule=("invisible", number))
    return text


def clean_name(text: str, most: int) -> str:
    """A name that somebody else wrote, as :func:`check_name` takes it: on one line, without what it refuses."""
    line = "".join(c for c in " ".join(text.split()) if unicodedata.category(c) not in _CONTROLS)
    return invisible.without(line[: 2 * most])[:most]


def _check_controls(text: str, field: str) -> None:
    if any(unicodedata.category(c) in _CONTROLS for c in text):
        raise ValidationError(details=[(field, "Control characters are not allowed")])


def check_line(text: str, field: str, most: int, *, empty: bool = False) -> str:
    """A line of text as given. Raises ValidationError: too long, control or invisible characters, nothing to read."""
    if len(text) > most or (not empty and not text.strip(_BLANK)):
        raise ValidationError(details=[(field, f"Must be {0 if empty else 1} to {most} characters")])
    return check_name(text, field)


def check_prose(text: str, field: str, most: int, *, empty: bool = True) -> str:
    """A text that may have several lines, as given. Raises ValidationError: too long, control characters, nothing to
    read."""
    if len(text) > most or (not empty and not text.strip()):
        raise ValidationError(details=[(field, f"Must be {0 if empty else 1} to {most} characters")])
    _check_controls(text.translate(_LINES), field)
    return text


def check_web_address(address: str, field: str, *, query: bool = True) -> str:
    """An https address, or an http one of this machine. Raises ValidationError."""
    url = _split(address)
    fits = url is not None and _is_web(url) and not url.fragment and (query or "?" not in address)
    if not fits or "#" in address:
        raise ValidationError(details=[(field, "Must be an https:// address (http:// for a loopback host only)")])
    return address


def check_return_address(address: str, field: str) -> str:
    """Where a sign-in may end: an address as :func:`check_web_address` has it, or one of an app's own scheme, which has
    a dot in it as RFC 8252, section 7.1, asks. Raises ValidationError."""
    url = _split(address)
    if url is not None and "#" not in address and (_is_web(url) or _APP_SCHEME.match(url.scheme)):
        return address
    raise ValidationError(
        details=[
            (
                field,
                "Must be an https:// address, http:// of a loopback host, or of an app's scheme like com.acme.app:/",
            )
        ]
    )


def _split(address: str) -> SplitResult | None:
    try:
        url = urlsplit(address) if _ADDRESS.match(address) else None
        return url if url is not None and (url.port is None or url.port > 0) and url.username is None else None
    except ValueError:
        return None


def _is_web(url: SplitResult) -> bool:
    host = url.hostname or ""
    return bool(host) and (url.scheme == "https" or (url.scheme == "http" and is_loopback_host(host)))


#: The first and the last time that can be written.
EARLIEST = -30_610_224_000_000  # the year 1000: earlier ones would lack digits
LATEST = 253_402_300_799_999  # the end of the year 9999


@lru_cache(maxsize=4096)
def when(at: int) -> str:
    """A time of the store (milliseconds) as RFC 3339 text in UTC."""
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at % 1000:03d}Z"


def moment(text: str, field: str) -> int:
    """A time of the store for RFC 3339 text; a date alone is its midnight, a time without a zone UTC. Raises
    ValidationError."""
    try:
        read = datetime.fromisoformat(text)
        at = (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise ValidationError(details=[(field, "Must be a date or time like 2026-01-31T09:30:00Z")]) from None
    return round(at * 1000)


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
