"""The history of jobs: an entry for each move, numbered from 1 by the counter in the job's row.

Entries are never changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from sqlalchemy import bindparam, insert, select

from manifest_auth.store import TenantUnit, numbers, tenant_scoped
from manifest_auth.store.tables import job_events
from manifest_auth.work.actor import Actor, check_row_count, numbered_rows
from manifest_auth.work.job_rules import JobMove


class Event(NamedTuple):
    """An entry. ``detail``: JSON; ``before`` and ``after`` by the wire name of each changed member."""

    job_id: int
    number: int
    move: str
    step: int | None
    comment: str
    detail: str
    by: int
    at: int


class LogDetails(NamedTuple):
    """The rest of an entry besides actor, time and move. ``changes``: before and after, by wire name."""

    step: int | None = None
    comment: str = ""
    changes: Mapping[str, tuple[Any, Any]] = {}


PLAIN = LogDetails()
_C = job_events.c
_APPEND = tenant_scoped(insert(job_events).values({name: bindparam(name) for name in Event._fields}))
_NUMBERED = numbered_rows(select(*(_C[name] for name in Event._fields)), _C.job_id, Event)


def append(unit: TenantUnit, by: Actor, job_id: int, number: int, move: JobMove, details: LogDetails) -> None:
    """Adds an entry. Raises Conflict when its number is taken."""
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


def numbered(unit: TenantUnit, job_ids: Sequence[int], after: int, first: int) -> list[Event]:
    """At most ``first`` entries of each job after the number ``after``, in order. Raises ValidationError for too many
    rows."""
    return check_row_count(unit.all(_NUMBERED, ids=numbers(job_ids), after=after, until=after + first))
