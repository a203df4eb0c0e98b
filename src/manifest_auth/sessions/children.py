"""Sessions that come from a session: an app's, of the one in the browser.

Such a session inherits what its parent has proved and when, its cap and its end, and ends with it (:mod:`.ends`). It
has no cookie, has no children, and enrols no factor (:mod:`manifest_auth.tenants.step_up`).
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import bindparam, cast, insert, select, update

from manifest_auth.context import Principal, Request
from manifest_auth.runtime.clock import Random
from manifest_auth.sessions.principal import ENDS_AT, cookie_hash, read
from manifest_auth.sessions.sessions import Opened
from manifest_auth.store import SystemUnit, tenant_scoped
from manifest_auth.store.tables import sessions

#: Columns that a session has of its parent.
INHERITED: Final = (
    "tenant_id", "user_id", "method", "provider_id", "created_at", "ends_at", "amr", "authenticated_at", "role_cap",
    "device_ends_at", "idle_s", "device_id", "label",
)  # fmt: skip
#: Columns that are its own, from the exchange on, and those that are empty then.
_GIVEN: Final = (
    "id", "last_used_at", "address", "user_agent", "cookie_hash", "cookie_seen_at", "refresh_current",
    "refresh_changed_at",
)  # fmt: skip
OWN: Final = (*_GIVEN, "parent_id", "has_children", "ended_at", "end_reason", "refresh_previous", "app_id")
_S = sessions.c
assert sorted((*INHERITED, *OWN)) == sorted(_S.keys()), "each column of sessions is inherited, or not: list it"

_COPIED = tuple(name for name in INHERITED if name != "tenant_id")  # which the statement's tenant is
_HOLD = tenant_scoped(
    update(sessions)
    .where(_S.id == bindparam("sid"), _S.user_id == bindparam("of_user"), _S.ended_at.is_(None))
    .where(bindparam("now") < ENDS_AT)
    .values(has_children=1)
)
_OPEN = tenant_scoped(
    insert(sessions).from_select(
        ["parent_id", *_COPIED, *_GIVEN],
        select(
            _S.id,
            *(_S[name] for name in _COPIED),
            *(cast(bindparam(name), _S[name].type) for name in _GIVEN),
        ).where(_S.id == bindparam("of_parent")),
    )
)


def may_have_children(session: Principal) -> bool:
    """Whether other sessions may come from this one: from none of a device, and from none that came from another."""
    return not session.is_device and not session.has_parent


def hold(unit: SystemUnit, tenant_id: int, user_id: int, session_id: str, now: int) -> Principal | None:
    """The user's session, which is open and whose row is locked until the transaction ends, for :func:`open_child`.
    None: it has ended."""
    if not unit.of(tenant_id).change(_HOLD, sid=session_id, of_user=user_id, now=now):
        return None
    found = read(unit, session_id)
    return found if found is not None and found.is_alive(now) and may_have_children(found) else None


def open_child(unit: SystemUnit, request: Request, parent: Principal, random: Random) -> Opened:
    """Opens a session that comes from the ``parent``, which :func:`hold` returned."""
    now = request.now
    opened = Opened(random.text(16), "", random.text(12), parent.ends_at)
    unit.of(parent.tenant_id).change(
        _OPEN,
        of_parent=parent.session_id,
        id=opened.session_id,
        last_used_at=now,
        address=request.address,
        user_agent=request.user_agent,
        cookie_hash=cookie_hash(random.text(32)),  # of a cookie that nobody gets
        cookie_seen_at=now,
        refresh_current=opened.refresh_id,
        refresh_changed_at=now,
    )
    return opened
