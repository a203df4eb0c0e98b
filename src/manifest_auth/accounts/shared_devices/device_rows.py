"""Rows of shared devices: added, found by their token, listed, removed.

A token has 256 random bits; the store has its SHA-256. A device that no one used for 90 days is no longer known.
"""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

from sqlalchemy import BigInteger, bindparam, func, insert, select, update

from manifest_auth.runtime.settings import DAY
from manifest_auth.store import Listing, SystemUnit, TenantUnit, cross_tenant, tenant_scoped
from manifest_auth.store.tables import enrolled_devices, tenants

UNUSED_MS: Final = 90 * DAY * 1000
TOUCH_EVERY_MS: Final = 60_000


class SharedDevice(NamedTuple):
    """``enrolled_by``: the actor who made its code. Times in milliseconds."""

    id: str
    name: str
    place: str
    enrolled_at: int
    enrolled_by: str
    seen_at: int
    removed_at: int | None


class Found(NamedTuple):
    """A device that is known by its token, of a client that is not suspended. ``client``: its identifier."""

    id: str
    tenant_id: int
    client: str
    name: str


_D, _T = enrolled_devices.c, tenants.c
_ALL = select(*(_D[name] for name in SharedDevice._fields))
_SEEN_AFTER = bindparam("seen_after", type_=BigInteger())
_KNOWN = (_D.removed_at.is_(None), _D.seen_at > _SEEN_AFTER)
_BY_TOKEN = cross_tenant(
    select(_D.id, _D.tenant_id, _T.identifier.label("client"), _D.name)
    .select_from(enrolled_devices.join(tenants, _T.id == _D.tenant_id))
    .where(_D.token == bindparam("token"), *_KNOWN, _T.suspended_at.is_(None)),
    Found,
    because="a device shows its token and nothing else; the token names the tenant",
)
_LOCK = tenant_scoped(_ALL.where(_D.id == bindparam("of_id"), *_KNOWN).with_for_update(), SharedDevice)
_COUNT = tenant_scoped(select(func.count()).select_from(enrolled_devices).where(*_KNOWN), int)
_NEW = ("id", "name", "place", "token", "enrolled_at", "enrolled_by", "seen_at")
_ADD = tenant_scoped(insert(enrolled_devices).values({name: bindparam(name) for name in _NEW}))
_REMOVE = tenant_scoped(update(enrolled_devices).where(_D.id == bindparam("of_id")).values(removed_at=bindparam("now")))
_SEEN = tenant_scoped(
    update(enrolled_devices)
    .where(_D.id == bindparam("of_id"), _D.seen_at < bindparam("before"))
    .values(seen_at=bindparam("now"))
)
#: The devices that are known. Filters take ``like``; every read takes ``seen_after`` (:func:`seen_after`).
LISTING = Listing(
    _ALL.where(*_KNOWN),
    SharedDevice,
    key=_D.id,
    sorts={"ENROLLED": _D.enrolled_at},
    filters={"search": func.lower(_D.name + " " + _D.place).like(bindparam("like"), escape="\\")},
)


def seen_after(now: int) -> int:
    """A device that was not seen after that is no longer known."""
    return now - UNUSED_MS


def find_by_token(unit: SystemUnit, token: str, now: int) -> Found | None:
    """The device of a token; None for one that is unknown, removed, unused for too long, or of a suspended client."""
    return unit.first(_BY_TOKEN, token=token_hash(token), seen_after=seen_after(now))


def lock(unit: TenantUnit, device_id: str, now: int) -> SharedDevice | None:
    """A device that is known, locked until the transaction ends."""
    return unit.first(_LOCK, of_id=device_id, seen_after=seen_after(now))


def count(unit: TenantUnit, now: int) -> int:
    """How many devices are known."""
    return unit.one(_COUNT, seen_after=seen_after(now))


def add(unit: TenantUnit, device: SharedDevice, token: str) -> None:
    known = {name: getattr(device, name) for name in _NEW if name != "token"}
    unit.change(_ADD, token=token_hash(token), **known)


def remove(unit: TenantUnit, device_id: str, now: int) -> None:
    unit.change(_REMOVE, of_id=device_id, now=now)


def seen(unit: TenantUnit, device_id: str, now: int) -> None:
    """Stores that the device showed itself, at most once a minute."""
    unit.change(_SEEN, of_id=device_id, before=now - TOUCH_EVERY_MS, now=now)


def token_hash(token: str) -> str:
    """What the store keeps of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
