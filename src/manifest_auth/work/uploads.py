"""Files on their way: each reserves its size in the client's quota before a byte of it is taken.

A row names the key of the bytes before they are stored, so that a process that is killed leaves none that no row names:
what is not complete when the longest upload of its size would be is dropped, row and bytes.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from sqlalchemy import bindparam, delete, insert, select

from manifest_auth.errors import PayloadTooLarge, RateLimited
from manifest_auth.store import SystemUnit, TenantUnit, cross_tenant, tenant_scoped, upsert
from manifest_auth.store.tables import file_totals, uploads
from manifest_auth.work.actor import Actor

QUOTA_EXCEEDED = "The client's files would exceed their quota"
#: Uploads at once, over all processes.
OF_USER: Final = 4
OF_CLIENT: Final = 16
_AGAIN_S = 5
_BLOCK = 4096  # bytes that a file takes on a disk at least


class _UnderWay(NamedTuple):
    user_id: int
    size: int


class Abandoned(NamedTuple):
    """An upload that can no longer be complete."""

    tenant_id: int
    key: str


_C, _T = uploads.c, file_totals.c
_none = upsert(file_totals).values(bytes=0)
#: The client's total. The row is locked, so that uploads of a client are judged one after the other.
_TOTAL = tenant_scoped(
    _none.on_conflict_do_update(index_elements=["tenant_id"], set_={"bytes": _T.bytes}).returning(_T.bytes), int
)
_UNDER_WAY = tenant_scoped(select(_C.user_id, _C.size).where(_C.expires_at > bindparam("now")), _UnderWay)
_RESERVE = tenant_scoped(
    insert(uploads).values({name: bindparam(name) for name in ("key", "user_id", "size", "expires_at")})
)
_RELEASE = tenant_scoped(delete(uploads).where(_C.key == bindparam("of_key")))
_ABANDONED = cross_tenant(
    select(_C.tenant_id, _C.key).where(_C.expires_at < bindparam("before")).limit(100),
    Abandoned,
    because="abandoned uploads of all tenants are dropped",
)


def counted(size: int) -> int:
    """How much a file of so many bytes counts: files of a byte each would fill a disk and leave the quota as it is."""
    return max(size, _BLOCK)


def reserve(
    unit: TenantUnit, by: Actor, *, key: str, declared: int | None, largest: int, quota: int, expires_at: int
) -> int:
    """Reserves ``declared`` bytes; of an upload that declares nothing all that it may take, ``largest`` at most. The
    number of bytes that may come. Raises RateLimited, PayloadTooLarge."""
    total = unit.one(_TOTAL)
    under_way = unit.all(_UNDER_WAY, now=by.at)
    of_user = sum(one.user_id == by.user_id for one in under_way)
    if of_user >= OF_USER or len(under_way) >= OF_CLIENT:
        raise RateLimited("Too many files are uploaded at once, try again shortly", retry_after=_AGAIN_S)
    left = quota - total - sum(counted(one.size) for one in under_way)
    size = min(largest, left) if declared is None else declared
    if counted(size) > left:
        raise PayloadTooLarge(QUOTA_EXCEEDED)
    unit.change(_RESERVE, key=key, user_id=by.user_id, size=size, expires_at=expires_at)
    return size


def release(unit: TenantUnit, key: str) -> bool:
    """Takes a reservation back. False: there is none any more."""
    return bool(unit.change(_RELEASE, of_key=key))


def abandoned(unit: SystemUnit, before: int) -> list[Abandoned]:
    """Some uploads whose time was over."""
    return unit.all(_ABANDONED, before=before)
