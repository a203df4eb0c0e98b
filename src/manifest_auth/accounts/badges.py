"""Badges and PINs with which people sign in on devices that belong to their client.

Owns ``badges`` and ``badge_pins``. Never opens a session or computes a hash. A PIN is stored as the Argon2id hash of an
HMAC with its own key, which is sealed.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import itertools
from typing import Any, Final, Literal, NamedTuple

from sqlalchemy import BigInteger, bindparam, delete, insert, select, update

from manifest_auth import audit, tenants
from manifest_auth.accounts import mail_queue, rank, users
from manifest_auth.accounts.mail_queue import AccountRequest
from manifest_auth.accounts.users import User
from manifest_auth.audit import Act, Event
from manifest_auth.context import Request
from manifest_auth.errors import Conflict, NotFound, ValidationError
from manifest_auth.permissions import Permission, Role
from manifest_auth.runtime.clock import Random
from manifest_auth.runtime.sealing import CannotOpen, Sealer
from manifest_auth.runtime.settings import DAY, HOUR
from manifest_auth.sessions import device_sessions
from manifest_auth.store import TenantUnit, tenant_scoped, upsert
from manifest_auth.store.tables import badge_pins, badges, sealed_for
from manifest_auth.tenants import TenantSettings, step_up
from manifest_auth.text import scan_codes
from manifest_auth.text.canonical import when
from manifest_auth.text.languages import marked as _
from manifest_auth.text.models import Time, Wire, at_least, at_most
from manifest_auth.text.scan_codes import ScanKind

# A PIN has few digits, so a slow hash alone can't protect it. The sealed key ensures that nobody can try PINs with a
# copy of the store but without the secret key (NIST SP 800-63B-4, section 3.1.1.2).

TEMPORARY_S: Final = 72 * HOUR
#: The number of consecutive incorrect entries that block a PIN.
MOST_WRONG: Final = 10
_P = badge_pins.c


class Pin(NamedTuple):
    """A PIN. ``temporary_until`` is when it expires, if a manager issued it or it replaced a PIN on a device. It is
    None if the user set the PIN in the account, where nobody else can have chosen it. ``given`` means that a manager
    issued it, so the next sign-in replaces it. ``given_by`` is that manager, as in the audit trail. ``wrong`` counts
    consecutive incorrect entries. Times are in milliseconds."""

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
        """Whether entering this PIN correctly signs in the user."""
        return self.dead_at is None and (self.temporary_until is None or self.temporary_until > now)


class BadgePinData(Wire, frozen=True):
    """``temporaryUntil``: when a temporary PIN expires. Such a PIN was issued by a manager or set on a device, and
    works only with a temporary badge. Null for a PIN that the user set in the account. ``deadAt``: when the PIN was
    blocked, after ten incorrect attempts in a row."""

    set_at: Time
    temporary_until: Time | None
    dead_at: Time | None


class Prepared(NamedTuple):
    """A PIN before it is hashed. ``text`` is the input of the hasher."""

    pepper: bytes
    text: str


_ONE_PIN = _P.user_id == bindparam("of_user")
_SELECT_PIN = select(*(_P[name] for name in Pin._fields)).where(_ONE_PIN)
_FIND, _LOCK = tenant_scoped(_SELECT_PIN, Pin), tenant_scoped(_SELECT_PIN.with_for_update(), Pin)
_PIN_VALUES = ("hash", "pepper", "set_at", "temporary_until", "given_by", "given")
_PUT_PIN = tenant_scoped(
    upsert(badge_pins)
    .values({"user_id": bindparam("user_id"), "wrong": 0, **{name: bindparam(name) for name in _PIN_VALUES}})
    .on_conflict_do_update(
        index_elements=["tenant_id", "user_id"],
        set_={**{name: bindparam(name) for name in _PIN_VALUES}, "wrong": 0, "wrong_at": None, "dead_at": None},
    )
)
_COUNT_TRY = tenant_scoped(
    update(badge_pins)
    .where(_ONE_PIN, _P.hash == bindparam("of_hash"), _P.dead_at.is_(None), _P.wrong < MOST_WRONG)
    .values(wrong=_P.wrong + 1, wrong_at=bindparam("now"))
)
_KILL_PIN = tenant_scoped(
    update(badge_pins)
    .where(_ONE_PIN, _P.hash == bindparam("of_hash"), _P.dead_at.is_(None), _P.wrong >= MOST_WRONG)
    .values(dead_at=bindparam("now"))
)
_PIN_RIGHT = tenant_scoped(update(badge_pins).where(_ONE_PIN).values(wrong=0, wrong_at=None))
_DROP_PIN = tenant_scoped(delete(badge_pins).where(_ONE_PIN, _P.set_at >= bindparam("since")))
_UNCOUNT_TRY = tenant_scoped(update(badge_pins).where(_ONE_PIN, _P.wrong > 0).values(wrong=_P.wrong - 1))


def prepare_pin(random: Random, pin: str) -> Prepared:
    """Prepares a new PIN with a new key for the hasher."""
    pepper = random.bytes(32)
    return Prepared(pepper, _keyed(pepper, pin))


def entered_pin(unit: TenantUnit, sealer: Sealer, found: Pin, pin: str) -> str | None:
    """Returns the text for the hasher to compare with the stored hash. None if no secret key decrypts the PIN's own
    key; then no entry can match."""
    try:
        pepper = sealer.open(found.pepper, _row(unit, found.user_id))
    except CannotOpen:
        return None
    return _keyed(pepper, pin)


def put_pin(
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
    """Stores a hashed PIN in place of the previous one, blocked or not. For ``temporary_until``, ``given_by``, and
    ``given``, see :class:`Pin`."""
    values = {"hash": hashed, "set_at": now, "temporary_until": temporary_until, "given_by": given_by}
    pepper = sealer.seal(prepared.pepper, _row(unit, user_id))
    unit.change(_PUT_PIN, user_id=user_id, pepper=pepper, given=int(given), **values)


def show_pin(unit: TenantUnit, user_id: int) -> BadgePinData | None:
    """The user's PIN as the API shows it, blocked or not."""
    pin = find_pin(unit, user_id)
    return None if pin is None else BadgePinData.of(pin)


