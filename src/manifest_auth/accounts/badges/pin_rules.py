"""Rules for PINs: how long, and which are too easy to guess."""

from __future__ import annotations

import datetime
import itertools
from typing import Final

from manifest_auth.accounts.badges.common_pins import COMMON
from manifest_auth.errors import ValidationError
from manifest_auth.text.languages import marked as _
from manifest_auth.text.models import at_least, at_most

MOST: Final = 32
_YEARS = range(1900, 2100)
#: Where day (d), month (m) and year (y) stand in a PIN that is a date.
_DATES: Final = ("ddmmyy", "mmddyy", "yymmdd", "mmyyyy", "yyyymm", "ddmmyyyy", "mmddyyyy", "yyyymmdd")


def check(pin: str, least: int, field: str) -> None:
    """Raises ValidationError that names the fault. ``least``: the client's number of digits."""
    if not (pin.isascii() and pin.isdigit()):
        raise ValidationError(details=[(field, _("Must be digits alone"))])
    if len(pin) < least:
        raise ValidationError(details=[(field, at_least(least))])
    if len(pin) > MOST:
        raise ValidationError(details=[(field, at_most(MOST))])
    if is_guessable(pin):
        raise ValidationError(details=[(field, _("Too easy to guess: it is common, a date, or follows a pattern"))])


def is_guessable(pin: str) -> bool:
    """Whether the digits are all equal, a run like 345678 or 876543, a shorter block repeated, a date, or one of the
    commonest PINs."""
    return _is_run(pin) or _repeats(pin) or _is_date(pin) or pin in COMMON


def _is_run(pin: str) -> bool:
    """Whether each digit is one more than the one before, or each is one less; 0 comes after 9."""
    steps = {(int(after) - int(before)) % 10 for before, after in itertools.pairwise(pin)}
    return steps in ({1}, {9})


def _repeats(pin: str) -> bool:
    """Whether a block of digits stands there twice or more and nothing else; the last one may be cut."""
    return any(pin[width:] == pin[:-width] for width in range(1, len(pin) // 2 + 1))


def _is_date(pin: str) -> bool:
    return any(len(shape) == len(pin) and _fits(pin, shape) for shape in _DATES)


def _fits(pin: str, shape: str) -> bool:
    parts = {part: int("".join(pin[at] for at, one in enumerate(shape) if one == part) or "1") for part in "dmy"}
    year = parts["y"] if "yyyy" in shape else 2000 + parts["y"] % 4  # of two digits, only leap years matter
    if "yyyy" in shape and year not in _YEARS:
        return False
    try:
        datetime.date(year, parts["m"], parts["d"])
    except ValueError:
        return False
    return True
