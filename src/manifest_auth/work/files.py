"""Files of evidence: their rows, and uploads, each of which reserves its size in the client's quota."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import bindparam, delete, insert, select, update

from manifest_auth.errors import Overloaded, PayloadTooLarge, RateLimited, existing
from manifest_auth.store import SystemUnit, TenantUnit, among, cross_tenant, numbers, tenant_scoped, upsert
from manifest_auth.store.tables import file_totals, files
from manifest_auth.store.tables import uploads as uploads_table
from manifest_auth.work.actor import Actor

# A row names the key of the bytes before they are stored, so that a killed process leaves no bytes without a row. If an
# upload is incomplete after the longest time that its size could take, row and bytes are dropped.

QUOTA_EXCEEDED = "The client's files would exceed their quota"
#: Uploads at the same time, across all processes.
OF_USER: Final = 4
OF_CLIENT: Final = 16
_AGAIN_S = 5
_BLOCK = 4096  # minimum bytes that a file takes on a disk


_U, _TENANT = uploads_table.c, file_totals.c
_none = upsert(file_totals).values(bytes=0)
#: The client's total. The row is locked, so that uploads of a client are checked one after another.
_TOTAL = tenant_scoped(
    _none.on_conflict_do_update(index_elements=["tenant_id"], set_={"bytes": _TENANT.bytes}).returning(_TENANT.bytes),
    int,
)
_UNDER_WAY = tenant_scoped(select(_U.user_id, _U.size).where(_U.expires_at > bindparam("now")))
_RESERVE = tenant_scoped(
    insert(uploads_table).values({name: bindparam(name) for name in ("key", "user_id", "size", "expires_at")})
)
_RELEASE = tenant_scoped(delete(uploads_table).where(_U.key == bindparam("of_key")))
_ABANDONED = cross_tenant(
    select(_U.tenant_id, _U.key).where(_U.expires_at < bindparam("before")).limit(100),
    because="one job deletes abandoned uploads of all tenants",
)


def count_bytes(size: int) -> int:
    """Returns how much of the quota a file of this many bytes uses. Otherwise files of one byte each would fill a disk
    without using up the quota."""
    return max(size, _BLOCK)


def reserve(
    unit: TenantUnit, by: Actor, *, key: str, declared: int | None, largest: int, quota: int, expires_at: int
) -> int:
    """Reserves ``declared`` bytes. An upload that declares nothing reserves all that it can take, at most ``largest``.
    Returns the number of bytes that can arrive. Raises RateLimited, PayloadTooLarge."""
    total = unit.one(_TOTAL)
    under_way = unit.all(_UNDER_WAY, now=by.at)
    of_user = sum(user_id == by.user_id for user_id, _ in under_way)
    if of_user >= OF_USER or len(under_way) >= OF_CLIENT:
        raise RateLimited("Too many files are being uploaded, try again shortly", retry_after=_AGAIN_S)
    left = quota - total - sum(count_bytes(size) for _, size in under_way)
    size = min(largest, left) if declared is None else declared
    if count_bytes(size) > left:
        raise PayloadTooLarge(QUOTA_EXCEEDED)
    unit.change(_RESERVE, key=key, user_id=by.user_id, size=size, expires_at=expires_at)
    return size


def release(unit: TenantUnit, key: str) -> bool:
    """Releases a reservation. Returns False if it no longer exists."""
    return bool(unit.change(_RELEASE, of_key=key))


def abandoned(unit: SystemUnit, before: int) -> list[tuple[int, str]]:
    """Lists some uploads that can no longer be completed: the tenant's ID, and the key."""
    return unit.all(_ABANDONED, before=before)


PATH = "/api/client/files"


class File(NamedTuple):
    """A stored file. ``used_at`` is when a job first recorded it. Until then it can be deleted."""

    id: int
    key: str
    name: str
    media_type: str
    size: int
    sha256: str
    uploaded_by: int
    uploaded_at: int
    used_at: int | None

    @property
    def path(self) -> str:
        """The path of the download."""
        return f"{PATH}/{self.id}"


_C = files.c
_ALL = select(*(_C[name] for name in File._fields))
_BY_ID = tenant_scoped(_ALL.where(_C.id == bindparam("id")), File)
_MANY = tenant_scoped(_ALL.where(among(_C.id, "ids")), File)
_NEW = ("key", "name", "media_type", "size", "sha256", "uploaded_by", "uploaded_at")
_ADD = tenant_scoped(insert(files).values({name: bindparam(name) for name in _NEW}).returning(_C.id), int)
_UNUSED = cross_tenant(
    select(_C.id, _C.tenant_id, _C.key).where(_C.used_at.is_(None), _C.uploaded_at < bindparam("before")).limit(100),
    because="one job deletes unused files of all tenants",
)
_DROP = tenant_scoped(delete(files).where(_C.id == bindparam("id"), _C.used_at.is_(None)).returning(_C.size), int)
_T = file_totals.c
_more = upsert(file_totals).values(bytes=bindparam("size"))
_grown = _T.bytes + _more.excluded.bytes
_COUNT = tenant_scoped(
    _more.on_conflict_do_update(
        index_elements=["tenant_id"], set_={"bytes": _grown}, where=_grown <= bindparam("quota")
    )
)
_FREE = tenant_scoped(update(file_totals).values(bytes=_T.bytes - bindparam("size")))
_USE = tenant_scoped(
    update(files).where(_C.id == bindparam("of"), _C.used_at.is_(None)).values(used_at=bindparam("now"))
)


def add(
    unit: TenantUnit, by: Actor, *, key: str, name: str, media_type: str, size: int, sha256: str, quota: int
) -> File:
    """Adds the row of a file whose bytes are stored, in place of its reservation, and counts it in the tenant's total.
    Raises PayloadTooLarge, and Overloaded if the reservation had expired, because its bytes might already be
    dropped."""
    if not release(unit, key):
        raise Overloaded("The upload took too long", retry_after=1, reason="upload: its reservation had expired")
    counted = count_bytes(size)
    if counted > quota or not unit.change(_COUNT, size=counted, quota=quota):
        raise PayloadTooLarge(QUOTA_EXCEEDED)
    added = unit.one(
        _ADD,
        key=key,
        name=name,
        media_type=media_type,
        size=size,
        sha256=sha256,
        uploaded_by=by.user_id,
        uploaded_at=by.at,
    )
    return get(unit, added)


def unused(unit: SystemUnit, before: int) -> list[tuple[int, int, str]]:
    """Lists some files that no job has recorded since their upload: file ID, tenant ID, and key."""
    return unit.all(_UNUSED, before=before)


def drop_unused(unit: TenantUnit, file_id: int) -> bool:
    """Deletes the row. Returns False if a job has recorded the file in the meantime."""
    dropped = unit.first(_DROP, id=file_id)
    if dropped is None:
        return False
    unit.change(_FREE, size=count_bytes(dropped))
    return True


def get(unit: TenantUnit, file_id: int) -> File:
    """Returns the file. Raises NotFound."""
    return existing(unit.first(_BY_ID, id=file_id))


def get_many(unit: TenantUnit, ids: Sequence[int]) -> list[File]:
    """Returns the tenant's files with these IDs, in no particular order."""
    return unit.all(_MANY, ids=numbers(ids))


def use(unit: TenantUnit, by: Actor, file_id: int) -> File:
    """Marks a file as used, so that it is kept, and returns it. The mark comes before the read, so that a concurrent
    sweep of unused files either sees it or came first. Raises NotFound."""
    unit.change(_USE, of=file_id, now=by.at)
    return get(unit, file_id)
