"""Checks and canonical forms of texts that users type.

Email addresses, names, web addresses, times, search patterns.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from datetime import UTC, datetime
from functools import lru_cache, reduce
from urllib.parse import SplitResult, urlsplit

import idna

from manifest_auth.errors import ValidationError
from manifest_auth.text.languages import marked as _
from manifest_auth.text.languages import several


@lru_cache(maxsize=64)
def is_loopback_host(host: str) -> bool:
    """Whether the host is only this machine. An IPv4-mapped IPv6 address is not, because releases of Python disagree
    about it."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
        return address.is_loopback and getattr(address, "ipv4_mapped", None) is None
    except ValueError:
        return False


#: The value of an ``Origin`` header (RFC 6454, section 6.2), except for its port's range and the hosts of ``http``.
ORIGIN = re.compile(r"(https?)://([a-z0-9.-]+|\[[0-9a-f:.]+\])(?::([1-9][0-9]{0,4}))?\Z")
_BYTE = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_V4 = rf"{_BYTE}(?:\.{_BYTE}){{3}}"
#: An IP address, and a network in CIDR form or one address, as far as a pattern can express it.
ADDRESS = re.compile(rf"(?:{_V4}|:?(?:[0-9A-Fa-f]{{0,4}}:){{2,7}}(?:[0-9A-Fa-f]{{0,4}}|:|{_V4}))\Z")
NETWORK = re.compile(ADDRESS.pattern.removesuffix(r"\Z") + r"(?:/(?:12[0-8]|1[01][0-9]|[1-9]?[0-9]))?\Z")
#: The identifier of a client, and the name of a service account.
SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])\Z")
#: A domain as stored: lower case, at least two labels.
DOMAIN = re.compile(r"(?=.{4,189}\Z)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)+\Z")


# Rejects the characters that the PRECIS FreeformClass (RFC 8264, section 4.3) and Unicode's security mechanisms (UTS
# 39) exclude as ignorable: zero-width characters, direction controls, fillers, tags. They are allowed only where
# writing needs them: joiners where scripts require them (RFC 5892, appendix A) and within emoji, variation selectors
# after characters that have variants, tags within the flag of a region.

_NEAR = 20  # characters on each side that the joiner rules check

# Default_Ignorable_Code_Point (Unicode, DerivedCoreProperties), plus the line and paragraph separators, the marks of
# interlinear annotation, noncharacters, and the Braille pattern without dots.
_RANGES = (
    (0x00AD, 0x00AD), (0x034F, 0x034F), (0x061C, 0x061C), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F),
    (0x200B, 0x200F), (0x2028, 0x202E), (0x2060, 0x206F), (0x2800, 0x2800), (0x3164, 0x3164), (0xFDD0, 0xFDEF),
    (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFFB), (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
    *((plane << 16 | 0xFFFE, plane << 16 | 0xFFFF) for plane in range(17)),
)  # fmt: skip
_INVISIBLE = re.compile(f"[{''.join(f'{chr(low)}-{chr(high)}' for low, high in _RANGES)}]")
_FLAG = re.compile("\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{3,6}\U000e007f")
_VARIANT = re.compile("[\ufe00-\ufe0d\U000e0100-\U000e01ef\u180b-\u180d\u180f]")  # ideographs, Mongolian letters …
_JOINERS = "\u200c\u200d"
_EMOJI_STYLE = "\ufe0e\ufe0f"
#: Characters with an emoji form that are neither symbols nor pictures.
_BASES = frozenset("\u203c\u2049\u2139\u3030")
_KEYS = frozenset("#*0123456789")


def misplaced_invisible(text: str) -> list[int]:
    """Returns the positions of invisible characters that are not allowed there."""
    if text.isascii():
        return []
    flags = [range(*found.span()) for found in _FLAG.finditer(text)]
    found = (match.start() for match in _INVISIBLE.finditer(text))
    return [
        position
        for position in found
        if not any(position in flag for flag in flags) and not _is_allowed(text, position)
    ]


