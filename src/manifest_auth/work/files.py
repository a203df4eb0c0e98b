"""Files that were uploaded as evidence: their rows. The bytes lie elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, select, update

from manifest_auth.errors import NotFound
from manifest_auth.store import TenantUnit, among, bound, numbers
from manifest_auth.store.tables import files
from manifest_auth.work.acting import Actor


class File(NamedTuple):
    """``used_at``: when it was first recorded in a job. Until then it may go."""

    id: int
    key: str
    name: str
    media_type: str
    size: int
    sha256: str
    uploaded_by: int
    uploaded_at: int
    used_at: int | None


_C = files.c
_ALL = select(*(_C[name] for name in File._fields))
_BY_ID = bound(_ALL.where(_C.id == bindparam("id")), File)
_MANY = bound(_ALL.where(among(_C.id, "ids")), File)
_USE = bound(update(files).where(_C.id == bindparam("of"), _C.used_at.is_(None)).values(used_at=bindparam("now")))


def get(unit: TenantUnit, file_id: int) -> File:
    """Raises NotFound."""
    found = unit.first(_BY_ID, id=file_id)
    if found is None:
        raise NotFound()
    return found


def get_many(unit: TenantUnit, ids: Sequence[int]) -> list[File]:
    """Those of the tenant's files that have one of these ids, in no order."""
    return unit.all(_MANY, ids=numbers(ids))


def use(unit: TenantUnit, by: Actor, file_id: int) -> File:
    """The file, which stays from now on. It is marked before it is looked for, so that whoever sweeps files that nobody
    uses either sees the mark or was there first. Raises NotFound."""
    unit.change(_USE, of=file_id, now=by.at)
    return get(unit, file_id)
