"""Badges and PINs, with which people sign in on devices that belong to their client.

Owns ``badges`` and ``badge_pins``. Never opens a session, and never computes a hash.
"""

from __future__ import annotations

from typing import Any, Final, Literal, NamedTuple

from sqlalchemy import BigInteger, bindparam, insert, select, update

from manifest_auth import audit, tenants
from manifest_auth.accounts import mail_queue, pins, rank, users
from manifest_auth.accounts.mail_queue import AccountRequest
from manifest_auth.accounts.pins import BadgePinData, Pin, Prepared
from manifest_auth.accounts.users import User
from manifest_auth.audit import Act, Event
from manifest_auth.context import Request
from manifest_auth.errors import Conflict, NotFound
from manifest_auth.permissions import Permission, Role
from manifest_auth.runtime.settings import DAY, HOUR
from manifest_auth.sessions import device_sessions
from manifest_auth.store import TenantUnit, tenant_scoped
from manifest_auth.store.tables import badges
from manifest_auth.tenants import TenantSettings, step_up
from manifest_auth.text import scan_codes
from manifest_auth.text.canonical import when
from manifest_auth.text.languages import marked as _
from manifest_auth.text.scan_codes import ScanKind

# Rows of badges: added, found by their code, listed, ended.
#
# The store has a code's hash, never the code.


BadgeKind = Literal["standard", "temporary"]
LIFE_S: Final[dict[BadgeKind, int]] = {"standard": 365 * DAY, "temporary": 12 * HOUR}


class Badge(NamedTuple):
    """``issued_by``: the actor, as in the audit trail. Times in milliseconds."""

    id: str
    user_id: int
    kind: BadgeKind
    issued_at: int
    issued_by: str
    ends_at: int
    ended_at: int | None
    last_used_at: int | None


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
    """The live badge with this code."""
    return unit.first(_BY_CODE, code=code_hash, now=now)


def is_live(unit: TenantUnit, badge_id: str, now: int) -> bool:
    """Whether the badge has not ended; its row is locked until the transaction ends."""
    return unit.first(_LIVES, of_id=badge_id, now=now) is not None


def list_live(unit: TenantUnit, user_id: int, now: int) -> list[Badge]:
    """A user's live badges, oldest first."""
    return unit.all(_LIST, of_user=user_id, now=now)


def add(unit: TenantUnit, badge: Badge, code_hash: str) -> None:
    """Stores a new badge; the live one of its kind ends."""
    unit.change(_END_KIND, of_user=badge.user_id, of_kind=badge.kind, now=badge.issued_at, at=badge.issued_at)
    unit.change(_ADD, code=code_hash, **{name: getattr(badge, name) for name in _NEW if name != "code"})


def end(unit: TenantUnit, user_id: int, badge_id: str, now: int) -> bool:
    """Ends a live badge of the user. False when there is no such one."""
    return unit.change(_END, of_user=user_id, of_id=badge_id, now=now, at=now) == 1


def end_all(unit: TenantUnit, user_id: int, now: int, *, since: int = 0) -> int:
    """Ends the user's live badges that were issued ``since`` a time (milliseconds); how many there were."""
    return unit.change(_END_ALL, of_user=user_id, now=now, at=now, since=since)


def used(unit: TenantUnit, badge_id: str, now: int) -> None:
    """Stores that the badge was used."""
    unit.change_later(_USED, of_id=badge_id, now=now)


# Management of badges and PINs by those who manage users: list, issue, end, set a temporary PIN.
#
# The rules of rank hold as for all else (:mod:`manifest_auth.accounts.rank`). A badge opens sessions with the roles
# Operator and Viewer alone, so only users who hold one of them get one. The user is told by email of a badge and of a
# PIN: who issues the one and gives the other could sign in as the user.


#: Of a user's roles, a session by badge has these.
BADGE_ROLES: Final = Role.OPERATOR.bit | Role.VIEWER.bit


class NewBadge(NamedTuple):
    """``text``: what the badge shows as a QR code; it is not stored."""

    badge: Badge
    text: str


class Overview(NamedTuple):
    """A user's live ``badges`` and the ``pin``, dead or not. ``why_not``: why the user may have none, empty where they
    may."""

    badges: list[Badge]
    pin: BadgePinData | None
    why_not: str


def check_on(settings: TenantSettings, user: User) -> None:
    """Raises Conflict where the client lets no one sign in with a badge, or this user has no role for it."""
    if why := _why_not(settings, user):
        raise Conflict(why)


def _why_not(settings: TenantSettings, user: User) -> str:
    if not settings.badge.enabled:
        return _("The client's rules let no one sign in with a badge")
    if user.deactivated_at is not None:
        return "The user is deactivated"
    if not user.roles & BADGE_ROLES:
        return _("A badge is for users who are Operator or Viewer")
    return ""


def look(unit: TenantUnit, who: Request, user_id: int) -> Overview:
    """A user's badges and PIN. Raises NotFound, Forbidden."""
    user = rank.get_readable(unit, who, user_id)
    live, pin = list_live(unit, user.id, who.now), pins.show(unit, user.id)
    return Overview(live, pin, _why_not(_settings(unit), user))