def remove_misplaced_invisible(text: str) -> str:
    """Returns the text without those characters."""
    while positions := set(misplaced_invisible(text)):
        text = "".join(c for position, c in enumerate(text) if position not in positions)
    return text


def holds_invisible(text: str) -> bool:
    """Whether the text has any invisible character, allowed or not."""
    return not text.isascii() and _INVISIBLE.search(text) is not None


def _is_allowed(text: str, position: int) -> bool:
    c, before, after = text[position], text[position - 1 : position], text[position + 1 : position + 2]
    if c in _JOINERS:
        start = max(0, position - _NEAR)
        near = text[start : position + _NEAR + 1]
        return _joins_emoji(text, position) or (bool(before) and idna.core.valid_contextj(near, position - start))
    if not before:
        return False
    if c in _EMOJI_STYLE:
        is_key = before in _KEYS and after == "\u20e3"
        return is_key or before in _BASES or unicodedata.category(before) in ("So", "Sm") or _is_emoji(before)
    if _VARIANT.match(c):
        return unicodedata.category(before) == "Lo" and not _INVISIBLE.match(before)
    return False


def _joins_emoji(text: str, position: int) -> bool:
    """Whether there is a zero-width joiner within an emoji sequence."""
    before = text[max(0, position - 3) : position].rstrip("\ufe0f\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff")
    after = text[position + 1 : position + 2]
    return text[position] == "\u200d" and _is_emoji(before[-1:]) and _is_emoji(after)


def _is_emoji(c: str) -> bool:
    """Whether it is an emoji. Emoji that are newer than this Python's tables are recognized by their Unicode block."""
    return bool(c) and (unicodedata.category(c) == "So" or "\U0001f000" <= c <= "\U0001fbff")


#: Visible ASCII without characters that browsers treat differently than RFC 3986: quotes, angle brackets, backslash.
_ADDRESS = re.compile(r"[!#$%&'()*+,\-./0-9:;=?@A-Z\[\]_a-z~]{1,2000}\Z")
_APP_SCHEME = re.compile(r"[a-z][a-z0-9+-]*(?:\.[a-z0-9+-]+)+\Z")
#: One @, no spaces, quotes, comments, controls or angle brackets; not trimmed, not normalized.
EMAIL_SHAPE = re.compile(r"[^\s@\"()<>\[\]\\,;:\x00-\x1f\x7f]{1,64}@[^\s@\"'()<>\[\]\\,;:\x00-\x1f\x7f]{1,189}\Z")

#: Domain of the addresses of service accounts. Under RFC 6761, section 6.4, no mailbox is ever below `.invalid`.
SERVICE_DOMAIN = "service.invalid"
_CONTROLS = frozenset({"Cc", "Cs"})
_NOT_IN_EMAIL = frozenset({"Cc", "Cf", "Cn", "Co", "Cs"})
_LINES = dict.fromkeys(map(ord, "\n\r\t"))


def email_key(email: str) -> str:
    """Returns the form in which email addresses are compared and stored: case-folded, with a domain in letters rather
    than in the ASCII of the DNS (``xn--``).

    A letter outside ASCII that would fold to ASCII (the Kelvin sign, the long s, ligatures) is not folded, because two
    different mailboxes must not become one account.
    """
    if email.isascii() and "xn--" not in (lower := email.lower()):
        return lower
    local, at, domain = email.rpartition("@")
    return f"{''.join(map(_fold, local))}{at}{'.'.join(map(_in_letters, domain.split('.')))}"


def email_keys(email: str) -> dict[str, str]:
    """Returns the keys under which an address can have a row, by parameters of a lookup: :func:`email_key`, and the
    keys of rows from before domains had a single form, ``as_typed`` and ``in_ascii``."""
    key, as_typed = email_key(email), "".join(map(_fold, email))
    return {"email_key": key, "as_typed": as_typed, "in_ascii": f"{key.rpartition('@')[0]}@{email_domain(email)}"}


