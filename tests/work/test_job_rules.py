"""The state machine of a job: the whole transition table, and rules that hold after any sequence."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifest_auth.errors import Conflict, NotFound, ValidationError
from manifest_auth.text.canonical import misplaced_invisible
from manifest_auth.work import job_rules
from manifest_auth.work.job_rules import (
    ENDED,
    MOST_ASSIGNED,
    MOST_RECORDS,
    JobStatus,
    Priority,
    RecordKind,
    State,
    Value,
    value_of,
)
from tests.support.matrix import matrix

S = JobStatus
Move = Callable[[State], State]


def completes(number: int, *, is_evident: bool = True) -> Move:
    return partial(job_rules.step_completed, number=number, is_evident=is_evident)


#: For each move, its source and target states, for a job of two steps with one completed and one user assigned.
TRANSITIONS: dict[str, tuple[Move, dict[JobStatus, JobStatus]]] = {
    "changed": (job_rules.changed, {s: s for s in (S.UNASSIGNED, S.ASSIGNED, S.IN_PROGRESS)}),
    "assigned": (
        job_rules.assigned,
        {S.UNASSIGNED: S.ASSIGNED, S.ASSIGNED: S.ASSIGNED, S.IN_PROGRESS: S.IN_PROGRESS},
    ),
    "unassigned": (job_rules.unassigned, {S.ASSIGNED: S.UNASSIGNED, S.IN_PROGRESS: S.IN_PROGRESS}),
    "started": (job_rules.started, {S.ASSIGNED: S.IN_PROGRESS}),
    "step completed": (completes(2), {S.IN_PROGRESS: S.IN_PROGRESS}),
    "completed": (job_rules.completed, {}),
    "canceled": (job_rules.canceled, dict.fromkeys((S.UNASSIGNED, S.ASSIGNED, S.IN_PROGRESS), S.CANCELED)),
}


@matrix("status", list(S))
@matrix("name", TRANSITIONS)
def test_each_move_from_each_state(name: str, status: JobStatus) -> None:
    move, leads = TRANSITIONS[name]
    before = State(status, steps=2, done=1, assigned=0 if status is S.UNASSIGNED else 1)
    if status in leads:
        assert move(before).status is leads[status]
    else:
        with pytest.raises(Conflict) as refused:
            move(before)
        assert refused.value.message != Conflict.sentence, "it says what the state is"


@matrix("status", list(S))
def test_only_a_job_in_progress_with_all_steps_done_is_completed(status: JobStatus) -> None:
    before = State(status, steps=2, done=2, assigned=1)
    if status is S.IN_PROGRESS:
        assert job_rules.completed(before) == before._replace(status=S.COMPLETED)
    else:
        with pytest.raises(Conflict):
            job_rules.completed(before)


@matrix("done", range(4))
@matrix("number", range(-1, 6))
def test_steps_go_in_order(done: int, number: int) -> None:
    before = State(S.IN_PROGRESS, steps=3, done=done, assigned=1)
    expected = None if number == done + 1 and number <= 3 else Conflict if 1 <= number <= 3 else NotFound
    if expected is None:
        assert completes(number)(before) == before._replace(done=done + 1)
        job_rules.recorded(before, number, 0)
        return
    for act in (lambda: completes(number)(before), lambda: job_rules.recorded(before, number, 0)):
        with pytest.raises(expected):
            act()


def test_a_step_without_its_evidence_is_not_completed() -> None:
    with pytest.raises(Conflict, match="evidence"):
        completes(1, is_evident=False)(State(S.IN_PROGRESS, steps=1, assigned=1))


def test_a_step_has_so_many_records_and_a_job_so_many_users() -> None:
    under_way = State(S.IN_PROGRESS, steps=1, assigned=MOST_ASSIGNED - 1)
    job_rules.recorded(under_way, 1, MOST_RECORDS - 1)
    with pytest.raises(Conflict, match=str(MOST_RECORDS)):
        job_rules.recorded(under_way, 1, MOST_RECORDS)
    full = job_rules.assigned(under_way)
    with pytest.raises(Conflict, match=str(MOST_ASSIGNED)):
        job_rules.assigned(full)


def test_the_last_user_who_goes_leaves_a_job_unassigned_unless_it_is_in_progress() -> None:
    two = State(S.ASSIGNED, steps=1, assigned=2)
    one = job_rules.unassigned(two)
    assert one == State(S.ASSIGNED, steps=1, assigned=1)
    assert job_rules.unassigned(one) == State(S.UNASSIGNED, steps=1, assigned=0)
    under_way = job_rules.unassigned(job_rules.started(one))
    assert under_way == State(S.IN_PROGRESS, steps=1, assigned=0)
    with pytest.raises(Conflict, match="not assigned"):
        job_rules.unassigned(under_way)


MOVES = st.one_of(
    st.sampled_from([move for name, (move, _) in TRANSITIONS.items() if name != "step completed"]),
    st.builds(completes, st.integers(-1, 6), is_evident=st.booleans()),
)


def after(state: State, move: Move) -> State:
    """The state after a move; a rejected move changes nothing."""
    try:
        return move(state)
    except (Conflict, NotFound):
        return state


@given(steps=st.integers(0, 5), moves=st.lists(MOVES, max_size=40))
def test_what_holds_after_any_sequence_of_moves(steps: int, moves: list[Move]) -> None:
    state = job_rules.created(steps)
    assert state == State(S.UNASSIGNED, steps)
    for move in moves:
        before, state = state, after(state, move)
        assert state.steps == steps
        assert 0 <= state.done <= steps
        assert 0 <= state.assigned <= MOST_ASSIGNED
        assert state.done - before.done in (0, 1)
        assert abs(state.assigned - before.assigned) <= 1
        if state.done > before.done:
            assert before.status is state.status is S.IN_PROGRESS
        if before.status in ENDED:
            assert state == before, "nothing happens to a job that has ended"
        if state.status is S.UNASSIGNED:
            assert (state.done, state.assigned) == (0, 0)
        if state.status is S.ASSIGNED:
            assert state.done == 0
            assert state.assigned > 0
        if state.status is S.COMPLETED:
            assert state.done == steps


@given(steps=st.integers(0, 5), moves=st.lists(MOVES, max_size=40))
def test_every_job_that_has_not_ended_can_still_be_completed_and_be_canceled(steps: int, moves: list[Move]) -> None:
    state = job_rules.created(steps)
    for move in moves:
        state = after(state, move)
    if state.status in ENDED:
        return
    assert job_rules.canceled(state).status is S.CANCELED
    if state.status is S.UNASSIGNED:
        state = job_rules.assigned(state)
    if state.status is S.ASSIGNED:
        state = job_rules.started(state)
    while state.done < steps:
        state = completes(state.done + 1)(state)
    assert job_rules.completed(state).status is S.COMPLETED


GIVEN: dict[str, st.SearchStrategy[Any]] = {
    "text": st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1).filter(str.strip),
    "value": st.floats(allow_nan=False, allow_infinity=False),
    "choice": st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=200).filter(
        lambda text: text.strip() and not misplaced_invisible(text)
    ),
    "boolean": st.booleans(),
    "file_id": st.integers(1),
}


@given(st.fixed_dictionaries({}, optional={**GIVEN, "unit": st.sampled_from(["bar", "m/s²", ""])}))
def test_exactly_one_value_and_a_unit_only_of_a_number(members: dict[str, Any]) -> None:
    values = set(members) & set(GIVEN)
    if len(values) != 1 or (members.get("unit") and "value" not in members):
        with pytest.raises(ValidationError):
            value_of(**members)
        return
    [kind] = values
    one = members[kind]
    expected: dict[str, Callable[[], Value]] = {
        "text": lambda: Value(RecordKind.TEXT, text=one),
        "value": lambda: Value(RecordKind.NUMBER, value=one, unit=members.get("unit") or None),
        "choice": lambda: Value(RecordKind.CHOICE, text=one),
        "boolean": lambda: Value(RecordKind.BOOLEAN, value=1.0 if one else 0.0),
        "file_id": lambda: Value(RecordKind.FILE, file_id=one),
    }
    assert value_of(**members) == expected[kind]()


@matrix(
    ("field", "members"),
    [
        ("text", {"text": ""}),
        ("text", {"text": " \n"}),
        ("text", {"text": "x" * 10_001}),
        ("text", {"text": "a\0b"}),
        ("text", {"text": "\ud800"}),
        ("choice", {"choice": ""}),
        ("choice", {"choice": "x" * 201}),
        ("choice", {"choice": "a\nb"}),
        ("unit", {"value": 1.0, "unit": "x" * 41}),
        ("unit", {"value": 1.0, "unit": "a\tb"}),
        ("value", {"value": math.inf}),
        ("value", {"value": -math.inf}),
        ("value", {"value": math.nan}),
    ],
)
def test_an_invalid_value(field: str, members: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        value_of(**members)
    assert [name for name, _ in refused.value.details] == [field]


def test_the_longest_that_can_be() -> None:
    assert value_of(text="x\n" * 5000).text == "x\n" * 5000
    assert value_of(choice="x" * 200).text == "x" * 200
    assert value_of(value=-1.5, unit="x" * 40) == Value(RecordKind.NUMBER, value=-1.5, unit="x" * 40)


def test_what_is_urgent_sorts_first() -> None:
    assert sorted(Priority) == [Priority.HIGH, Priority.MEDIUM, Priority.LOW]
