"""What happened to a job: an entry for each move, numbered from 1 by the counter in the job's row. Entries are only
ever added."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from sqlalchemy import BigInteger, bindparam, insert, select

from manifest_auth.store import TenantUnit, among, numbers, tenant_scoped
from manifest_auth.store.tables import job_events
from manifest_auth.work.actor import MOST_ROWS, Actor, few
from manifest_auth.work.job_rules import JobMove


class Event(NamedTuple):
    """``detail``: JSON; by the wire's name of what changed, ``before`` and ``after``."""

    job_id: int
    number: int
    move: str
    step: int | None
    comment: str
    detail: str
    by: int
    at: int


class Note(NamedTuple):
    """What an entry says beside who, when and which move. ``changes``: before and after, by the wire's name."""

    step: int | None = None
    comment: str = ""
    changes: Mapping[str, tuple[Any, Any]] = {}


PLAIN = Note()
_C = job_events.c
_APPEND = tenant_scoped(insert(job_events).values({name: bindparam(name) for name in Event._fields}))
_NUMBERED = tenant_scoped(
    select(*(_C[name] for name in Event._fields))
    .where(
        among(_C.job_id, "ids"),
        _C.number > bindparam("after", type_=BigInteger()),
        _C.number <= bindparam("until", type_=BigInteger()),
    )
    .order_by(_C.job_id, _C.number)
    .limit(MOST_ROWS + 1),
    Event,
)


def append(unit: TenantUnit, by: Actor, job_id: int, number: int, move: JobMove, note: Note) -> None:
    """One entry. Raises Conflict when its number is taken."""
    detail = {name: {"before": before, "after": after} for name, (before, after) in note.changes.items()}
    unit.change(
        _APPEND,
        job_id=job_id,
        number=number,
        move=move.value,
        step=note.step,
        comment=note.comment,
        detail=orjson.dumps(detail).decode(),
        by=by.user_id,
        at=by.at,
    )


def numbered(unit: TenantUnit, job_ids: Sequence[int], after: int, first: int) -> list[Event]:
    """Of each job at most ``first`` entries after the number ``after``, in order. Raises ValidationError when that is
    too much at once."""
    return few(unit.all(_NUMBERED, ids=numbers(job_ids), after=after, until=after + first))
