"""Management of badges and PINs by those who manage users: list, issue, end, set a temporary PIN.

The rules of rank hold as for all else (:mod:`manifest_auth.accounts.rank`). A badge opens sessions with the roles
Operator and Viewer alone, so only users who hold one of them get one. The user is told by email of a badge and of a
PIN: who issues the one and gives the other could sign in as the user.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from manifest_auth import audit, tenants
from manifest_auth.accounts import factor_notices, rank, users
from manifest_auth.accounts.account_tools import AccountTools
from manifest_auth.accounts.badges import badge_rows, pins
from manifest_auth.accounts.badges.badge_rows import LIFE_S, Badge, BadgeKind
from manifest_auth.accounts.badges.pins import Pin, Prepared
from manifest_auth.accounts.rank import RequestOrOrigin
from manifest_auth.accounts.users import User
from manifest_auth.audit import Act, Event
from manifest_auth.context import Request
from manifest_auth.errors import Conflict, NotFound
from manifest_auth.mail_queue import MailQueue
from manifest_auth.permissions import Permission, Role
from manifest_auth.runtime.sealing import Sealer
from manifest_auth.sessions import device_sessions
from manifest_auth.store import TenantUnit
from manifest_auth.tenants import TenantSettings, step_up
from manifest_auth.text import scan_codes
from manifest_auth.text.canonical import when
from manifest_auth.text.languages import marked as _
from manifest_auth.text.scan_codes import ScanKind

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
    pin: Pin | None
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


def look(unit: TenantUnit, who: RequestOrOrigin, user_id: int) -> Overview:
    """A user's badges and PIN. Raises NotFound, Forbidden."""
    user = rank.get_readable(unit, who, user_id)
    live, pin = badge_rows.list_live(unit, user.id, who.origin.at), pins.find(unit, user.id)
    return Overview(live, pin, _why_not(_settings(unit), user))


def issue_badge(unit: TenantUnit, who: RequestOrOrigin, tools: AccountTools, user_id: int, kind: BadgeKind) -> NewBadge:
    """A new badge of the user; one of the same kind that lives ends, and with it sessions by badge. Raises NotFound,
    Forbidden, Conflict, ReauthenticationRequired."""
    step_up.check(who, Act.OTHERS_PASSWORDS)
    user, now, random = rank.get_managed(unit, who, user_id), who.origin.at, tools.random
    tenant = tenants.get(unit, unit.tenant_id)
    check_on(tenants.settings_of(tenant.settings), user)
    text = scan_codes.make_scan_code(ScanKind.BADGE, tenant.identifier, random.bytes(scan_codes.RANDOM_BYTES))
    ends_at = now + LIFE_S[kind] * 1000
    badge = Badge(
        id=random.text(12), user_id=user.id, kind=kind, issued_at=now, issued_by=who.origin.actor, ends_at=ends_at,
        ended_at=None, last_used_at=None,
    )  # fmt: skip
    replaced = [one.id for one in badge_rows.list_live(unit, user.id, now) if one.kind == kind]
    badge_rows.add(unit, badge, scan_codes.hash_of_scan_code(text))
    ended = device_sessions.end_by_badge(unit, user.id, "badge_ended", now) if replaced else 0
    detail = {"badge": badge.id, "kind": kind, "ends": when(ends_at), "in_place_of": replaced, "sessions_ended": ended}
    factor_notices.tell(unit, who, tools.mail_queue, user, Event.BADGE_ISSUED, **detail)
    return NewBadge(badge, text)


def end_badge(unit: TenantUnit, who: RequestOrOrigin, user_id: int, badge_id: str) -> None:
    """Ends a badge at once, and the user's sessions by badge. Raises NotFound, Forbidden."""
    user, now = rank.get_managed(unit, who, user_id), who.origin.at
    if not badge_rows.end(unit, user.id, badge_id, now):
        raise NotFound()
    ended = device_sessions.end_by_badge(unit, user.id, "badge_ended", now)
    audit.record(unit, who, Event.BADGE_ENDED, f"user:{user.id}", badge=badge_id, sessions_ended=ended)


def drop_all(unit: TenantUnit, user_id: int, now: int, *, since: int = 0) -> tuple[int, bool]:
    """Ends the badges of a user that were issued ``since`` a time (milliseconds), and deletes the PIN where it was set
    since then, but ends no session; how many badges there were, and whether there was a PIN."""
    return badge_rows.end_all(unit, user_id, now, since=since), pins.drop(unit, user_id, since=since)


def check_reset(unit: TenantUnit, who: RequestOrOrigin, user_id: int) -> int:
    """Checks that ``who`` may give the user a temporary PIN; the least number of its digits. Raises as
    :func:`reset_pin`."""
    step_up.check(who, Act.OTHERS_FACTORS)
    settings = _settings(unit)
    check_on(settings, rank.get_readable(unit, who, user_id))
    return settings.badge.pin_length


def reset_pin(
    unit: TenantUnit, who: RequestOrOrigin, sealer: Sealer, queue: MailQueue, user_id: int, prepared: Prepared,
    hashed: str,
) -> int:  # fmt: skip
    """Stores a temporary PIN in place of the one before, which also ends sessions by badge; when it ends, milliseconds.
    Raises NotFound, Forbidden, Conflict, ReauthenticationRequired."""
    check_reset(unit, who, user_id)
    user, now = rank.get_managed(unit, who, user_id), who.origin.at
    ends_at = now + pins.TEMPORARY_S * 1000
    pins.put(unit, sealer, user.id, prepared, hashed, now, ends_at, who.origin.actor, given=True)
    ended = device_sessions.end_by_badge(unit, user.id, "pin_reset", now)
    detail = {"ends": when(ends_at), "sessions_ended": ended}
    factor_notices.tell(unit, who, queue, user, Event.BADGE_PIN_RESET, **detail)
    return ends_at


def givers_still_may(unit: TenantUnit, badge: Badge, pin: Pin) -> bool:
    """Whether those who issued a temporary badge and gave a temporary PIN may still manage the user."""
    givers = (badge.issued_by if badge.kind == "temporary" else None, pin.given_by)
    return all(
        rank.still_may(unit, one, Permission.USERS_MANAGE, users.get(unit, badge.user_id))
        for one in givers
        if one is not None
    )


def set_own_pin(
    unit: TenantUnit, who: Request, sealer: Sealer, queue: MailQueue, prepared: Prepared, hashed: str
) -> None:
    """Stores the caller's new PIN in place of the one before, which also ends the caller's sessions by badge.
    Raises Conflict, ReauthenticationRequired."""
    me = check_own(unit, who)
    pins.put(unit, sealer, me.id, prepared, hashed, who.now)
    ended = device_sessions.end_by_badge(unit, me.id, "pin_changed", who.now)
    factor_notices.tell(unit, who, queue, me, Event.BADGE_PIN_SET, sessions_ended=ended)


def check_own(unit: TenantUnit, who: Request) -> User:
    """The caller, locked, who may have a PIN. Raises Conflict, ReauthenticationRequired."""
    step_up.check(who, Act.PIN)
    me = users.get(unit, who.user.user_id, lock=True)
    check_on(_settings(unit), me)
    return me


def _settings(unit: TenantUnit) -> TenantSettings:
    return tenants.settings_of(tenants.get(unit, unit.tenant_id).settings)
