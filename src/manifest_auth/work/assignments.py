"""Assignments of users to jobs."""

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
from manifest_auth.work.actor import MOST_ROWS, Actor, check_row_count
from manifest_auth.work.job_rules import JobMove
from manifest_auth.work.jobs import Job, LogDetails


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
    """The assignments of these jobs, ordered by user id. Raises ValidationError for too many rows."""
    return check_row_count(unit.all(_OF, ids=numbers(job_ids)))


def check_able(unit: TenantUnit, user_ids: Sequence[int], field: str) -> None:
    """Checks that the users, or service accounts, may execute jobs. Raises NotFound for one of no or another client,
    ValidationError for one who is deactivated or lacks the permission."""
    found = users.get_named(unit, user_ids)
    if len(found) < len(set(user_ids)):
        raise NotFound()
    wrong = []
    for user in found:
        if user.deactivated_at is not None:
            wrong.append((field, f"User {user.id} is deactivated"))
        elif Permission.JOBS_EXECUTE not in permissions_of(user.roles):
            wrong.append((field, f"User {user.id} may not execute jobs"))
    if wrong:
        raise ValidationError(details=wrong)


def assign(unit: TenantUnit, by: Actor, job_id: int, user_id: int) -> Job:
    """Assigns a user. Raises NotFound for job or user, ValidationError for a user who cannot execute jobs, Conflict for
    an ended job, a user who is assigned already, or too many users."""
    job = jobs.get(unit, job_id, lock=True)
    check_able(unit, [user_id], "userId")
    return put(unit, by, job, user_id)


def put(unit: TenantUnit, by: Actor, job: Job, user_id: int) -> Job:
    """Assigns a user to a job whose row is locked. Raises Conflict, see :func:`assign`."""
    before = _user_ids(unit, job)
    state = job_rules.assigned(jobs.state_of(job, len(before)))
    if user_id in before:
        raise Conflict("The user is assigned already")
    unit.change(_ADD, job_id=job.id, user_id=user_id, assigned_by=by.user_id, assigned_at=by.at)
    details = LogDetails(changes={"assignedUserIds": (before, sorted([*before, user_id]))})
    return jobs.move(unit, by, job, JobMove.ASSIGNED, state, details)


def unassign(unit: TenantUnit, by: Actor, job_id: int, user_id: int) -> Job:
    """Removes an assignment. Raises NotFound for job or user, Conflict for an ended job or a user who is not
    assigned."""
    job = jobs.get(unit, job_id, lock=True)
    if not users.get_named(unit, [user_id]):
        raise NotFound()
    before = _user_ids(unit, job)
    state = job_rules.unassigned(jobs.state_of(job, len(before)))
    if unit.change(_REMOVE, job=job.id, user=user_id) != 1:
        raise Conflict("The user is not assigned")
    details = LogDetails(changes={"assignedUserIds": (before, [one for one in before if one != user_id])})
    return jobs.move(unit, by, job, JobMove.UNASSIGNED, state, details)


def _user_ids(unit: TenantUnit, job: Job) -> list[int]:
    return [one.user_id for one in of_jobs(unit, [job.id])]
