"""Rows of jobs: lookup, list, and the one statement that changes a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from sqlalchemy import BigInteger, Integer, Text, bindparam, insert, select, update

from manifest_auth.errors import Conflict, existing
from manifest_auth.store import Listing, TenantUnit, columns, numbers, tenant_condition, tenant_scoped
from manifest_auth.store.tables import job_assignments, job_events, jobs
from manifest_auth.work.actor import Actor, check_row_count, numbered_rows
from manifest_auth.work.job_rules import JobMove, JobStatus, Priority, State


class Event(NamedTuple):
    """A stored history entry. ``detail`` is JSON: ``before`` and ``after`` by the wire name of each changed member."""

    job_id: int
    number: int
    move: str
    step: int | None
    comment: str
    detail: str
    by: int
    at: int


class LogDetails(NamedTuple):
    """Members of a history entry other than actor, time and move. ``changes``: before and after, by wire name."""

    step: int | None = None
    comment: str = ""
    changes: Mapping[str, tuple[Any, Any]] = {}


PLAIN = LogDetails()
_LOG = job_events.c
_APPEND = tenant_scoped(insert(job_events).values({name: bindparam(name) for name in Event._fields}))
_NUMBERED = numbered_rows(select(*(_LOG[name] for name in Event._fields)), _LOG.job_id, Event)


def append_to_log(unit: TenantUnit, by: Actor, job_id: int, number: int, move: JobMove, details: LogDetails) -> None:
    """Adds an entry. Raises Conflict if its number is taken."""
    detail = {name: {"before": before, "after": after} for name, (before, after) in details.changes.items()}
    unit.change(
        _APPEND,
        job_id=job_id,
        number=number,
        move=move.value,
        step=details.step,
        comment=details.comment,
        detail=orjson.dumps(detail).decode(),
        by=by.user_id,
        at=by.at,
    )


def numbered_log(unit: TenantUnit, job_ids: Sequence[int], after: int, first: int) -> list[Event]:
    """Lists at most ``first`` entries of each job after the number ``after``, in order. Raises ValidationError for too
    many rows."""
    return check_row_count(unit.all(_NUMBERED, ids=numbers(job_ids), after=after, until=after + first))


class Job(NamedTuple):
    """A stored job. ``version``: number of the template's version; ``done``: number of completed ``steps``, always the
    first ones; ``records``, ``events``: their numbers; ``priority``: see ``Priority``."""

    id: int
    template_id: int
    version_id: int
    version: int
    name: str
    asset_id: str | None
    priority: int
    status: str
    steps: int
    done: int
    records: int
    events: int
    created_by: int
    created_at: int
    changed_at: int
    started_at: int | None = None
    completed_at: int | None = None
    canceled_at: int | None = None

    @property
    def name_key(self) -> str:
        """The sort key of lists."""
        return self.name.lower()


_C, _A = jobs.c, job_assignments.c
_ALL = select(*(_C[name] for name in Job._fields))
_BY_ID = tenant_scoped(_ALL.where(_C.id == bindparam("id")), Job)
_LOCKED = tenant_scoped(_ALL.where(_C.id == bindparam("id")).with_for_update(), Job)
#: Filters take ``like`` (see :func:`.text.canonical.like`), ``status``, ``priority``, ``template``, ``asset`` and
#: ``assigned``.
LISTING = Listing(
    _ALL,
    Job,
    key=_C.id,
    sorts={"ID": _C.id, "NAME": _C.name_key, "PRIORITY": _C.priority, "CHANGED_AT": _C.changed_at},
    filters={
        "search": _C.name_key.like(bindparam("like"), escape="\\"),
        "status": _C.status == bindparam("status", type_=Text()),
        "priority": _C.priority == bindparam("priority", type_=Integer()),
        "template": _C.template_id == bindparam("template", type_=BigInteger()),
        "asset": _C.asset_id == bindparam("asset", type_=Text()),
        "assigned": _C.id.in_(
            select(_A.job_id).where(
                tenant_condition(job_assignments), _A.user_id == bindparam("assigned", type_=BigInteger())
            )
        ),
    },
    narrow=("template", "asset", "assigned"),
)
_INSERTED = ("name_key", *(name for name in Job._fields if name != "id"))
_ADD = tenant_scoped(insert(jobs).values({name: bindparam(name) for name in _INSERTED}).returning(_C.id), int)
#: Columns that must not have changed since the rules read them.
_CHECKED = ("status", "done", "records", "events")
_CHANGED = columns("name name_key asset_id priority changed_at started_at completed_at canceled_at") + _CHECKED
_SAVE = tenant_scoped(
    update(jobs)
    .where(_C.id == bindparam("of"), *(_C[name] == bindparam(f"old_{name}") for name in _CHECKED))
    .values({name: bindparam(f"new_{name}") for name in _CHANGED})
)


def get(unit: TenantUnit, job_id: int, *, lock: bool = False) -> Job:
    """Returns the job. ``lock``: lock the job and its parts until the transaction ends. Raises NotFound."""
    return existing(unit.first(_LOCKED if lock else _BY_ID, id=job_id))


def insert_new(unit: TenantUnit, by: Actor, job: Job) -> Job:
    """Adds a row, and the first entry of its history. The database assigns the id."""
    made = job._replace(id=unit.one(_ADD, name_key=job.name.lower(), **job._asdict()))
    append_to_log(unit, by, made.id, made.events, JobMove.CREATED, PLAIN)
    return made


def state_of(job: Job, assigned: int = 0) -> State:
    """Returns the state for the rules. ``assigned``: number of users, if a rule needs it."""
    return State(JobStatus(job.status), job.steps, job.done, assigned)


def move(
    unit: TenantUnit, by: Actor, job: Job, kind: JobMove, state: State, details: LogDetails = PLAIN, **members: Any
) -> Job:
    """Moves a job, with an entry in its history. ``job`` was read while locked; ``members`` are columns that change
    besides the state. Raises Conflict if the row has changed."""
    after = job._replace(status=state.status.value, done=state.done, events=job.events + 1, **members)
    changes = {**_changes(job, after), **details.changes}
    after = save(unit, by, job, after)
    append_to_log(unit, by, job.id, after.events, kind, details._replace(changes=changes))
    return after


def save(unit: TenantUnit, by: Actor, before: Job, after: Job) -> Job:
    """Writes the row. Raises Conflict if it has changed since it was read."""
    after = after._replace(changed_at=by.at)
    old = {f"old_{name}": getattr(before, name) for name in _CHECKED}
    new = {f"new_{name}": value for name, value in after._asdict().items()}
    if unit.change(_SAVE, of=before.id, new_name_key=after.name.lower(), **old, **new) != 1:
        raise Conflict("Another user changed the job first")
    return after


def _changes(before: Job, after: Job) -> dict[str, tuple[Any, Any]]:
    pairs = zip(_logged_values(before).items(), _logged_values(after).values(), strict=True)
    return {name: (old, new) for (name, old), new in pairs if old != new}


def _logged_values(job: Job) -> dict[str, Any]:
    """Returns the members whose changes are logged, by wire name."""
    return {"name": job.name, "assetId": job.asset_id, "priority": Priority(job.priority).name, "status": job.status}
