"""Completed steps of jobs.

Steps are completed in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, insert, select

from manifest_auth.store import TenantUnit, among, numbers, tenant_scoped
from manifest_auth.store.tables import job_steps, template_steps
from manifest_auth.work import job_rules, jobs, records
from manifest_auth.work.actor import MOST_ROWS, Actor, check_row_count
from manifest_auth.work.job_log import LogDetails
from manifest_auth.work.job_rules import JobMove
from manifest_auth.work.jobs import Job


class Completion(NamedTuple):
    """``number``: of the step."""

    job_id: int
    number: int
    completed_by: int
    completed_at: int


_C, _S = job_steps.c, template_steps.c
_ADD = tenant_scoped(insert(job_steps).values({name: bindparam(name) for name in Completion._fields}))
_OF = tenant_scoped(
    select(*(_C[name] for name in Completion._fields))
    .where(among(_C.job_id, "ids"))
    .order_by(_C.job_id, _C.number)
    .limit(MOST_ROWS + 1),
    Completion,
)
_RULE = tenant_scoped(
    select(_S.requires_evidence).where(_S.version_id == bindparam("version"), _S.number == bindparam("number")), int
)


def complete(unit: TenantUnit, by: Actor, job_id: int, number: int) -> Job:
    """Completes a step. Raises NotFound for job or step, Conflict for a job that is not in progress, another step, or
    missing evidence."""
    job = jobs.get(unit, job_id, lock=True)
    needs_evidence = unit.first(_RULE, version=job.version_id, number=number)
    is_evident = not needs_evidence or records.count(unit, job.id, number) > 0
    state = job_rules.step_completed(jobs.state_of(job), number, is_evident=is_evident)
    unit.change(_ADD, job_id=job.id, number=number, completed_by=by.user_id, completed_at=by.at)
    return jobs.move(unit, by, job, JobMove.STEP_COMPLETED, state, LogDetails(step=number))


def of_jobs(unit: TenantUnit, job_ids: Sequence[int]) -> list[Completion]:
    """The completed steps of these jobs, in order. Raises ValidationError for too many rows."""
    return check_row_count(unit.all(_OF, ids=numbers(job_ids)))
