"""The setup code: what the operator reads off the terminal makes the first system admin in a browser, and no one else
who finds a fresh server first. One at a time, good for an hour, gone with the first admin however that one is made."""

from __future__ import annotations

import hashlib
import hmac
from typing import NamedTuple

from sqlalchemy import select

from manifest_auth.runtime.clock import Random
from manifest_auth.runtime.settings import HOUR
from manifest_auth.store import SystemUnit, global_, installation_values
from manifest_auth.store.tables import system_admins

#: No vowels, so no words; nothing that looks like something else. 16 of 20 letters are 69 bits.
ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"
LENGTH, LIFE_S = 16, HOUR
_NAME = "setup_code"
_FIRST = global_(select(system_admins.c.id).order_by(system_admins.c.id).limit(1), int)


class Stored(NamedTuple):
    """``hash``: SHA-256 of the code, whose letters are random; ``ends_at``: milliseconds."""

    hash: str
    ends_at: int


def is_needed(unit: SystemUnit) -> bool:
    """Whether there is no system admin yet, disabled or not."""
    return unit.first(_FIRST) is None


def find(unit: SystemUnit, now: int) -> Stored | None:
    """The one that is good now."""
    return _read(installation_values.get(unit, _NAME), now)


def make(unit: SystemUnit, random: Random, now: int) -> str:
    """A new one in place of any other, with hyphens for reading."""
    code = "".join(_letter(random) for _ in range(LENGTH))
    installation_values.put(unit, _NAME, f"{_hash(code)} {now + LIFE_S * 1000}")
    return "-".join(code[at : at + 4] for at in range(0, LENGTH, 4))


def fits(stored: Stored | None, shown: str) -> bool:
    """Whether it is that code; hyphens, spaces and small letters do not matter."""
    code = shown.replace("-", "").replace(" ", "").upper()
    return stored is not None and hmac.compare_digest(_hash(code), stored.hash)


def lock(unit: SystemUnit, now: int) -> Stored | None:
    """As :func:`find`; nobody else uses it, or makes an admin, until the transaction ends."""
    return _read(installation_values.lock(unit, _NAME), now)


def void(unit: SystemUnit) -> None:
    """It opens nothing more. Waits for whoever uses it at this moment."""
    installation_values.take(unit, _NAME)


def _read(value: str | None, now: int) -> Stored | None:
    hash_, _, end = (value or "").partition(" ")
    return Stored(hash_, int(end)) if end.isdecimal() and now < int(end) else None


def _hash(code: str) -> str:
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()


def _letter(random: Random) -> str:
    """Each as likely as the others: a byte above the last whole round of the alphabet is drawn anew."""
    while (byte := random.bytes(1)[0]) >= 256 - 256 % len(ALPHABET):
        pass
    return ALPHABET[byte % len(ALPHABET)]
