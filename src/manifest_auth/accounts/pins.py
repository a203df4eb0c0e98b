"""PINs of users: which are too easy to guess, and Argon2id over an HMAC under a key of its own, sealed in the store."""

from __future__ import annotations

import datetime
import hashlib
import hmac
import itertools
from typing import Final, NamedTuple

from sqlalchemy import bindparam, delete, select, update

from manifest_auth.errors import ValidationError
from manifest_auth.runtime.clock import Random
from manifest_auth.runtime.sealing import CannotOpen, Sealer
from manifest_auth.runtime.settings import HOUR
from manifest_auth.store import TenantUnit, tenant_scoped, upsert
from manifest_auth.store.tables import badge_pins, sealed_for
from manifest_auth.text.languages import marked as _
from manifest_auth.text.models import at_least, at_most
from manifest_auth.text.wire import Time, Wire

# A user's PIN: Argon2id over an HMAC under a key of its own, which is sealed in the store.
#
# A PIN has few digits, so a slow hash alone would not protect it: with a copy of the store and without the secret key
# none can be tried (NIST SP 800-63B-4, section 3.1.1.2).


TEMPORARY_S: Final = 72 * HOUR
#: So many wrong ones in a row kill a PIN.
MOST_WRONG: Final = 10
_P = badge_pins.c


class Pin(NamedTuple):
    """``temporary_until``: when one ends that a manager gave, or that replaced such a one at a device; None for one
    that its user set in the account, where nobody else can have chosen it. ``given``: as a manager gave it, so the next
    sign-in replaces it; ``given_by``: that manager, as in the audit trail; ``wrong``: in a row. Times in
    milliseconds."""

    user_id: int
    hash: str
    pepper: bytes
    set_at: int
    temporary_until: int | None
    given_by: str | None
    given: int
    wrong: int
    dead_at: int | None

    def is_usable(self, now: int) -> bool:
        """Whether a right entry may sign in."""
        return self.dead_at is None and (self.temporary_until is None or self.temporary_until > now)


class BadgePinData(Wire, frozen=True):
    """``temporaryUntil``: when a PIN ends that a manager gave, or that replaced such a PIN at a device; it works only
    with a temporary badge. Null for a PIN that the user set in the account. ``deadAt``: since when it signs no one in,
    after ten wrong ones in a row."""

    set_at: Time
    temporary_until: Time | None
    dead_at: Time | None


class Prepared(NamedTuple):
    """A PIN before it is hashed. ``text``: what the hasher gets."""

    pepper: bytes
    text: str


_ONE = _P.user_id == bindparam("of_user")
_SELECT = select(*(_P[name] for name in Pin._fields)).where(_ONE)
_FIND, _LOCK = tenant_scoped(_SELECT, Pin), tenant_scoped(_SELECT.with_for_update(), Pin)
_VALUES = ("hash", "pepper", "set_at", "temporary_until", "given_by", "given")
_PUT = tenant_scoped(
    upsert(badge_pins)
    .values({"user_id": bindparam("user_id"), "wrong": 0, **{name: bindparam(name) for name in _VALUES}})
    .on_conflict_do_update(
        index_elements=["tenant_id", "user_id"],
        set_={**{name: bindparam(name) for name in _VALUES}, "wrong": 0, "wrong_at": None, "dead_at": None},
    )
)
_COUNT = tenant_scoped(
    update(badge_pins)
    .where(_ONE, _P.hash == bindparam("of_hash"), _P.dead_at.is_(None), _P.wrong < MOST_WRONG)
    .values(wrong=_P.wrong + 1, wrong_at=bindparam("now"))
)
_KILL = tenant_scoped(
    update(badge_pins)
    .where(_ONE, _P.hash == bindparam("of_hash"), _P.dead_at.is_(None), _P.wrong >= MOST_WRONG)
    .values(dead_at=bindparam("now"))
)
_RIGHT = tenant_scoped(update(badge_pins).where(_ONE).values(wrong=0, wrong_at=None))
_DROP = tenant_scoped(delete(badge_pins).where(_ONE, _P.set_at >= bindparam("since")))
_UNCOUNT = tenant_scoped(update(badge_pins).where(_ONE, _P.wrong > 0).values(wrong=_P.wrong - 1))


