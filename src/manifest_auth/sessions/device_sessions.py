"""Sessions of devices: with limited roles, a fixed end, and no cookie.

Programs that don't know the limit read the end from another column, in which these sessions have ended.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import ColumnElement, bindparam, func, insert, select, update

from manifest_auth.context import BADGE, Request
from manifest_auth.runtime.clock import Random
from manifest_auth.sessions.principals import ENDS_AT, cookie_hash
from manifest_auth.sessions.sessions import Opened, SessionProof
from manifest_auth.store import TenantScoped, TenantUnit, columns, tenant_scoped
from manifest_auth.store.tables import sessions

#: The longest life of a device's session, in milliseconds: no older one is open.
LONGEST_MS = 24 * 3_600_000
_S = sessions.c


class Hold(NamedTuple):
    """The session of a device. ``method``: `device` or `badge`; ``role_cap``: bit mask; ``ends_at``: milliseconds;
    ``app_id``: the app; ``device_id``: the enrolled device; ``label``: the device's name; ``idle_s``: idle timeout in
    seconds, for all keys; ``provider_id``: the provider of the session that approved it."""

    method: str
    role_cap: int
    ends_at: int
    label: str
    app_id: str | None = None
    device_id: str | None = None
    idle_s: int | None = None
    provider_id: int | None = None


_NEW = columns(
    "id user_id method provider_id created_at ends_at device_ends_at last_used_at address user_agent cookie_hash "
    "cookie_seen_at refresh_current refresh_changed_at amr role_cap app_id device_id label idle_s"
)
_OPEN = tenant_scoped(insert(sessions).values({name: bindparam(name) for name in _NEW}))
_APP = tenant_scoped(select(_S.app_id).where(_S.id == bindparam("sid")), str)
_OPEN_OF_USER = (_S.user_id == bindparam("of_user"), _S.ended_at.is_(None), bindparam("now") < ENDS_AT)
_COUNT = tenant_scoped(select(func.count()).select_from(sessions).where(*_OPEN_OF_USER, _S.role_cap.is_not(None)), int)


def _ending(*which: ColumnElement[bool]) -> TenantScoped[str]:
    ended = update(sessions).where(*which, _S.ended_at.is_(None)).returning(_S.id)
    return tenant_scoped(ended.values(ended_at=bindparam("now"), end_reason=bindparam("reason")), str)


_END_BY_BADGE = _ending(_S.user_id == bindparam("of_user"), _S.method == BADGE)
_END_OF_DEVICE = _ending(_S.device_id == bindparam("holder"), _S.created_at > bindparam("since"))


def open_held(
    unit: TenantUnit, request: Request, user_id: int, held: Hold, proof: SessionProof, random: Random
) -> Opened:
    """Opens a device's session, from a request of the device."""
    now = request.now
    opened = Opened(random.text(16), random.text(32), random.text(12), held.ends_at)
    unit.change(
        _OPEN,
        **held._replace(ends_at=now)._asdict(),
        device_ends_at=held.ends_at,
        id=opened.session_id,
        user_id=user_id,
        created_at=now,
        last_used_at=now,
        address=request.address,
        user_agent=request.user_agent,
        cookie_hash=cookie_hash(opened.cookie),
        cookie_seen_at=now,
        refresh_current=opened.refresh_id,
        refresh_changed_at=now,
        amr=proof.text,
    )
    return opened


def app_of(unit: TenantUnit, session_id: str) -> str | None:
    """Returns the app of the session, or None."""
    return unit.first(_APP, sid=session_id)


def count_of(unit: TenantUnit, user_id: int, now: int) -> int:
    """Returns the number of devices on which the user has an open session."""
    return unit.one(_COUNT, of_user=user_id, now=now)


def end_of_device(unit: TenantUnit, device_id: str, reason: str, now: int) -> int:
    """Ends the open sessions of an enrolled device. Returns how many there were."""
    found = unit.all(_END_OF_DEVICE, holder=device_id, reason=reason, now=now, since=now - LONGEST_MS - 1)
    for session_id in found:
        unit.announce("session", session_id)
    return len(found)


def end_by_badge(unit: TenantUnit, user_id: int, reason: str, now: int) -> int:
    """Ends a user's open badge sessions. Returns how many there were."""
    unit.announce("user", user_id)
    return len(unit.all(_END_BY_BADGE, of_user=user_id, reason=reason, now=now))
