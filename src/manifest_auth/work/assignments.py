"""Who is assigned to a job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, delete, insert, select

from manifest_auth.accounts import users
from manifest_auth.errors import Conflict, NotFound, ValidationError
from manifest_auth.permissions import Permission, permissions_of
from manifest_auth.store import TenantUnit, among, numbers, tenant_scoped
from manifest_auth.store.tables import job_assignments
from manifest_auth.work import job_rules, jobs
from manifest_auth.work.actor import MOST_ROWS, Actor, few
from manifest_auth.work.job_log import Note
from manifest_auth.work.job_rules import JobMove
from manifest_auth.work.jobs import Job


class Assignment(NamedTuple):
    job_id: int
    user_id: int


_C = job_assignments.c
_OF = tenant_scoped(
    select(_C.job_id, _C.user_id).where(among(_C.job_id, "ids")).order_by(_C.job_id, _C.user_id).limit(MOST_ROWS + 1),
    Assignment,
)
_ADD = tenant_scoped(
    insert(job_assignments).values(
        {name: bindparam(name) for name in ("job_id", "user_id", "assigned_by", "assigned_at")}
    )
)
_REMOVE = tenant_scoped(delete(job_assignments).where(_C.job_id == bindparam("job"), _C.user_id == bindparam("user")))


def of_jobs(unit: TenantUnit, job_ids: Sequence[int]) -> list[Assignment]:
    """Each job's by the users' numbers. Raises ValidationError when that is too much at once."""
    return few(unit.all(_OF, ids=numbers(job_ids)))


def check_able(unit: TenantUnit, user_ids: Sequence[int], field: str) -> None:
    """Jobs are assigned to those who can execute them. Raises NotFound for a user that the client does not have,
    ValidationError for one who is deactivated or may not."""
    found = users.get_many(unit, user_ids)
    if len(found) < len(set(user_ids)):
        raise NotFound()
    for user in found:
        if user.deactivated_at is not None:
            raise ValidationError(details=[(field, f"User {user.id} is deactivated")])
        if Permission.JOBS_EXECUTE not in permissions_of(user.roles):
            raise ValidationError(details=[(field, f"User {user.id} may not execute jobs")])


def assign(unit: TenantUnit, by: Actor, job_id: int, user_id: int) -> Job:
    """Raises NotFound for job or user, ValidationError for a user who cannot execute jobs, Conflict: ended, assigned
    already, or as many as there may be."""
    job = jobs.get(unit, job_id, lock=True)
    check_able(unit, [user_id], "userId")
    return put(unit, by, job, user_id)


def put(unit: TenantUnit, by: Actor, job: Job, user_id: int) -> Job:
    """One more user of a job whose row is locked. Raises Conflict, see :func:`assign`."""
    before = _user_ids(unit, job)
    state = job_rules.assigned(jobs.state_of(job, len(before)))
    if user_id in before:
        raise Conflict("The user is assigned already")
    unit.change(_ADD, job_id=job.id, user_id=user_id, assigned_by=by.user_id, assigned_at=by.at)
    note = Note(changes={"assignedUserIds": (before, sorted([*before, user_id]))})
    return jobs.move(unit, by, job, JobMove.ASSIGNED, state, note)


def unassign(unit: TenantUnit, by: Actor, job_id: int, user_id: int) -> Job:
    """Raises NotFound for job or user, Conflict: ended, or the user is not assigned."""
    job = jobs.get(unit, job_id, lock=True)
    users.get(unit, user_id)
    before = _user_ids(unit, job)
    state = job_rules.unassigned(jobs.state_of(job, len(before)))
    if unit.change(_REMOVE, job=job.id, user=user_id) != 1:
        raise Conflict("The user is not assigned")
    note = Note(changes={"assignedUserIds": (before, [one for one in before if one != user_id])})
    return jobs.move(unit, by, job, JobMove.UNASSIGNED, state, note)


def _user_ids(unit: TenantUnit, job: Job) -> list[int]:
    return [one.user_id for one in of_jobs(unit, [job.id])]