def prepare(random: Random, pin: str) -> Prepared:
    """A new PIN with a new key, for the hasher."""
    pepper = random.bytes(32)
    return Prepared(pepper, _keyed(pepper, pin))


def entered(unit: TenantUnit, sealer: Sealer, found: Pin, pin: str) -> str | None:
    """What the hasher compares with the stored hash. None where no secret key opens the PIN's own: none matches."""
    try:
        pepper = sealer.open(found.pepper, _row(unit, found.user_id))
    except CannotOpen:
        return None
    return _keyed(pepper, pin)


def put(
    unit: TenantUnit,
    sealer: Sealer,
    user_id: int,
    prepared: Prepared,
    hashed: str,
    now: int,
    temporary_until: int | None = None,
    given_by: str | None = None,
    *,
    given: bool = False,
) -> None:
    """Stores a hashed PIN in place of the one before, dead or not. ``temporary_until``, ``given_by``, ``given``: see
    :class:`Pin`."""
    values = {"hash": hashed, "set_at": now, "temporary_until": temporary_until, "given_by": given_by}
    pepper = sealer.seal(prepared.pepper, _row(unit, user_id))
    unit.change(_PUT, user_id=user_id, pepper=pepper, given=int(given), **values)


def show(unit: TenantUnit, user_id: int) -> BadgePinData | None:
    """The user's PIN, dead or not, as people see it."""
    pin = find(unit, user_id)
    return None if pin is None else BadgePinData.of(pin)


def find(unit: TenantUnit, user_id: int, *, lock: bool = False) -> Pin | None:
    """The user's PIN, dead or not; ``lock``: until the transaction ends."""
    return unit.first(_LOCK if lock else _FIND, of_user=user_id)


def count(unit: TenantUnit, found: Pin, now: int) -> bool:
    """Counts an entry as wrong before it is judged, so that parallel ones cannot outrun the count. False where none is
    judged any more: the PIN is dead, was replaced, or has had all its wrong ones."""
    return unit.change(_COUNT, of_user=found.user_id, of_hash=found.hash, now=now) == 1


def uncount(unit: TenantUnit, user_id: int) -> None:
    """Takes a counted entry back that was not judged."""
    unit.change(_UNCOUNT, of_user=user_id)


def was_right(unit: TenantUnit, user_id: int) -> None:
    """Forgets the wrong ones."""
    unit.change(_RIGHT, of_user=user_id)


def kill(unit: TenantUnit, found: Pin, now: int) -> bool:
    """Ends the PIN after the last wrong one that it may have. False where it lives on, or was dead."""
    return unit.change(_KILL, of_user=found.user_id, of_hash=found.hash, now=now) == 1


def drop(unit: TenantUnit, user_id: int, *, since: int = 0) -> bool:
    """Deletes the user's PIN where it was set ``since`` a time (milliseconds). False when there was none."""
    return unit.change(_DROP, of_user=user_id, since=since) == 1


def _keyed(pepper: bytes, pin: str) -> str:
    return hmac.new(pepper, pin.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def _row(unit: TenantUnit, user_id: int) -> str:
    return sealed_for(_P.pepper, tenant_id=unit.tenant_id, user_id=user_id)


# The 100 commonest passwords of 6 to 12 digits, by the frequency list of zxcvbn.


_COMMON = """
    123456 12345678 123456789 111111 1234567 123123 696969 666666 123321 1234567890 654321 7777777 000000 112233
    11111111 131313 159753 123654 12344321 8675309 159357 789456 4815162342 01012011 102030 11223344 315475
    789456123 007007 147258369 111222 147258 010203 147852 420420 123789 1234554321 9379992 852456 159951 123654789
    134679 741852963 147852369 01011980 1029384756 124578 01012000 135790 142536 741852 456123 666999 246810 753951
    31415926 314159 01011990 12345678910 321654 141627 1478963 951753 11235813 123454321 1234321 14789632 911911
    112358 1123581321 555666 7895123 01012010 121314 111222333 456852 147896325 123321123 123098 192837465 25802580
    123698745 12369874 258456 12312312 102938 1122334455 123987 445566 11112222 987456 6751520 456654 753159
    01012001 223344 906090 789654 666777 123457
"""
COMMON: Final = frozenset(_COMMON.split())


# Rules for PINs: how long, and which are too easy to guess.


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