def issue_badge(unit: TenantUnit, who: AccountRequest, user_id: int, kind: BadgeKind) -> NewBadge:
    """A new badge of the user; one of the same kind that lives ends, and with it sessions by badge. Raises NotFound,
    Forbidden, Conflict, ReauthenticationRequired."""
    step_up.check(who, Act.OTHERS_PASSWORDS)
    user, now, random = rank.get_managed(unit, who, user_id), who.now, who.services.random
    tenant = tenants.get(unit, unit.tenant_id)
    check_on(tenants.settings_of(tenant.settings), user)
    text = scan_codes.make_scan_code(ScanKind.BADGE, tenant.identifier, random.bytes(scan_codes.RANDOM_BYTES))
    ends_at = now + LIFE_S[kind] * 1000
    badge = Badge(
        id=random.text(12),
        user_id=user.id,
        kind=kind,
        issued_at=now,
        issued_by=who.caller.actor,
        ends_at=ends_at,
        ended_at=None,
        last_used_at=None,
    )
    replaced = [one.id for one in list_live(unit, user.id, now) if one.kind == kind]
    add(unit, badge, scan_codes.hash_of_scan_code(text))
    ended = device_sessions.end_by_badge(unit, user.id, "badge_ended", now) if replaced else 0
    detail = {"badge": badge.id, "kind": kind, "ends": when(ends_at), "in_place_of": replaced, "sessions_ended": ended}
    mail_queue.tell(unit, who, user, Event.BADGE_ISSUED, **detail)
    return NewBadge(badge, text)


def end_badge(unit: TenantUnit, who: Request, user_id: int, badge_id: str) -> None:
    """Ends a badge at once, and the user's sessions by badge. Raises NotFound, Forbidden."""
    user, now = rank.get_managed(unit, who, user_id), who.now
    if not end(unit, user.id, badge_id, now):
        raise NotFound()
    ended = device_sessions.end_by_badge(unit, user.id, "badge_ended", now)
    audit.record(unit, who, Event.BADGE_ENDED, f"user:{user.id}", badge=badge_id, sessions_ended=ended)


def drop_all(unit: TenantUnit, user_id: int, now: int, *, since: int = 0) -> tuple[int, bool]:
    """Ends the badges of a user that were issued ``since`` a time (milliseconds), and deletes the PIN where it was set
    since then, but ends no session; how many badges there were, and whether there was a PIN."""
    return end_all(unit, user_id, now, since=since), pins.drop(unit, user_id, since=since)


def check_reset(unit: TenantUnit, who: Request, user_id: int) -> int:
    """Checks that ``who`` may give the user a temporary PIN; the least number of its digits. Raises as
    :func:`reset_pin`."""
    step_up.check(who, Act.OTHERS_FACTORS)
    settings = _settings(unit)
    check_on(settings, rank.get_readable(unit, who, user_id))
    return settings.badge.pin_length


def reset_pin(unit: TenantUnit, who: AccountRequest, user_id: int, prepared: Prepared, hashed: str) -> int:
    """Stores a temporary PIN in place of the one before, which also ends sessions by badge; when it ends, milliseconds.
    Raises NotFound, Forbidden, Conflict, ReauthenticationRequired."""
    check_reset(unit, who, user_id)
    user, now = rank.get_managed(unit, who, user_id), who.now
    ends_at = now + pins.TEMPORARY_S * 1000
    pins.put(unit, who.services.sealer, user.id, prepared, hashed, now, ends_at, who.caller.actor, given=True)
    ended = device_sessions.end_by_badge(unit, user.id, "pin_reset", now)
    detail = {"ends": when(ends_at), "sessions_ended": ended}
    mail_queue.tell(unit, who, user, Event.BADGE_PIN_RESET, **detail)
    return ends_at


def givers_still_may(unit: TenantUnit, badge: Badge, pin: Pin) -> bool:
    """Whether those who issued a temporary badge and gave a temporary PIN may still manage the user."""
    givers = (badge.issued_by if badge.kind == "temporary" else None, pin.given_by)
    return all(
        rank.still_may(unit, one, Permission.USERS_MANAGE, users.get(unit, badge.user_id))
        for one in givers
        if one is not None
    )


def set_own_pin(unit: TenantUnit, who: AccountRequest, prepared: Prepared, hashed: str) -> None:
    """Stores the caller's new PIN in place of the one before, which also ends the caller's sessions by badge.
    Raises Conflict, ReauthenticationRequired."""
    me = check_own(unit, who)
    pins.put(unit, who.services.sealer, me.id, prepared, hashed, who.now)
    ended = device_sessions.end_by_badge(unit, me.id, "pin_changed", who.now)
    mail_queue.tell(unit, who, me, Event.BADGE_PIN_SET, sessions_ended=ended)


def check_own(unit: TenantUnit, who: Request) -> User:
    """The caller, locked, who may have a PIN. Raises Conflict, ReauthenticationRequired."""
    step_up.check(who, Act.PIN)
    me = users.get(unit, who.user.user_id, lock=True)
    check_on(_settings(unit), me)
    return me


def _settings(unit: TenantUnit) -> TenantSettings:
    return tenants.settings_of(tenants.get(unit, unit.tenant_id).settings)