def email_domain(email: str) -> str:
    """Returns the domain of an address as in the DNS, and so in claims and providers: lower case, in ASCII (IDNA 2008)
    if it has such a form."""
    domain = email.rpartition("@")[2]
    if domain.isascii():
        return domain.lower()
    try:
        return idna.encode(domain, uts46=True).decode()
    except UnicodeError:
        return ".".join(map(_in_letters, domain.split(".")))


def mailbox(email: str) -> str:
    """Returns the address as mail servers accept it: with a domain in ASCII, so that it doesn't require SMTPUTF8 (RFC
    6531)."""
    local, at, domain = email.rpartition("@")
    return email if domain.isascii() else f"{local}{at}{email_domain(email)}"


def _in_letters(label: str) -> str:
    """Returns a label of a domain in lower case, decoded if it is an IDNA 2008 label."""
    label = "".join(_without_ascii(c, c.lower()) for c in label)
    if not label.startswith("xn--"):
        return label
    try:
        return idna.ulabel(label)
    except UnicodeError:
        return label


def _fold(c: str) -> str:
    return _without_ascii(c, c.casefold(), c.lower())  # capital sharp s folds to two letters; its lower case is one


def _without_ascii(c: str, *forms: str) -> str:
    """Returns the first form that adds no ASCII letter for a letter outside ASCII, or else the character itself."""
    return next((form for form in forms if c.isascii() or not any(map(str.isascii, form))), c)


def check_email(email: str, field: str = "email") -> str:
    """Returns the address of a person, unchanged. Raises ValidationError for an invalid address, for mixed scripts that
    look alike, and for the domain of service accounts."""
    local, domain = email.rpartition("@")[::2]
    dotted = ".." in email or local.startswith(".") or local.endswith(".") or domain.endswith(".")
    sane = EMAIL_SHAPE.match(email) and not dotted and not domain.startswith((".", "-")) and _is_in_one_form(domain)
    hidden = holds_invisible(email) or any(unicodedata.category(c) in _NOT_IN_EMAIL for c in email)
    if not sane or hidden or _mixes_scripts(email) or email_key(domain) == SERVICE_DOMAIN:
        raise ValidationError(details=[(field, _("Enter a valid email address"))])
    return email


def _is_in_one_form(domain: str) -> bool:
    """Whether no other text is the same domain under the mapping of IDNA (UTS 46), with its compatibility forms and the
    ideographic full stop, which it treats as a dot."""
    return unicodedata.is_normalized("NFKC", domain) and "\u3002" not in domain


def check_name(text: str, field: str) -> str:
    """Returns the name, unchanged. Raises ValidationError for control characters and invisible characters
    (:func:`misplaced_invisible`)."""
    _check_controls(text, field)
    if positions := misplaced_invisible(text):
        number = f"U+{ord(text[positions[0]]):04X}"
        wire = f"Invisible characters aren't allowed: {number}"
        hidden = _("Remove the invisible character %(number)s", number=number, wire=wire)
        raise ValidationError(details=[(field, hidden)])
    return text


def clean_name(text: str, most: int) -> str:
    """Returns a name from another system in a form that :func:`check_name` accepts: on one line, at most ``most``
    characters, without rejected characters."""
    line = "".join(c for c in " ".join(text.split()) if unicodedata.category(c) not in _CONTROLS)
    return remove_misplaced_invisible(line[: 2 * most])[:most]


def _check_controls(text: str, field: str) -> None:
    if any(unicodedata.category(c) in _CONTROLS for c in text):
        raise ValidationError(details=[(field, _("Control characters aren't allowed"))])


def check_prose(text: str, field: str) -> str:
    """Returns the text unchanged; it can have several lines. Raises ValidationError for control characters."""
    _check_controls(text.translate(_LINES), field)
    return text


def check_web_address(address: str, field: str, *, query: bool = True) -> str:
    """Returns the address, unchanged. Raises ValidationError unless it is https, or http of a loopback host."""
    url = _split(address)
    fits = url is not None and _is_web(url) and not url.fragment and (query or "?" not in address)
    if not fits or "#" in address:
        raise ValidationError(details=[(field, _("Must be an https:// URL (http:// only for a loopback host)"))])
    return address


