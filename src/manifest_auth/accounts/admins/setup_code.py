"""The setup code, which the operator reads from the terminal to create the first system admin in a browser.

An attacker who finds a new server first cannot do that. There is one code at a time, valid for an hour, void once
there is an admin.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import NamedTuple

from sqlalchemy import select

from manifest_auth.runtime.clock import Random
from manifest_auth.runtime.settings import HOUR
from manifest_auth.store import SystemUnit, global_, installation_values
from manifest_auth.store.tables import system_admins
from manifest_auth.text.scan_codes import grouped_letters, plain_letters, random_letters

LENGTH, LIFE_S = 16, HOUR  # 69 bits
_NAME = "setup_code"
_FIRST = global_(select(system_admins.c.id).order_by(system_admins.c.id).limit(1), int)


class Stored(NamedTuple):
    """``hash``: SHA-256 of the code; ``ends_at``: milliseconds."""

    hash: str
    ends_at: int


def is_needed(unit: SystemUnit) -> bool:
    """Whether there is no system admin yet, disabled or not."""
    return unit.first(_FIRST) is None


def find(unit: SystemUnit, now: int) -> Stored | None:
    """The code that is valid now; else None."""
    return _read(installation_values.get(unit, _NAME), now)


def make(unit: SystemUnit, random: Random, now: int) -> str:
    """A new code, which replaces an earlier one, with hyphens for reading."""
    code = random_letters(random.bytes, LENGTH)
    installation_values.put(unit, _NAME, f"{_hash(code)} {now + LIFE_S * 1000}")
    return grouped_letters(code)


def matches(stored: Stored | None, shown: str) -> bool:
    """Whether ``shown`` is that code; hyphens, spaces and case do not matter."""
    return stored is not None and hmac.compare_digest(_hash(plain_letters(shown)), stored.hash)


def lock(unit: SystemUnit, now: int) -> Stored | None:
    """As :func:`find`, locked: no other transaction uses it, or creates an admin, until this one ends."""
    return _read(installation_values.lock(unit, _NAME), now)


def void(unit: SystemUnit) -> None:
    """Deletes the code. Waits for a transaction that uses it."""
    installation_values.take(unit, _NAME)


def _read(value: str | None, now: int) -> Stored | None:
    hash_, _, end = (value or "").partition(" ")
    return Stored(hash_, int(end)) if end.isdecimal() and now < int(end) else None


def _hash(code: str) -> str:
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()