def find_pin(unit: TenantUnit, user_id: int, *, lock: bool = False) -> Pin | None:
    """The user's PIN, blocked or not. ``lock`` locks it until the transaction ends."""
    return unit.first(_LOCK if lock else _FIND, of_user=user_id)


def count_pin_try(unit: TenantUnit, found: Pin, now: int) -> bool:
    """Counts an entry as wrong before checking it, so that parallel entries can't bypass the limit. Returns False if no
    entry is accepted: the PIN is blocked, was replaced, or has no attempts left."""
    return unit.change(_COUNT_TRY, of_user=found.user_id, of_hash=found.hash, now=now) == 1


def uncount_pin_try(unit: TenantUnit, user_id: int) -> None:
    """Reverts the count of an entry that wasn't checked."""
    unit.change(_UNCOUNT_TRY, of_user=user_id)


def pin_was_right(unit: TenantUnit, user_id: int) -> None:
    """Resets the count of incorrect entries."""
    unit.change(_PIN_RIGHT, of_user=user_id)


def kill_pin(unit: TenantUnit, found: Pin, now: int) -> bool:
    """Blocks the PIN after the last allowed incorrect entry. Returns False if it isn't blocked now, or was blocked
    before."""
    return unit.change(_KILL_PIN, of_user=found.user_id, of_hash=found.hash, now=now) == 1