def check_return_address(address: str, field: str) -> str:
    """Returns the return address of a sign-in, unchanged: as for :func:`check_web_address`, or with an app's own scheme
    that has a dot (RFC 8252, section 7.1). Raises ValidationError."""
    url = _split(address)
    if url is not None and "#" not in address and (_is_web(url) or _APP_SCHEME.match(url.scheme)):
        return address
    sentence = _(
        "Enter an https:// address, an http:// address of a loopback host, or an app's scheme. For example, "
        "com.acme.app:/",
        wire="Must be an https:// URL, an http:// URL of a loopback host, or a URL with an app's scheme, for example "
        "com.acme.app:/",
    )
    raise ValidationError(details=[(field, sentence)])


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
    """Returns a time (milliseconds since 1970) as RFC 3339 text in UTC."""
    minute, ms = divmod(at, 60_000)
    return f"{_minute(minute)}:{ms // 1000:02d}.{ms % 1000:03d}Z"


@lru_cache(maxsize=4096)
def _minute(minute: int) -> str:
    return datetime.fromtimestamp(minute * 60, UTC).strftime("%Y-%m-%dT%H:%M")


def parse_time(text: str, field: str) -> int:
    """Returns a time (milliseconds since 1970) from RFC 3339 text. A date means its midnight, and a time without a zone
    means UTC. Raises ValidationError."""
    try:
        read = datetime.fromisoformat(text)
        at = (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise ValidationError(details=[(field, "Must be a date or time, for example 2026-01-31T09:30:00Z")]) from None
    return round(at * 1000)


def like(q: str) -> str:
    """Returns a pattern for LIKE with escape ``\\`` that matches texts which contain the words of ``q`` in order,
    whatever is between them; in lower case."""
    escaped = q.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{'%'.join(escaped.replace(',', ' ').split()) or escaped}%"


def _mixes_scripts(email: str) -> bool:
    """Whether one part has letters of two of the scripts Latin, Cyrillic and Greek, which look alike."""
    for part in re.split(r"[@.\-_+]", email):
        scripts = {unicodedata.name(c, "").split(" ")[0] for c in part if c.isalpha()}
        if len(scripts & {"LATIN", "CYRILLIC", "GREEK"}) > 1:
            return True
    return False


_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
_WORDS = {
    "s": ("s", "sec", "second", "seconds", "秒"),
    "min": ("min", "m", "minute", "minutes", "分"),
    "h": ("h", "hour", "hours", "時間"),
    "d": ("d", "day", "days", "día", "días", "dia", "dias", "tag", "tage", "jour", "jours", "日"),
}
_NAMES = {word: unit for unit, words in _WORDS.items() for word in words}
_PART = re.compile(r"\s*([0-9]{1,9})\s*([^\W\d_]+)")


def spoken_duration(seconds: int) -> str:
    """Returns a text of the catalogs; empty for 0."""
    days, left = divmod(seconds, _UNITS["d"])
    hours, left = divmod(left, _UNITS["h"])
    minutes, left = divmod(left, _UNITS["min"])
    parts = (
        several("%(number)d day", "%(number)d days", days) if days else "",
        _("%(number)s h", number=hours) if hours else "",
        _("%(number)s min", number=minutes) if minutes else "",
        _("%(number)s s", number=left) if left else "",
    )
    said = [part for part in parts if part]
    return reduce(lambda first, then: _("%(first)s %(then)s", first=first, then=then), said) if said else ""


def duration_seconds(text: str, field: str) -> int:
    """Returns the seconds of a text that :func:`spoken_duration` writes, in any of the languages, or a similar one. 0
    for empty text. Raises ValidationError."""
    at, seconds, rest = 0, 0, text.strip().lower()
    while at < len(rest):
        found = _PART.match(rest, at)
        if found is None or found[2] not in _NAMES:
            raise ValidationError(details=[(field, _("Must be a duration, for example 30 min, 12 h, or 14 days"))])
        seconds += int(found[1]) * _UNITS[_NAMES[found[2]]]
        at = found.end()
    return seconds
