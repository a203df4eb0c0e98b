"""Origins: devices and networks from which a user signed in before.

From these the user can sign in while anonymous callers wait.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, bindparam, delete, func, select

from manifest_auth.store import TenantUnit, among, tenant_condition, tenant_scoped, texts, upsert
from manifest_auth.store.tables import known_origins
from manifest_auth.throttle import throttle
from manifest_auth.throttle.throttle import is_ip_address

_O = known_origins.c


def _seen(origin: str) -> ColumnElement[str]:
    same = _O.user_id == bindparam("user_id"), _O.origin == bindparam(origin)
    return select(_O.origin).where(tenant_condition(known_origins), *same).correlate(None).scalar_subquery()


#: The origin that the user signed in from before, for a statement of the tenant; takes :func:`looked_for`.
KNOWN = func.coalesce(_seen("device"), _seen("address"))
_KNOWN = tenant_scoped(select(KNOWN).where(_O.user_id == bindparam("user_id")).limit(1), str)
_KNOWN_DEVICE = tenant_scoped(select(_O.origin).where(among(_O.origin, "origins")).order_by(_O.origin).limit(1), str)
_REMEMBER = tenant_scoped(
    upsert(known_origins)
    .values(user_id=bindparam("user_id"), origin=bindparam("origin"), seen_at=bindparam("now"))
    .on_conflict_do_update(
        index_elements=["tenant_id", "user_id", "origin"],
        set_={"seen_at": bindparam("now")},
        where=_O.seen_at <= bindparam("stale"),
    )
)
#: How exact it is when an address was seen: all that it decides is when the row is deleted, after more than a year.
_ADDRESS_MS = throttle.DAY_MS
_FORGET = tenant_scoped(delete(known_origins).where(_O.user_id == bindparam("user_id")))


def looked_for(user_id: int, device: str | None, address: str) -> dict[str, Any]:
    """Device and address of a request, the device first. ``user_id``: 0 for a missing account, which takes as long."""
    here = throttle.address_origin(address)
    return {"user_id": user_id, "device": throttle.device_origin(device) if device else here, "address": here}


def known(unit: TenantUnit, user_id: int, device: str | None, address: str) -> str | None:
    """The origin of a request, if the user signed in from it before."""
    return unit.first(_KNOWN, **looked_for(user_id, device, address))


def known_device(unit: TenantUnit, devices: Iterable[str]) -> str | None:
    """The origin of one of those devices from which any user of the client signed in before."""
    return unit.first(_KNOWN_DEVICE, origins=texts(map(throttle.device_origin, devices)))


def remember(unit: TenantUnit, user_id: int, device: str, address: str, now: int) -> None:
    """Stores that the user signed in from that device, and from that address if it is one."""
    unit.change_later(_REMEMBER, user_id=user_id, origin=throttle.device_origin(device), now=now, stale=now)
    if is_ip_address(address):
        origin, stale = throttle.address_origin(address), now - _ADDRESS_MS
        unit.change_later(_REMEMBER, user_id=user_id, origin=origin, now=now, stale=stale)


def forget(unit: TenantUnit, user_id: int) -> int:
    """Deletes the user's origins; how many there were."""
    return unit.change(_FORGET, user_id=user_id)
