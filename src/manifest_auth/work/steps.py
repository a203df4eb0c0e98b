"""Steps of template versions: validation, rows, and the statement that writes all steps of a draft."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, delete, func, insert, select

from manifest_auth.errors import Conflict, ValidationError
from manifest_auth.store import TenantUnit, among, cell, numbers, row_list, rows, tenant_condition, tenant_scoped
from manifest_auth.store.tables import template_steps, template_versions
from manifest_auth.text import fields
from manifest_auth.text.models import ErrorCollector
from manifest_auth.work.actor import MOST_ROWS, check_row_count
from manifest_auth.work.template_rules import VersionStatus

MOST_STEPS = 200


class NewStep(NamedTuple):
    """A new step, see :func:`check`."""

    title: str
    instructions: str = ""
    requires_evidence: bool = False


class Step(NamedTuple):
    """``number``: 1, 2, 3 … within the version. ``requires_evidence``: 0 or 1."""

    version_id: int
    number: int
    title: str
    instructions: str
    requires_evidence: int


_C = template_steps.c
_OF = tenant_scoped(
    select(*(_C[name] for name in Step._fields))
    .where(among(_C.version_id, "ids"))
    .order_by(_C.version_id, _C.number)
    .limit(MOST_ROWS + 1),
    Step,
)
_V = template_versions.c
_NEW_STEPS = row_list("steps")
_WRITTEN = ("number", "title", "instructions", "requires_evidence")
# Both statements only change drafts, whatever the caller passes: published versions never change.
_CLEAR = tenant_scoped(
    delete(template_steps).where(
        _C.version_id == bindparam("id"),
        _C.version_id.in_(
            select(_V.id).where(tenant_condition(template_versions), _V.status == VersionStatus.DRAFT.value)
        ),
    )
)
_PUT = tenant_scoped(
    insert(template_steps).from_select(
        ["version_id", *_WRITTEN],
        select(_V.id, *(cell(_NEW_STEPS, position, _C[name]) for position, name in enumerate(_WRITTEN))).where(
            _V.id == bindparam("id"), _V.status == VersionStatus.DRAFT.value
        ),
    )
)
_COUNT = tenant_scoped(select(func.count()).select_from(template_steps).where(_C.version_id == bindparam("id")), int)


def of_versions(unit: TenantUnit, version_ids: Sequence[int]) -> list[Step]:
    """The steps of these versions, in order. Raises ValidationError for too many rows."""
    return check_row_count(unit.all(_OF, ids=numbers(version_ids)))


def count(unit: TenantUnit, version_id: int) -> int:
    """The number of steps of a version."""
    return unit.one(_COUNT, id=version_id)


def check(steps: Sequence[NewStep]) -> Sequence[NewStep]:
    """The steps, checked. Raises ValidationError for too many steps, and one that names every missing title and every
    too long text."""
    if len(steps) > MOST_STEPS:
        raise ValidationError(details=[("steps", f"At most {MOST_STEPS} steps")])
    with ErrorCollector() as each:
        for number, step in enumerate(steps):
            with each:
                fields.STEP_TITLE.check(step.title, f"steps[{number}].title")
            with each:
                fields.INSTRUCTIONS.check(step.instructions, f"steps[{number}].instructions")
    return steps


def put(unit: TenantUnit, version_id: int, steps: Sequence[NewStep]) -> None:
    """Replaces all steps. Raises Conflict when the version is not a draft."""
    unit.change(_CLEAR, id=version_id)
    written = [(number, s.title, s.instructions, int(s.requires_evidence)) for number, s in enumerate(steps, 1)]
    if unit.change(_PUT, id=version_id, steps=rows(written)) != len(written):
        raise Conflict("Only a draft can be edited")
