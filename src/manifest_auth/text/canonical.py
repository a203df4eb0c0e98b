"""Checks and canonical forms of texts that users type.

E-mail addresses, names, web addresses, times, search patterns.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import SplitResult, urlsplit

import idna

from manifest_auth.errors import ValidationError
from manifest_auth.text import invisible
from manifest_auth.text.hosts import is_loopback_host

#: Visible ASCII without characters that browsers treat differently from RFC 3986: quotes, angle brackets, backslash.
_ADDRESS = re.compile(r"[!#$%&'()*+,\-./0-9:;=?@A-Z\[\]_a-z~]{1,2000}\Z")
_APP_SCHEME = re.compile(r"[a-z][a-z0-9+-]*(?:\.[a-z0-9+-]+)+\Z")
#: One @, no spaces, quotes, comments, controls or angle brackets; not trimmed, not normalised.
EMAIL_SHAPE = re.compile(r"[^\s@\"()<>\[\]\\,;:\x00-\x1f\x7f]{1,64}@[^\s@\"'()<>\[\]\\,;:\x00-\x1f\x7f]{1,189}\Z")

#: Domain of the addresses of service accounts. RFC 6761, section 6.4: no mailbox is ever below `.invalid`.
SERVICE_DOMAIN = "service.invalid"
_CONTROLS = frozenset({"Cc", "Cs"})
_NOT_IN_EMAIL = frozenset({"Cc", "Cf", "Cn", "Co", "Cs"})
_LINES = dict.fromkeys(map(ord, "\n\r\t"))


def email_key(email: str) -> str:
    """The form in which e-mail addresses are compared and stored: case-folded, with the domain in letters, not in the
    ASCII of the DNS (``xn--``).

    A letter outside ASCII that would fold to ASCII (the Kelvin sign, the long s, ligatures) is not folded: two
    different mailboxes must not become one account.
    """
    if email.isascii() and "xn--" not in (lower := email.lower()):
        return lower
    local, at, domain = email.rpartition("@")
    return f"{''.join(map(_fold, local))}{at}{'.'.join(map(_in_letters, domain.split('.')))}"


def email_keys(email: str) -> dict[str, str]:
    """The keys under which there may be a row for an address, by parameters of a look-up: :func:`email_key`, and those
    of rows that were written before domains had one form, ``as_typed`` and ``in_ascii``."""
    key, as_typed = email_key(email), "".join(map(_fold, email))
    return {"email_key": key, "as_typed": as_typed, "in_ascii": f"{key.rpartition('@')[0]}@{email_domain(email)}"}


def email_domain(email: str) -> str:
    """The domain of an address as the DNS has it, and so claims and providers: lower case, in ASCII (IDNA 2008) where
    it has such a form."""
    domain = email.rpartition("@")[2]
    if domain.isascii():
        return domain.lower()
    try:
        return idna.encode(domain, uts46=True).decode()
    except UnicodeError:
        return ".".join(map(_in_letters, domain.split(".")))


def mailbox(email: str) -> str:
    """The address as mail servers take it: with a domain in ASCII, so that none needs SMTPUTF8 for it (RFC 6531)."""
    local, at, domain = email.rpartition("@")
    return email if domain.isascii() else f"{local}{at}{email_domain(email)}"


def _in_letters(label: str) -> str:
    """A label of a domain, in lower case, and decoded where it is one of IDNA 2008."""
    label = "".join(_without_ascii(c, c.lower()) for c in label)
    if not label.startswith("xn--"):
        return label
    try:
        return idna.ulabel(label)
    except UnicodeError:
        return label


def _fold(c: str) -> str:
    return _without_ascii(c, c.casefold(), c.lower())  # the capital sharp s folds to two letters, its lower case is one


def _without_ascii(c: str, *forms: str) -> str:
    """The first form that brings no letter of ASCII for one outside of it; without any, the character."""
    return next((form for form in forms if c.isascii() or not any(map(str.isascii, form))), c)


def check_email(email: str, field: str = "email") -> str:
    """The address of a person, unchanged. Raises ValidationError for an invalid one, for mixed scripts that look alike,
    and for the domain of service accounts."""
    local, _, domain = email.rpartition("@")
    dotted = ".." in email or local.startswith(".") or local.endswith(".") or domain.endswith(".")
    sane = EMAIL_SHAPE.match(email) and not dotted and not domain.startswith((".", "-")) and _is_in_one_form(domain)
    hidden = invisible.holds_any(email) or any(unicodedata.category(c) in _NOT_IN_EMAIL for c in email)
    if not sane or hidden or _mixes_scripts(email) or email_key(domain) == SERVICE_DOMAIN:
        raise ValidationError(details=[(field, "Not a valid e-mail address")])
    return email


def _is_in_one_form(domain: str) -> bool:
    """Whether no other text is the same domain by the mapping of IDNA (UTS 46): compatibility forms, and the
    ideographic full stop, which it takes for a dot."""
    return unicodedata.is_normalized("NFKC", domain) and "\u3002" not in domain


def check_name(text: str, field: str) -> str:
    """The name, unchanged. Raises ValidationError for control characters and invisible characters
    (:mod:`.invisible`)."""
    _check_controls(text, field)
    if positions := invisible.misplaced(text):
        number = ord(text[positions[0]])
        sentence = f"Invisible characters are not allowed: U+{number:04X}"
        raise ValidationError(details=[(field, sentence)], rule=("invisible", number))
    return text


def clean_name(text: str, most: int) -> str:
    """A name from another system, made acceptable to :func:`check_name`: on one line, at most ``most`` characters,
    without refused characters."""
    line = "".join(c for c in " ".join(text.split()) if unicodedata.category(c) not in _CONTROLS)
    return invisible.remove_misplaced(line[: 2 * most])[:most]


def _check_controls(text: str, field: str) -> None:
    if any(unicodedata.category(c) in _CONTROLS for c in text):
        raise ValidationError(details=[(field, "Control characters are not allowed")])


def check_prose(text: str, field: str) -> str:
    """The text, which may have several lines, unchanged. Raises ValidationError for control characters."""
    _check_controls(text.translate(_LINES), field)
    return text


def check_web_address(address: str, field: str, *, query: bool = True) -> str:
    """The address, unchanged. Raises ValidationError unless it is https, or http of a loopback host."""
    url = _split(address)
    fits = url is not None and _is_web(url) and not url.fragment and (query or "?" not in address)
    if not fits or "#" in address:
        raise ValidationError(details=[(field, "Must be an https:// address (http:// for a loopback host only)")])
    return address


def check_return_address(address: str, field: str) -> str:
    """The return address of a sign-in, unchanged: as for :func:`check_web_address`, or of an app's own scheme with a
    dot (RFC 8252, section 7.1). Raises ValidationError."""
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


#: The first and the last time that :func:`when` can write.
EARLIEST = -30_610_224_000_000  # the year 1000: earlier ones would lack digits
LATEST = 253_402_300_799_999  # the end of the year 9999


@lru_cache(maxsize=4096)
def when(at: int) -> str:
    """A time (milliseconds since 1970) as RFC 3339 text in UTC."""
    minute, ms = divmod(at, 60_000)
    return f"{_minute(minute)}:{ms // 1000:02d}.{ms % 1000:03d}Z"


@lru_cache(maxsize=4096)
def _minute(minute: int) -> str:
    return datetime.fromtimestamp(minute * 60, UTC).strftime("%Y-%m-%dT%H:%M")


def parse_time(text: str, field: str) -> int:
    """A time (milliseconds since 1970) from RFC 3339 text; a date means its midnight, a time without a zone UTC. Raises
    ValidationError."""
    try:
        read = datetime.fromisoformat(text)
        at = (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise ValidationError(details=[(field, "Must be a date or time like 2026-01-31T09:30:00Z")]) from None
    return round(at * 1000)


def like(q: str) -> str:
    """A pattern for LIKE with escape ``\\`` that matches texts which contain ``q``; lower case."""
    escaped = q.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def _mixes_scripts(email: str) -> bool:
    """Whether one part has letters of two of the scripts Latin, Cyrillic and Greek, which look alike."""
    for part in re.split(r"[@.\-_+]", email):
        scripts = {unicodedata.name(c, "").split(" ")[0] for c in part if c.isalpha()}
        if len(scripts & {"LATIN", "CYRILLIC", "GREEK"}) > 1:
            return True
    return False
