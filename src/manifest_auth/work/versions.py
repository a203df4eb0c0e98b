"""Rows of template versions.

The statements themselves prevent changes of published versions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, insert, select, update

from manifest_auth.errors import Conflict, existing
from manifest_auth.store import TenantUnit, among, numbers, tenant_scoped
from manifest_auth.store.tables import template_versions, templates
from manifest_auth.work.actor import Actor, check_row_count, numbered_rows
from manifest_auth.work.template_rules import FINAL, VersionStatus


class Version(NamedTuple):
    """``number``: within the template. ``status``: a value of ``VersionStatus``. ``revision``: counts the edits."""

    id: int
    template_id: int
    number: int
    status: str
    revision: int
    created_by: int
    created_at: int
    published_at: int | None


_C, _T = template_versions.c, templates.c
_ALL = select(*(_C[name] for name in Version._fields))
_BY_ID = tenant_scoped(_ALL.where(_C.id == bindparam("id")), Version)
_MANY = tenant_scoped(_ALL.where(among(_C.id, "ids")), Version)
_OF = _ALL.join(templates, _T.id == _C.template_id).where(among(_T.id, "ids"))
_LATEST = tenant_scoped(_OF.where(_C.number == _T.versions), Version)
_PUBLISHED = tenant_scoped(_OF.where(_C.number == _T.published), Version)
_NUMBERED = numbered_rows(_ALL, _C.template_id, Version)
_NEW = ("template_id", "number", "status", "revision", "created_by", "created_at", "published_at")
_ADD = tenant_scoped(insert(template_versions).values({name: bindparam(name) for name in _NEW}).returning(_C.id), int)
# Published versions never change, whatever the caller passes: only _RETIRE updates them.
_CHANGE = tenant_scoped(
    update(template_versions)
    .where(
        _C.id == bindparam("of"),
        _C.status == bindparam("seen_status"),
        _C.revision == bindparam("seen_revision"),
        *(_C.status != status.value for status in FINAL),
    )
    .values({name: bindparam("new_" + name) for name in ("status", "revision", "published_at")})
)
_RETIRE = tenant_scoped(
    update(template_versions)
    .where(
        _C.template_id == bindparam("of"),
        _C.number == bindparam("at"),
        _C.status == VersionStatus.PUBLISHED.value,
    )
    .values(status=VersionStatus.RETIRED.value)
)


def get(unit: TenantUnit, version_id: int) -> Version:
    """Raises NotFound."""
    return existing(unit.first(_BY_ID, id=version_id))


def get_many(unit: TenantUnit, ids: Sequence[int]) -> list[Version]:
    """The tenant's versions with these ids, in no order."""
    return unit.all(_MANY, ids=numbers(ids))


def latest_of(unit: TenantUnit, template_ids: Sequence[int]) -> list[Version]:
    """The latest version of each of these templates, in no order."""
    return unit.all(_LATEST, ids=numbers(template_ids))


def published_of(unit: TenantUnit, template_ids: Sequence[int]) -> list[Version]:
    """The published version of each of these templates that has one, in no order."""
    return unit.all(_PUBLISHED, ids=numbers(template_ids))


def find_published(unit: TenantUnit, template_id: int) -> Version | None:
    """The published version, from which jobs are made; None: there is none."""
    return next(iter(published_of(unit, [template_id])), None)


def numbered(unit: TenantUnit, template_ids: Sequence[int], after: int, first: int) -> list[Version]:
    """At most ``first`` versions of each template after the number ``after``, in order. Raises ValidationError for too
    many rows."""
    return check_row_count(unit.all(_NUMBERED, ids=numbers(template_ids), after=after, until=after + first))


def add(unit: TenantUnit, by: Actor, template_id: int, number: int) -> Version:
    """Adds a draft without steps."""
    made = Version(
        id=0,
        template_id=template_id,
        number=number,
        status=VersionStatus.DRAFT,
        revision=1,
        created_by=by.user_id,
        created_at=by.at,
        published_at=None,
    )
    added = unit.one(_ADD, **{name: getattr(made, name) for name in _NEW})
    return made._replace(id=added)


def change(unit: TenantUnit, seen: Version, changed: Version) -> Version:
    """Changes status, revision or time of publication from the snapshot ``seen``. Raises Conflict when the version has
    changed, or was published already."""
    values = {f"new_{name}": getattr(changed, name) for name in ("status", "revision", "published_at")}
    if unit.change(_CHANGE, of=seen.id, seen_status=seen.status, seen_revision=seen.revision, **values) != 1:
        raise Conflict("Another user has just changed this version: read it again")
    return changed


def retire(unit: TenantUnit, template_id: int, number: int) -> None:
    """Retires the published version. Raises Conflict when it is not published."""
    if unit.change(_RETIRE, of=template_id, at=number) != 1:
        raise Conflict("The version is not published")
