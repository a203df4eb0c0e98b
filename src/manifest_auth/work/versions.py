"""Versions of templates and their steps: rows, validation, and the statement that writes all steps of a draft."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, delete, func, insert, select, update

from manifest_auth.errors import Conflict, ValidationError, existing
from manifest_auth.store import TenantUnit, among, cell, numbers, row_list, rows, tenant_condition, tenant_scoped
from manifest_auth.store.tables import template_steps, template_versions, templates
from manifest_auth.text import fields
from manifest_auth.text.models import ErrorCollector
from manifest_auth.work.actor import MOST_ROWS, Actor, check_row_count, numbered_rows
from manifest_auth.work.templates import FINAL, VersionStatus

# The statements themselves prevent changes of published versions.


class Version(NamedTuple):
    """A stored version. ``number``: within the template; ``status``: a value of ``VersionStatus``; ``revision``: counts
    the edits."""

    id: int
    template_id: int
    number: int
    status: str
    revision: int
    created_by: int
    created_at: int
    published_at: int | None = None


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
    .where(_C.template_id == bindparam("of"), _C.number == bindparam("at"), _C.status == VersionStatus.PUBLISHED.value)
    .values(status=VersionStatus.RETIRED.value)
)


def get(unit: TenantUnit, version_id: int) -> Version:
    """Returns the version. Raises NotFound."""
    return existing(unit.first(_BY_ID, id=version_id))


def get_many(unit: TenantUnit, ids: Sequence[int]) -> list[Version]:
    """Returns the tenant's versions with these IDs, in no particular order."""
    return unit.all(_MANY, ids=numbers(ids))


def latest_of(unit: TenantUnit, template_ids: Sequence[int]) -> list[Version]:
    """Returns the latest version of each of these templates, in no particular order."""
    return unit.all(_LATEST, ids=numbers(template_ids))


def published_of(unit: TenantUnit, template_ids: Sequence[int]) -> list[Version]:
    """Returns the published version of each of these templates that has one, in no particular order."""
    return unit.all(_PUBLISHED, ids=numbers(template_ids))


def numbered(unit: TenantUnit, template_ids: Sequence[int], after: int, first: int) -> list[Version]:
    """Lists at most ``first`` versions of each template after the number ``after``, in order. Raises ValidationError
    for too many rows."""
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
    )
    return made._replace(id=unit.one(_ADD, **{name: getattr(made, name) for name in _NEW}))


def change(unit: TenantUnit, seen: Version, changed: Version) -> Version:
    """Changes status, revision or time of publication from the snapshot ``seen``. Raises Conflict if the version has
    changed, or was already published."""
    values = {f"new_{name}": getattr(changed, name) for name in ("status", "revision", "published_at")}
    if unit.change(_CHANGE, of=seen.id, seen_status=seen.status, seen_revision=seen.revision, **values) != 1:
        raise Conflict("Another user just changed this version. Load it again")
    return changed


def retire(unit: TenantUnit, template_id: int, number: int) -> None:
    """Retires the published version. Raises Conflict if it is not published."""
    if unit.change(_RETIRE, of=template_id, at=number) != 1:
        raise Conflict("The version isn't published")


MOST_STEPS = 200


class NewStep(NamedTuple):
    """A new step, see :func:`check_steps`."""

    title: str
    instructions: str = ""
    requires_evidence: bool = False


class Step(NamedTuple):
    """A stored step. ``number``: 1, 2, 3 … within the version; ``requires_evidence``: 0 or 1."""

    version_id: int
    number: int
    title: str
    instructions: str
    requires_evidence: int


_STEP = template_steps.c
_STEPS_OF = tenant_scoped(
    select(*(_STEP[name] for name in Step._fields))
    .where(among(_STEP.version_id, "ids"))
    .order_by(_STEP.version_id, _STEP.number)
    .limit(MOST_ROWS + 1),
    Step,
)
_V = template_versions.c
_NEW_STEPS = row_list("steps")
_WRITTEN = ("number", "title", "instructions", "requires_evidence")
# Both statements only change drafts, whatever the caller passes: published versions never change.
_CLEAR = tenant_scoped(
    delete(template_steps).where(
        _STEP.version_id == bindparam("id"),
        _STEP.version_id.in_(
            select(_V.id).where(tenant_condition(template_versions), _V.status == VersionStatus.DRAFT.value)
        ),
    )
)
_PUT = tenant_scoped(
    insert(template_steps).from_select(
        ["version_id", *_WRITTEN],
        select(_V.id, *(cell(_NEW_STEPS, position, _STEP[name]) for position, name in enumerate(_WRITTEN))).where(
            _V.id == bindparam("id"), _V.status == VersionStatus.DRAFT.value
        ),
    )
)
_COUNT = tenant_scoped(select(func.count()).select_from(template_steps).where(_STEP.version_id == bindparam("id")), int)


def steps_of(unit: TenantUnit, version_ids: Sequence[int]) -> list[Step]:
    """Lists the steps of these versions, in order. Raises ValidationError for too many rows."""
    return check_row_count(unit.all(_STEPS_OF, ids=numbers(version_ids)))


def count_steps(unit: TenantUnit, version_id: int) -> int:
    """Returns the number of steps of a version."""
    return unit.one(_COUNT, id=version_id)


def check_steps(steps: Sequence[NewStep]) -> Sequence[NewStep]:
    """Returns the steps after checking them. Raises ValidationError for too many steps, and one that names every
    missing title and every too long text."""
    if len(steps) > MOST_STEPS:
        raise ValidationError(details=[("steps", f"Enter at most {MOST_STEPS} steps")])
    with ErrorCollector() as each:
        for number, step in enumerate(steps):
            with each:
                fields.STEP_TITLE.check(step.title, f"steps[{number}].title")
            with each:
                fields.INSTRUCTIONS.check(step.instructions, f"steps[{number}].instructions")
    return steps


def put_steps(unit: TenantUnit, version_id: int, steps: Sequence[NewStep]) -> None:
    """Replaces all steps. Raises Conflict if the version is not a draft."""
    unit.change(_CLEAR, id=version_id)
    written = [(number, s.title, s.instructions, int(s.requires_evidence)) for number, s in enumerate(steps, 1)]
    if unit.change(_PUT, id=version_id, steps=rows(written)) != len(written):
        raise Conflict("Only a draft can be edited")
