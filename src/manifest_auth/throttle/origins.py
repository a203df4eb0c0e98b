"""Origins: devices and networks from which a user signed in before.

From these the user can sign in while anonymous callers wait.
"""

from __future__ import annotations

from sqlalchemy import bindparam, delete, select

from manifest_auth.store import TenantUnit, tenant_scoped, upsert
from manifest_auth.store.tables import known_origins
from manifest_auth.throttle import throttle

_O = known_origins.c
_KNOWN = tenant_scoped(
    select(_O.origin).where(
        _O.user_id == bindparam("user_id"), _O.origin.in_([bindparam("device"), bindparam("address")])
    ),
    str,
)
_KNOWN_DEVICE = tenant_scoped(select(_O.origin).where(_O.origin == bindparam("origin")).limit(1), str)
_REMEMBER = tenant_scoped(
    upsert(known_origins)
    .values(user_id=bindparam("user_id"), origin=bindparam("origin"), seen_at=bindparam("now"))
    .on_conflict_do_update(index_elements=["user_id", "origin"], set_={"seen_at": bindparam("now")})
)
_FORGET = tenant_scoped(delete(known_origins).where(_O.user_id == bindparam("user_id")))


def is_known(unit: TenantUnit, user_id: int, origin: str) -> bool:
    """Whether the user signed in from that origin before."""
    return unit.first(_KNOWN, user_id=user_id, device=origin, address=origin) is not None


def is_known_device(unit: TenantUnit, device: str) -> bool:
    """Whether any user of the client signed in from that device before."""
    return unit.first(_KNOWN_DEVICE, origin=throttle.device_origin(device)) is not None


def remember(unit: TenantUnit, user_id: int, origin: str, now: int) -> None:
    """Stores that the user signed in from that origin."""
    unit.change_later(_REMEMBER, user_id=user_id, origin=origin, now=now)


def forget(unit: TenantUnit, user_id: int) -> int:
    """Deletes the user's origins; how many there were."""
    return unit.change(_FORGET, user_id=user_id)
