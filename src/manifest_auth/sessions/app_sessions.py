"""Sessions of apps, which end with the app or with the user's grant."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Integer, bindparam, func, select, update

from manifest_auth.sessions.principals import ENDS_AT
from manifest_auth.store import TenantUnit, among, numbers, tenant_condition, tenant_scoped
from manifest_auth.store.tables import apps, sessions

_S = sessions.c
_OPEN = (_S.app_id == bindparam("of_app"), _S.ended_at.is_(None))
_SCOPES = tenant_scoped(select(_S.app_scopes).where(_S.id == bindparam("sid")), str)
_ORIGIN = tenant_scoped(select(_S.parent_id, _S.app_id).where(_S.id == bindparam("sid"), _S.app_scopes.is_not(None)))
_ENDS_AT_OF = tenant_scoped(
    select(ENDS_AT).where(_S.id == bindparam("sid"), _S.ended_at.is_(None), bindparam("now") < ENDS_AT), int
)
_COUNT = tenant_scoped(select(func.count()).select_from(sessions).where(*_OPEN, bindparam("now") < ENDS_AT), int)
_FOR_OTHERS = (
    select(apps.c.id)
    .where(tenant_condition(apps), apps.c.roles != 0)
    .where(apps.c.roles.bitwise_and(bindparam("roles", type_=Integer)) == 0)
)
_END_FOR_OTHERS = tenant_scoped(
    update(sessions)
    .where(among(_S.user_id, "ids"), _S.ended_at.is_(None), _S.app_id.in_(_FOR_OTHERS))
    .values(ended_at=bindparam("now"), end_reason="roles_changed")
)
_END = update(sessions).where(*_OPEN).values(ended_at=bindparam("now"), end_reason=bindparam("reason")).returning(_S.id)
_END_ALL = tenant_scoped(_END, str)
_END_OF_USER = tenant_scoped(_END.where(_S.user_id == bindparam("of_user")), str)


def scopes_of(unit: TenantUnit, session_id: str) -> str | None:
    """Returns the scopes that the app was granted, separated by spaces; None if the session isn't an app's."""
    return unit.first(_SCOPES, sid=session_id)


def origin_of(unit: TenantUnit, session_id: str) -> tuple[str, str] | None:
    """Returns the session that an app's session came from, and the app."""
    found: tuple[str, str] | None = unit.first(_ORIGIN, sid=session_id)
    return found


def ends_at_of(unit: TenantUnit, session_id: str, now: int) -> int | None:
    """Returns when an open session ends, in milliseconds; None if it has ended."""
    return unit.first(_ENDS_AT_OF, sid=session_id, now=now)


def count_of_app(unit: TenantUnit, app_id: str, now: int) -> int:
    """Returns the number of open sessions that an app holds."""
    return unit.one(_COUNT, of_app=app_id, now=now)


def end_of_app(unit: TenantUnit, app_id: str, reason: str, now: int, *, of_user: int | None = None) -> int:
    """Ends an app's open sessions, of all users or of one. Returns how many there were."""
    ending = _END_ALL if of_user is None else _END_OF_USER
    found = unit.all(ending, of_app=app_id, reason=reason, now=now, of_user=of_user)
    for session_id in found:
        unit.announce("session", session_id)
    return len(found)


def end_without_role(unit: TenantUnit, user_ids: Collection[int], roles: int, now: int) -> None:
    """Ends users' sessions with apps that none of these ``roles`` (bit mask) can use."""
    for user_id in user_ids:
        unit.announce("user", user_id)
    unit.change(_END_FOR_OTHERS, ids=numbers(user_ids), roles=roles, now=now)
