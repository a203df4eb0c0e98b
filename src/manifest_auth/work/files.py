"""Files that were uploaded as evidence: their rows. The bytes lie elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, delete, insert, select, update

from manifest_auth.errors import NotFound
from manifest_auth.store import SystemUnit, TenantUnit, among, bound, crossing, numbers
from manifest_auth.store.tables import files
from manifest_auth.work.acting import Actor

PATH = "/api/client/files"


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

    @property
    def path(self) -> str:
        """Where it can be fetched from."""
        return f"{PATH}/{self.id}"


class Unused(NamedTuple):
    """A file that may go."""

    id: int
    tenant_id: int
    key: str


class _Id(NamedTuple):
    id: int


_C = files.c
_ALL = select(*(_C[name] for name in File._fields))
_BY_ID = bound(_ALL.where(_C.id == bindparam("id")), File)
_MANY = bound(_ALL.where(among(_C.id, "ids")), File)
_NEW = ("key", "name", "media_type", "size", "sha256", "uploaded_by", "uploaded_at")
_ADD = bound(insert(files).values({name: bindparam(name) for name in _NEW}).returning(_C.id), _Id)
_UNUSED = crossing(
    select(_C.id, _C.tenant_id, _C.key).where(_C.used_at.is_(None), _C.uploaded_at < bindparam("before")).limit(100),
    Unused,
    because="files that nobody used are dropped whatever tenant they belong to",
)
_DROP = bound(delete(files).where(_C.id == bindparam("id"), _C.used_at.is_(None)))
_USE = bound(update(files).where(_C.id == bindparam("of"), _C.used_at.is_(None)).values(used_at=bindparam("now")))


def add(unit: TenantUnit, by: Actor, *, key: str, name: str, media_type: str, size: int, sha256: str) -> File:
    """The row of a file whose bytes are kept already."""
    added = unit.first(
        _ADD, key=key, name=name, media_type=media_type, size=size, sha256=sha256, uploaded_by=by.user_id,
        uploaded_at=by.at,
    )  # fmt: skip
    assert added is not None
    return get(unit, added.id)


def unused(unit: SystemUnit, before: int) -> list[Unused]:
    """Files that nobody recorded anywhere since they were uploaded, some at a time."""
    return unit.all(_UNUSED, before=before)


def drop_unused(unit: TenantUnit, file_id: int) -> bool:
    """Takes the row away. False when somebody recorded the file meanwhile."""
    return unit.change(_DROP, id=file_id) == 1


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
