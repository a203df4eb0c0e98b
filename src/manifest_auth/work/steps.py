"""Steps of a version."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, func, select

from manifest_auth.store import TenantUnit, among, bound, numbers
from manifest_auth.store.tables import template_steps
from manifest_auth.work.acting import MOST_ROWS, few


class Step(NamedTuple):
    """``number``: 1, 2, 3 … within the version. ``requires_evidence``: 0 or 1."""

    version_id: int
    number: int
    title: str
    instructions: str
    requires_evidence: int


class _Count(NamedTuple):
    steps: int


_C = template_steps.c
_OF = bound(
    select(*(_C[name] for name in Step._fields))
    .where(among(_C.version_id, "ids"))
    .order_by(_C.version_id, _C.number)
    .limit(MOST_ROWS + 1),
    Step,
)
_COUNT = bound(select(func.count()).select_from(template_steps).where(_C.version_id == bindparam("id")), _Count)


def of_versions(unit: TenantUnit, version_ids: Sequence[int]) -> list[Step]:
    """The steps of these versions, each version's in order. Raises ValidationError when that is too much at once."""
    return few(unit.all(_OF, ids=numbers(version_ids)))


def count(unit: TenantUnit, version_id: int) -> int:
    """How many steps a version has."""
    found = unit.first(_COUNT, id=version_id)
    return found.steps if found else 0
