"""Records of jobs, numbered from 1 and never changed or removed, and completed steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, func, insert, select

from manifest_auth.store import TenantUnit, among, among_pairs, numbers, pairs, tenant_scoped
from manifest_auth.store.tables import job_records, job_steps, template_steps
from manifest_auth.work import files, job_rules, jobs
from manifest_auth.work.actor import MOST_ROWS, Actor, check_row_count, numbered_rows
from manifest_auth.work.job_rules import JobMove, Value
from manifest_auth.work.jobs import Job, LogDetails


class Record(NamedTuple):
    """A record of a step. ``step`` is its number. The value is as in :class:`manifest_auth.work.job_rules.Value`."""

    job_id: int
    number: int
    step: int
    kind: str
    text: str | None
    value: float | None
    unit: str | None
    file_id: int | None
    recorded_by: int
    recorded_at: int


_C = job_records.c
_ALL = select(*(_C[name] for name in Record._fields))
_ADD = tenant_scoped(insert(job_records).values({name: bindparam(name) for name in Record._fields}))
_COUNT = tenant_scoped(
    select(func.count()).select_from(job_records).where(_C.job_id == bindparam("job"), _C.step == bindparam("step")),
    int,
)
_NUMBERED = numbered_rows(_ALL, _C.job_id, Record)
# Unordered: with an order, SQLite reads all records of the jobs instead of only the steps' records.
_OF_STEPS = tenant_scoped(_ALL.where(among_pairs(_C.job_id, _C.step, "keys")).limit(MOST_ROWS + 1), Record)


def add(unit: TenantUnit, by: Actor, job_id: int, step: int, value: Value) -> Record:
    """Adds a record. Raises NotFound for job, step or file, and Conflict for a job that is not in progress, another
    step, or too many records."""
    job = jobs.get(unit, job_id, lock=True)
    job_rules.recorded(jobs.state_of(job), step, count(unit, job_id, step))
    if value.file_id is not None:
        files.use(unit, by, value.file_id)
    after = jobs.save(unit, by, job, job._replace(records=job.records + 1))
    record = Record(
        job_id=job.id,
        number=after.records,
        step=step,
        kind=value.kind.value,
        text=value.text,
        value=value.value,
        unit=value.unit,
        file_id=value.file_id,
        recorded_by=by.user_id,
        recorded_at=by.at,
    )
    unit.change(_ADD, **record._asdict())
    return record


def count(unit: TenantUnit, job_id: int, step: int) -> int:
    """Returns the number of records of a step."""
    return unit.one(_COUNT, job=job_id, step=step)


def numbered(unit: TenantUnit, job_ids: Sequence[int], after: int, first: int) -> list[Record]:
    """Lists at most ``first`` records of each job after the number ``after``, in order. Raises ValidationError for too
    many rows."""
    return check_row_count(unit.all(_NUMBERED, ids=numbers(job_ids), after=after, until=after + first))


def of_steps(unit: TenantUnit, keys: Sequence[tuple[int, int]]) -> list[Record]:
    """Lists all records of these steps (job ID, step number), in order. Raises ValidationError for too many rows."""
    return sorted(
        check_row_count(unit.all(_OF_STEPS, keys=pairs(keys))), key=lambda record: (record.job_id, record.number)
    )


class Completion(NamedTuple):
    """A completed step. ``number`` is the step's."""

    job_id: int
    number: int
    completed_by: int
    completed_at: int


_STEP, _S = job_steps.c, template_steps.c
_COMPLETE = tenant_scoped(insert(job_steps).values({name: bindparam(name) for name in Completion._fields}))
_OF = tenant_scoped(
    select(*(_STEP[name] for name in Completion._fields))
    .where(among(_STEP.job_id, "ids"))
    .order_by(_STEP.job_id, _STEP.number)
    .limit(MOST_ROWS + 1),
    Completion,
)
_RULE = tenant_scoped(
    select(_S.requires_evidence).where(_S.version_id == bindparam("version"), _S.number == bindparam("number")), int
)


def complete_step(unit: TenantUnit, by: Actor, job_id: int, number: int) -> Job:
    """Completes a step. Raises NotFound for job or step, and Conflict for a job that is not in progress, another step,
    or missing evidence."""
    job = jobs.get(unit, job_id, lock=True)
    needs_evidence = unit.first(_RULE, version=job.version_id, number=number)
    is_evident = not needs_evidence or count(unit, job.id, number) > 0
    state = job_rules.step_completed(jobs.state_of(job), number, is_evident=is_evident)
    unit.change(_COMPLETE, job_id=job.id, number=number, completed_by=by.user_id, completed_at=by.at)
    return jobs.move(unit, by, job, JobMove.STEP_COMPLETED, state, LogDetails(step=number))


def steps_of_jobs(unit: TenantUnit, job_ids: Sequence[int]) -> list[Completion]:
    """Lists the completed steps of these jobs, in order. Raises ValidationError for too many rows."""
    return check_row_count(unit.all(_OF, ids=numbers(job_ids)))
