"""State machine of a job, as pure functions: which move is allowed in which state, and the resulting state.

Operations call these rules while the job's row is locked, so that the second of two concurrent moves sees the state
after the first.
"""

from __future__ import annotations

import enum
import math
from typing import NamedTuple

from manifest_auth.errors import Conflict, NotFound, ValidationError
from manifest_auth.text import fields
from manifest_auth.text.models import ErrorCollector

MOST_ASSIGNED = 20  # users of one job
MOST_RECORDS = 100  # per step


class JobStatus(enum.StrEnum):
    """The status of a job, stored under its wire name."""

    UNASSIGNED = "UNASSIGNED"
    ASSIGNED = "ASSIGNED"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    CANCELED = "CANCELED"


class JobMove(enum.StrEnum):
    """The moves of a job, as in its history."""

    CREATED = "CREATED"
    CHANGED = "CHANGED"
    ASSIGNED = "ASSIGNED"
    UNASSIGNED = "UNASSIGNED"
    STARTED = "STARTED"
    STEP_COMPLETED = "STEP_COMPLETED"
    COMPLETED = "COMPLETED"
    CANCELED = "CANCELED"


class Priority(enum.IntEnum):
    """The priority of a job, stored as a number, so that urgent jobs sort first."""

    HIGH = 1
    MEDIUM = 2
    LOW = 3


class RecordKind(enum.StrEnum):
    """The kind of a record's value."""

    TEXT = "TEXT"
    NUMBER = "NUMBER"
    CHOICE = "CHOICE"
    BOOLEAN = "BOOLEAN"
    FILE = "FILE"


ENDED = frozenset({JobStatus.COMPLETED, JobStatus.CANCELED})
_STATUS_TEXT = {
    JobStatus.UNASSIGNED: "not assigned to anyone",
    JobStatus.ASSIGNED: "not started",
    JobStatus.IN_PROGRESS: "in progress",
    JobStatus.COMPLETED: "completed",
    JobStatus.CANCELED: "canceled",
}


class State(NamedTuple):
    """The part of a job that the rules read. ``done``: number of completed ``steps``, always the first ones;
    ``assigned``: number of users."""

    status: JobStatus
    steps: int
    done: int = 0
    assigned: int = 0


def created(steps: int) -> State:
    """Returns the state of a new job."""
    return State(JobStatus.UNASSIGNED, steps)


def changed(state: State) -> State:
    """Returns the state after a change of name, asset or priority. Raises Conflict once the job has ended."""
    _not_ended(state)
    return state


def assigned(state: State) -> State:
    """Returns the state with one more user. Raises Conflict for an ended job, or too many users."""
    _not_ended(state)
    if state.assigned >= MOST_ASSIGNED:
        raise Conflict(f"A job can have at most {MOST_ASSIGNED} users")
    waits = state.status is JobStatus.UNASSIGNED
    return state._replace(status=JobStatus.ASSIGNED if waits else state.status, assigned=state.assigned + 1)


def unassigned(state: State) -> State:
    """Returns the state with one user less. Without users, a job that hasn't started is unassigned again. Raises
    Conflict for an ended job, or one without users."""
    _not_ended(state)
    if not state.assigned:
        raise Conflict("The job is not assigned to anyone")
    left = state.assigned - 1
    waits = state.status is JobStatus.ASSIGNED and not left
    return state._replace(status=JobStatus.UNASSIGNED if waits else state.status, assigned=left)


def started(state: State) -> State:
    """Moves the job from assigned to in progress. Raises Conflict in any other state."""
    if state.status is not JobStatus.ASSIGNED:
        raise Conflict(f"The job is {_STATUS_TEXT[state.status]}")
    return state._replace(status=JobStatus.IN_PROGRESS)


def step_completed(state: State, number: int, *, is_evident: bool) -> State:
    """Completes the next step. ``is_evident``: the step needs no evidence, or has a record. Raises NotFound, and
    Conflict for a job that is not in progress, another step, or missing evidence."""
    is_next(state, number)
    if not is_evident:
        raise Conflict(f"Step {number} requires a record as evidence first")
    return state._replace(done=number)


def recorded(state: State, number: int, records: int) -> None:
    """Checks that a record can be added to step ``number``, which has ``records``. Raises NotFound, and Conflict for a
    job that is not in progress, another step, or too many records."""
    is_next(state, number)
    if records >= MOST_RECORDS:
        raise Conflict(f"A step can have at most {MOST_RECORDS} records")


def completed(state: State) -> State:
    """Moves the job from in progress to completed. Raises Conflict for a job that is not in progress or has steps
    left."""
    _in_progress(state)
    if state.done < state.steps:
        raise Conflict(f"Step {state.done + 1} of {state.steps} isn't completed")
    return state._replace(status=JobStatus.COMPLETED)


def canceled(state: State) -> State:
    """Cancels the job. Raises Conflict once it has ended."""
    _not_ended(state)
    return state._replace(status=JobStatus.CANCELED)


def is_next(state: State, number: int) -> None:
    """Checks that the step is the next one. Raises NotFound for a step that the job does not have, and Conflict for a
    job that is not in progress, or another step."""
    if not 1 <= number <= state.steps:
        raise NotFound()
    _in_progress(state)
    if number <= state.done:
        raise Conflict(f"Step {number} is already completed")
    if number > state.done + 1:
        raise Conflict(f"Step {state.done + 1} is next")


def _not_ended(state: State) -> None:
    if state.status in ENDED:
        raise Conflict(f"The job is {_STATUS_TEXT[state.status]}")


def _in_progress(state: State) -> None:
    if state.status is not JobStatus.IN_PROGRESS:
        raise Conflict(f"The job is {_STATUS_TEXT[state.status]}")


class Value(NamedTuple):
    """The value of a record: the member of its kind is set, the others are None. A boolean is 0 or 1 in ``value``, and
    a choice is in ``text``."""

    kind: RecordKind
    text: str | None = None
    value: float | None = None
    unit: str | None = None
    file_id: int | None = None


def value_of(
    *,
    text: str | None = None,
    value: float | None = None,
    unit: str | None = None,
    choice: str | None = None,
    boolean: bool | None = None,
    file_id: int | None = None,
) -> Value:
    """Returns the one given value. Raises ValidationError for none, several, text that is empty or too long, a unit
    without a number, or a number that is not finite."""
    given = [
        Value(RecordKind.TEXT, text=text) if text is not None else None,
        Value(RecordKind.NUMBER, value=value, unit=unit or None) if value is not None else None,
        Value(RecordKind.CHOICE, text=choice) if choice is not None else None,
        Value(RecordKind.BOOLEAN, value=float(boolean)) if boolean is not None else None,
        Value(RecordKind.FILE, file_id=file_id) if file_id is not None else None,
    ]
    found = [one for one in given if one is not None]
    with ErrorCollector() as each:
        if text is not None:
            with each:
                fields.RECORD_TEXT.check(text, "text")
        if choice is not None:
            with each:
                fields.CHOICE.check(choice, "choice")
        if value is not None:
            with each:
                if not math.isfinite(value):
                    raise ValidationError(details=[("value", "Must be a finite number")])
        if unit:
            with each:
                fields.UNIT.check(unit, "unit")
                if found and value is None:
                    raise ValidationError(details=[("unit", "Only a value can have a unit")])
        with each:
            if len(found) != 1:
                raise ValidationError(
                    details=[("input", "Enter exactly one of text, value, choice, boolean, and fileId")]
                )
    return found[0]
