"""Rows of uploaded evidence files.

The bytes are in the file storage.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, delete, insert, select, update

from manifest_auth.errors import Overloaded, PayloadTooLarge, existing
from manifest_auth.store import SystemUnit, TenantUnit, among, cross_tenant, numbers, tenant_scoped, upsert
from manifest_auth.store.tables import file_totals, files
from manifest_auth.work import uploads
from manifest_auth.work.actor import Actor

PATH = "/api/client/files"


class File(NamedTuple):
    """``used_at``: when it was first recorded in a job. Until then it may be deleted."""

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


class Unused(NamedTuple):
    """A file that may be deleted."""

    id: int
    tenant_id: int
    key: str


_C = files.c
_ALL = select(*(_C[name] for name in File._fields))
_BY_ID = tenant_scoped(_ALL.where(_C.id == bindparam("id")), File)
_MANY = tenant_scoped(_ALL.where(among(_C.id, "ids")), File)
_NEW = ("key", "name", "media_type", "size", "sha256", "uploaded_by", "uploaded_at")
_ADD = tenant_scoped(insert(files).values({name: bindparam(name) for name in _NEW}).returning(_C.id), int)
_UNUSED = cross_tenant(
    select(_C.id, _C.tenant_id, _C.key).where(_C.used_at.is_(None), _C.uploaded_at < bindparam("before")).limit(100),
    Unused,
    because="unused files of all tenants are deleted",
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
    Raises PayloadTooLarge, and Overloaded where the reservation had expired: its bytes may be dropped already."""
    if not uploads.release(unit, key):
        raise Overloaded("The upload took too long", retry_after=1, reason="upload: its reservation had expired")
    counted = uploads.counted(size)
    if counted > quota or not unit.change(_COUNT, size=counted, quota=quota):
        raise PayloadTooLarge(uploads.QUOTA_EXCEEDED)
    added = unit.one(
        _ADD, key=key, name=name, media_type=media_type, size=size, sha256=sha256, uploaded_by=by.user_id,
        uploaded_at=by.at,
    )  # fmt: skip
    return get(unit, added)


def unused(unit: SystemUnit, before: int) -> list[Unused]:
    """Some files that were not recorded in a job since their upload."""
    return unit.all(_UNUSED, before=before)


def drop_unused(unit: TenantUnit, file_id: int) -> bool:
    """Deletes the row. False when the file was recorded in a job meanwhile."""
    dropped = unit.first(_DROP, id=file_id)
    if dropped is None:
        return False
    unit.change(_FREE, size=uploads.counted(dropped))
    return True


def get(unit: TenantUnit, file_id: int) -> File:
    """Raises NotFound."""
    return existing(unit.first(_BY_ID, id=file_id))


def get_many(unit: TenantUnit, ids: Sequence[int]) -> list[File]:
    """The tenant's files with these ids, in no order."""
    return unit.all(_MANY, ids=numbers(ids))


def use(unit: TenantUnit, by: Actor, file_id: int) -> File:
    """Marks a file as used, so that it is kept, and returns it. The mark comes before the read, so that a concurrent
    sweep of unused files either sees it or came first. Raises NotFound."""
    unit.change(_USE, of=file_id, now=by.at)
    return get(unit, file_id)
