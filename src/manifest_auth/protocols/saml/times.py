"""Times of SAML: xs:dateTime in UTC, with or without fraction and offset (SAML core 1.3.3)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from manifest_auth.protocols.saml.errors import Refused, quoted

#: Allowed clock difference, in both directions, milliseconds.
SKEW_MS = 60_000

_TIME = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,20}))?(?:Z|([+-])(\d\d):(\d\d))?",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read_time(text: str) -> int:
    """Milliseconds since 1970. A time without zone is UTC, as SAML core says. Raises :class:`Refused`."""
    found = _TIME.fullmatch(text.strip(" \t\r\n"))
    if found is None:
        raise Refused(f"not a time: {quoted(text)}")
    seconds, fraction, sign, hours, minutes = found.groups()
    try:
        at = datetime.fromisoformat(f"{seconds}+00:00")
    except ValueError:
        raise Refused(f"not a time: {quoted(text)}") from None
    ms = (at - _EPOCH) // timedelta(milliseconds=1) + int(((fraction or "") + "000")[:3])
    if sign is None:
        return ms
    offset = (int(hours) * 60 + int(minutes)) * 60_000
    return ms - offset if sign == "+" else ms + offset


def write_time(ms: int) -> str:
    """The time as xs:dateTime in UTC with milliseconds."""
    return (_EPOCH + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def is_past(until: str, now_ms: int) -> bool:
    """Whether a NotOnOrAfter is in the past, with the allowed skew."""
    return now_ms >= read_time(until) + SKEW_MS


def is_future(since: str, now_ms: int) -> bool:
    """Whether a NotBefore or an instant is in the future, with the allowed skew."""
    return read_time(since) > now_ms + SKEW_MS