def _keyed(pepper: bytes, pin: str) -> str:
    return hmac.new(pepper, pin.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def _row(unit: TenantUnit, user_id: int) -> str:
    return sealed_for(_P.pepper, tenant_id=unit.tenant_id, user_id=user_id)


# The 100 most common passwords of 6 to 12 digits, according to zxcvbn's frequency list.


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


LONGEST_PIN: Final = 32
_YEARS = range(1900, 2100)
#: The positions of day (d), month (m), and year (y) in a PIN that is a date.
_DATES: Final = ("ddmmyy", "mmddyy", "yymmdd", "mmyyyy", "yyyymm", "ddmmyyyy", "mmddyyyy", "yyyymmdd")


def check_pin(pin: str, least: int, field: str) -> None:
    """Checks a new PIN. Raises ValidationError that names the problem. ``least`` is the client's minimum number of
    digits."""
    if not (pin.isascii() and pin.isdigit()):
        raise ValidationError(details=[(field, _("Enter only digits"))])
    if len(pin) < least:
        raise ValidationError(details=[(field, at_least(least))])
    if len(pin) > LONGEST_PIN:
        raise ValidationError(details=[(field, at_most(LONGEST_PIN))])
    if is_guessable(pin):
        raise ValidationError(details=[(field, _("Too easy to guess. Don't use a date, a pattern, or a common PIN."))])


def is_guessable(pin: str) -> bool:
    """Whether a PIN consists of equal digits, is a run like 345678 or 876543, repeats a shorter block (the last one can
    be incomplete), is a date, or is one of the most common PINs."""
    repeats = any(pin[width:] == pin[:-width] for width in range(1, len(pin) // 2 + 1))
    is_date = any(len(shape) == len(pin) and _fits(pin, shape) for shape in _DATES)
    return _is_run(pin) or repeats or is_date or pin in COMMON


def _is_run(pin: str) -> bool:
    """Whether each digit is one more than the previous one, or each is one less. 0 comes after 9."""
    steps = {(int(after) - int(before)) % 10 for before, after in itertools.pairwise(pin)}
    return steps in ({1}, {9})


def _fits(pin: str, shape: str) -> bool:
    parts = {part: int("".join(pin[at] for at, one in enumerate(shape) if one == part) or "1") for part in "dmy"}
    year = parts["y"] if "yyyy" in shape else 2000 + parts["y"] % 4  # for two-digit years, only leap years matter
    if "yyyy" in shape and year not in _YEARS:
        return False
    try:
        datetime.date(year, parts["m"], parts["d"])
    except ValueError:
        return False
    return True


BadgeKind = Literal["standard", "temporary"]
LIFE_S: Final[dict[BadgeKind, int]] = {"standard": 365 * DAY, "temporary": 12 * HOUR}


class Badge(NamedTuple):
    """A badge. ``issued_by`` is the actor, as in the audit trail. Times are in milliseconds."""

    id: str
    user_id: int
    kind: BadgeKind
    issued_at: int
    issued_by: str
    ends_at: int
    ended_at: int | None = None
    last_used_at: int | None = None


_B = badges.c
_ALL = select(*(_B[name] for name in Badge._fields))
_ALIVE = (_B.ended_at.is_(None), _B.ends_at > bindparam("now", type_=BigInteger))
_OF_USER = (_B.user_id == bindparam("of_user"), *_ALIVE)
_BY_CODE = tenant_scoped(_ALL.where(_B.code == bindparam("code"), *_ALIVE), Badge)
_LIVES = tenant_scoped(select(_B.id).where(_B.id == bindparam("of_id"), *_ALIVE).with_for_update(), str)
_LIST = tenant_scoped(_ALL.where(*_OF_USER).order_by(_B.issued_at, _B.id), Badge)
_NEW = ("id", "user_id", "kind", "code", "issued_at", "issued_by", "ends_at")
_ADD = tenant_scoped(insert(badges).values({name: bindparam(name) for name in _NEW}))
_ENDED: dict[str, Any] = {"ended_at": bindparam("at"), "ends_at": bindparam("at")}
_END = tenant_scoped(update(badges).where(_B.id == bindparam("of_id"), *_OF_USER).values(_ENDED))
_END_KIND = tenant_scoped(update(badges).where(_B.kind == bindparam("of_kind"), *_OF_USER).values(_ENDED))
_END_ALL = tenant_scoped(update(badges).where(*_OF_USER, _B.issued_at >= bindparam("since")).values(_ENDED))
_USED = tenant_scoped(update(badges).where(_B.id == bindparam("of_id")).values(last_used_at=bindparam("now")))


def find(unit: TenantUnit, code_hash: str, now: int) -> Badge | None:
    """Returns the live badge with this code."""
    return unit.first(_BY_CODE, code=code_hash, now=now)


def is_live(unit: TenantUnit, badge_id: str, now: int) -> bool:
    """Whether the badge is live. Locks its row until the transaction ends."""
    return unit.first(_LIVES, of_id=badge_id, now=now) is not None


def list_live(unit: TenantUnit, user_id: int, now: int) -> list[Badge]:
    """A user's live badges, oldest first."""
    return unit.all(_LIST, of_user=user_id, now=now)


def add(unit: TenantUnit, badge: Badge, code_hash: str) -> None:
    """Stores a new badge, and ends the live one of the same kind."""
    unit.change(_END_KIND, of_user=badge.user_id, of_kind=badge.kind, now=badge.issued_at, at=badge.issued_at)
    unit.change(_ADD, code=code_hash, **{name: getattr(badge, name) for name in _NEW if name != "code"})


def end(unit: TenantUnit, user_id: int, badge_id: str, now: int) -> bool:
    """Ends a live badge of the user. Returns False if there is none."""
    return unit.change(_END, of_user=user_id, of_id=badge_id, now=now, at=now) == 1


def end_all(unit: TenantUnit, user_id: int, now: int, *, since: int = 0) -> int:
    """Ends the user's live badges that were issued ``since`` this time (milliseconds). Returns how many there were."""
    return unit.change(_END_ALL, of_user=user_id, now=now, at=now, since=since)


def used(unit: TenantUnit, badge_id: str, now: int) -> None:
    """Stores that the badge was used."""
    unit.change_later(_USED, of_id=badge_id, now=now)


# The usual rules of rank apply (:mod:`manifest_auth.accounts.rank`). A badge opens sessions only with the roles
# Operator and Viewer, so only users with one of these roles can get one. The user gets an email about each badge and
# PIN, because a manager who issues both could sign in as the user.

#: The only roles that a badge session can have.
BADGE_ROLES: Final = Role.OPERATOR.bit | Role.VIEWER.bit


class NewBadge(NamedTuple):
    """A new badge. ``text`` is the content of its QR code, which isn't stored."""

    badge: Badge
    text: str


class Overview(NamedTuple):
    """A user's live ``badges``, and the ``pin``, blocked or not. ``why_not`` is the reason why the user can't have a
    badge; empty if they can."""

    badges: list[Badge]
    pin: BadgePinData | None
    why_not: str


def check_on(settings: TenantSettings, user: User) -> None:
    """Raises Conflict if the client doesn't allow badges, or if the user has no suitable role."""
    if why := _why_not(settings, user):
        raise Conflict(why)


def _why_not(settings: TenantSettings, user: User) -> str:
    if not settings.badge.enabled:
        return _("Badges are turned off in the settings")
    if user.deactivated_at is not None:
        return _("The user is deactivated")
    if not user.roles & BADGE_ROLES:
        return _("Only Operators and Viewers can have a badge")
    return ""


def look(unit: TenantUnit, who: Request, user_id: int) -> Overview:
    """Returns a user's badges and PIN. Raises NotFound or Forbidden."""
    user = rank.get_readable(unit, who, user_id)
    live, pin = list_live(unit, user.id, who.now), show_pin(unit, user.id)
    return Overview(live, pin, _why_not(_settings(unit), user))


def issue_badge(unit: TenantUnit, who: AccountRequest, user_id: int, kind: BadgeKind) -> NewBadge:
    """Issues a new badge to the user. Ends a live badge of the same kind, and the user's badge sessions. Raises
    NotFound, Forbidden, Conflict, or ReauthenticationRequired."""
    step_up.check(who, Act.OTHERS_PASSWORDS)
    user, now, random = rank.get_managed(unit, who, user_id), who.now, who.services.random
    tenant = tenants.get(unit, unit.tenant_id)
    check_on(tenants.settings_of(tenant.settings), user)
    text = scan_codes.make_scan_code(ScanKind.BADGE, tenant.identifier, random.bytes(scan_codes.RANDOM_BYTES))
    ends_at = now + LIFE_S[kind] * 1000
    badge = Badge(
        id=random.text(12), user_id=user.id, kind=kind, issued_at=now, issued_by=who.caller.actor, ends_at=ends_at
    )
    replaced = [one.id for one in list_live(unit, user.id, now) if one.kind == kind]
    add(unit, badge, scan_codes.hash_of_scan_code(text))
    ended = device_sessions.end_by_badge(unit, user.id, "badge_ended", now) if replaced else 0
    detail = {"badge": badge.id, "kind": kind, "ends": when(ends_at), "in_place_of": replaced, "sessions_ended": ended}
    mail_queue.tell(unit, who, user, Event.BADGE_ISSUED, **detail)
    return NewBadge(badge, text)


def end_badge(unit: TenantUnit, who: Request, user_id: int, badge_id: str) -> None:
    """Ends a badge and the user's badge sessions immediately. Raises NotFound or Forbidden."""
    user, now = rank.get_managed(unit, who, user_id), who.now
    if not end(unit, user.id, badge_id, now):
        raise NotFound()
    ended = device_sessions.end_by_badge(unit, user.id, "badge_ended", now)
    audit.record(unit, who, Event.BADGE_ENDED, f"user:{user.id}", badge=badge_id, sessions_ended=ended)


def drop_all(unit: TenantUnit, user_id: int, now: int, *, since: int = 0) -> tuple[int, bool]:
    """Ends the badges of a user that were issued ``since`` this time (milliseconds), and deletes the PIN if it was set
    after that. Ends no sessions. Returns the number of badges, and whether there was a PIN."""
    return end_all(unit, user_id, now, since=since), unit.change(_DROP_PIN, of_user=user_id, since=since) == 1


def check_reset(unit: TenantUnit, who: Request, user_id: int) -> int:
    """Checks that ``who`` can give the user a temporary PIN. Returns its minimum number of digits. Raises the errors of
    :func:`reset_pin`."""
    step_up.check(who, Act.OTHERS_FACTORS)
    settings = _settings(unit)
    check_on(settings, rank.get_readable(unit, who, user_id))
    return settings.badge.pin_length


def reset_pin(unit: TenantUnit, who: AccountRequest, user_id: int, prepared: Prepared, hashed: str) -> int:
    """Stores a temporary PIN in place of the previous one, and ends badge sessions. Returns when it expires, in
    milliseconds. Raises NotFound, Forbidden, Conflict, or ReauthenticationRequired."""
    check_reset(unit, who, user_id)
    user, now = rank.get_managed(unit, who, user_id), who.now
    ends_at = now + TEMPORARY_S * 1000
    put_pin(unit, who.services.sealer, user.id, prepared, hashed, now, ends_at, who.caller.actor, given=True)
    ended = device_sessions.end_by_badge(unit, user.id, "pin_reset", now)
    mail_queue.tell(unit, who, user, Event.BADGE_PIN_RESET, ends=when(ends_at), sessions_ended=ended)
    return ends_at


def givers_still_may(unit: TenantUnit, badge: Badge, pin: Pin) -> bool:
    """Whether the managers who issued a temporary badge and PIN can still manage the user."""
    givers = (badge.issued_by if badge.kind == "temporary" else None, pin.given_by)
    return all(
        rank.still_may(unit, one, Permission.USERS_MANAGE, users.get(unit, badge.user_id))
        for one in givers
        if one is not None
    )


def set_own_pin(unit: TenantUnit, who: AccountRequest, prepared: Prepared, hashed: str) -> None:
    """Stores the caller's new PIN in place of the previous one, and ends the caller's badge sessions. Raises Conflict
    or ReauthenticationRequired."""
    me = check_own(unit, who)
    put_pin(unit, who.services.sealer, me.id, prepared, hashed, who.now)
    ended = device_sessions.end_by_badge(unit, me.id, "pin_changed", who.now)
    mail_queue.tell(unit, who, me, Event.BADGE_PIN_SET, sessions_ended=ended)


def check_own(unit: TenantUnit, who: Request) -> User:
    """Returns the caller, locked, after checking that they can have a PIN. Raises Conflict or
    ReauthenticationRequired."""
    step_up.check(who, Act.PIN)
    me = users.get(unit, who.user.user_id, lock=True)
    check_on(_settings(unit), me)
    return me


def _settings(unit: TenantUnit) -> TenantSettings:
    return tenants.settings_of(tenants.get(unit, unit.tenant_id).settings)
