"""Operations on jobs: add, change, start, complete, cancel."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, delete, insert, select

from manifest_auth.accounts import users
from manifest_auth.errors import Conflict, NotFound, ValidationError, existing
from manifest_auth.permissions import Permission, permissions_of
from manifest_auth.store import TenantUnit, among, numbers, tenant_scoped
from manifest_auth.store.tables import job_assignments, templates
from manifest_auth.text import fields
from manifest_auth.text.models import ErrorCollector
from manifest_auth.work import job_rules, jobs, versions
from manifest_auth.work.actor import MOST_ROWS, Actor, check_row_count
from manifest_auth.work.job_rules import MOST_ASSIGNED, JobMove, JobStatus, Priority
from manifest_auth.work.jobs import Job, LogDetails
from manifest_auth.work.templates import Template

_C = job_assignments.c
_OF = tenant_scoped(
    select(_C.job_id, _C.user_id).where(among(_C.job_id, "ids")).order_by(_C.job_id, _C.user_id).limit(MOST_ROWS + 1)
)
_ADD = tenant_scoped(
    insert(job_assignments).values(
        {name: bindparam(name) for name in ("job_id", "user_id", "assigned_by", "assigned_at")}
    )
)
_REMOVE = tenant_scoped(delete(job_assignments).where(_C.job_id == bindparam("job"), _C.user_id == bindparam("user")))


def assignments_of(unit: TenantUnit, job_ids: Sequence[int]) -> list[tuple[int, int]]:
    """Returns job and user of each assignment of these jobs, ordered by user. Raises ValidationError for too many
    rows."""
    return check_row_count(unit.all(_OF, ids=numbers(job_ids)))


def check_able(unit: TenantUnit, user_ids: Sequence[int], field: str) -> None:
    """Checks that the users, or service accounts, can execute jobs. Raises NotFound for a missing user or one of
    another client, and ValidationError for one who is deactivated or lacks the permission."""
    found = users.get_named(unit, user_ids)
    if len(found) < len(set(user_ids)):
        raise NotFound()
    wrong = []
    for user in found:
        if user.deactivated_at is not None:
            wrong.append((field, f"User {user.id} is deactivated"))
        elif Permission.JOBS_EXECUTE not in permissions_of(user.roles):
            wrong.append((field, f"User {user.id} can't execute jobs"))
    if wrong:
        raise ValidationError(details=wrong)


def assign(unit: TenantUnit, by: Actor, job_id: int, user_id: int) -> Job:
    """Assigns a user. Raises NotFound for job or user, ValidationError for a user who cannot execute jobs, Conflict for
    an ended job, a user who is already assigned, or too many users."""
    job = jobs.get(unit, job_id, lock=True)
    check_able(unit, [user_id], "userId")
    return put_assignment(unit, by, job, user_id)


def put_assignment(unit: TenantUnit, by: Actor, job: Job, user_id: int) -> Job:
    """Assigns a user to a job whose row is locked. Raises Conflict, see :func:`assign`."""
    before = _user_ids(unit, job)
    state = job_rules.assigned(jobs.state_of(job, len(before)))
    if user_id in before:
        raise Conflict("The user is already assigned")
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
        raise Conflict("The user isn't assigned")
    details = LogDetails(changes={"assignedUserIds": (before, [one for one in before if one != user_id])})
    return jobs.move(unit, by, job, JobMove.UNASSIGNED, state, details)


def _user_ids(unit: TenantUnit, job: Job) -> list[int]:
    return [user_id for _, user_id in assignments_of(unit, [job.id])]


# A shared lock: no transaction archives the template or publishes another version in the meantime, but several can add
# jobs.
_LOCKED_TEMPLATE = tenant_scoped(
    select(*(templates.c[name] for name in Template._fields))
    .where(templates.c.id == bindparam("id"))
    .with_for_update(read=True),
    Template,
)


def add(
    unit: TenantUnit,
    by: Actor,
    *,
    template_id: int,
    name: str | None = None,
    asset_id: str | None = None,
    priority: Priority = Priority.MEDIUM,
    assigned_user_ids: Sequence[int] = (),
) -> Job:
    """Adds a job with the template's published version. ``name`` defaults to the template's name.

    Raises ValidationError for texts, and for users who cannot execute jobs or are too many; NotFound for the template
    or a user; Conflict for a template that is archived or has no published version.
    """
    wanted = list(dict.fromkeys(assigned_user_ids))
    with ErrorCollector() as each:
        with each:
            _check_texts(name, asset_id)
        template = existing(unit.first(_LOCKED_TEMPLATE, id=template_id))
        with each:
            _check_assigned(unit, wanted)
    if template.archived_at is not None:
        raise Conflict("The template is archived")
    version = next(iter(versions.published_of(unit, [template.id])), None)
    if version is None:
        raise Conflict("The template has no published version")
    state = job_rules.created(versions.count_steps(unit, version.id))
    job = Job(
        id=0,
        template_id=template.id,
        version_id=version.id,
        version=version.number,
        name=template.name if name is None else name,
        asset_id=asset_id or None,
        priority=priority,
        status=state.status.value,
        steps=state.steps,
        done=state.done,
        records=0,
        events=1,
        created_by=by.user_id,
        created_at=by.at,
        changed_at=by.at,
    )
    job = jobs.insert_new(unit, by, job)
    for user_id in wanted:
        job = put_assignment(unit, by, job, user_id)
    return job


def change(
    unit: TenantUnit,
    by: Actor,
    job_id: int,
    *,
    name: str | None = None,
    asset_id: str | None = None,
    priority: Priority | None = None,
) -> Job:
    """Changes the given members; an empty ``asset_id`` removes it. A change to the same values is not logged. Raises
    ValidationError, NotFound, and Conflict once the job has ended."""
    _check_texts(name, asset_id)
    job = jobs.get(unit, job_id, lock=True)
    state = job_rules.changed(jobs.state_of(job))
    changed = job._replace(
        name=job.name if name is None else name,
        asset_id=job.asset_id if asset_id is None else asset_id or None,
        priority=job.priority if priority is None else priority,
    )
    if changed == job:
        return job
    return jobs.move(
        unit, by, job, JobMove.CHANGED, state, name=changed.name, asset_id=changed.asset_id, priority=changed.priority
    )


def start(unit: TenantUnit, by: Actor, job_id: int) -> Job:
    """Starts a job. A user who starts an unassigned job is assigned to it. Raises NotFound, Conflict."""
    job = jobs.get(unit, job_id, lock=True)
    if job.status == JobStatus.UNASSIGNED:
        job = put_assignment(unit, by, job, by.user_id)
    return jobs.move(unit, by, job, JobMove.STARTED, job_rules.started(jobs.state_of(job)), started_at=by.at)


def complete(unit: TenantUnit, by: Actor, job_id: int) -> Job:
    """Completes a job. Raises NotFound, Conflict for a job that is not in progress or has steps left."""
    job = jobs.get(unit, job_id, lock=True)
    return jobs.move(unit, by, job, JobMove.COMPLETED, job_rules.completed(jobs.state_of(job)), completed_at=by.at)


def cancel(unit: TenantUnit, by: Actor, job_id: int, comment: str = "") -> Job:
    """Cancels a job; its records stay. Raises ValidationError, NotFound, Conflict once the job has ended."""
    fields.COMMENT.check(comment, "comment")
    job = jobs.get(unit, job_id, lock=True)
    state = job_rules.canceled(jobs.state_of(job))
    return jobs.move(unit, by, job, JobMove.CANCELED, state, LogDetails(comment=comment), canceled_at=by.at)


def _check_texts(name: str | None, asset_id: str | None) -> None:
    """Checks the texts. Raises ValidationError."""
    with ErrorCollector() as each:
        if name is not None:
            with each:
                fields.WORK_NAME.check(name, "name")
        if asset_id:
            with each:
                fields.ASSET.check(asset_id, "assetId")


def _check_assigned(unit: TenantUnit, user_ids: Sequence[int]) -> None:
    """Checks the assigned users. Raises ValidationError, NotFound."""
    if len(user_ids) > MOST_ASSIGNED:
        raise ValidationError(details=[("assignedUserIds", f"Enter at most {MOST_ASSIGNED} users")])
    check_able(unit, user_ids, "assignedUserIds")
