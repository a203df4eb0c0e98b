"""The docs page about jobs is correct: its diagram, transition table, and limits."""

from __future__ import annotations

import re
from collections.abc import Callable

from manifest_auth.api.graphql.schema import SCHEMA
from manifest_auth.errors import Conflict
from manifest_auth.runtime.files import KINDS
from manifest_auth.text import fields
from manifest_auth.work import job_rules
from manifest_auth.work.job_rules import JobMove, JobStatus, State
from tests.architecture.links import ROOT

PAGE = (ROOT / "docs" / "work.md").read_text("utf-8").partition("## Jobs")[2]
ROWS = [
    [cell.strip() for cell in row.strip("|").split("|")] for row in re.findall(r"^\| `\w+` \|.*$", PAGE, re.MULTILINE)
]
#: The effect of each call, for a job of one step, with one user or none.
CALLS: dict[str, Callable[[State], State]] = {
    "assignUserToJob": job_rules.assigned,
    "unassignUserFromJob": job_rules.unassigned,
    "startJob": lambda state: job_rules.started(state if state.assigned else job_rules.assigned(state)),
    "completeStep": lambda state: job_rules.step_completed(state, 1, is_evident=True),
    "completeJob": lambda state: job_rules.completed(state._replace(done=1)),
    "cancelJob": job_rules.canceled,
}


def leads() -> set[tuple[str, str, str]]:
    """The source and target states of each call."""
    found = set()
    for status in JobStatus:
        state = State(status, steps=1, assigned=0 if status is JobStatus.UNASSIGNED else 1)
        for call, act in CALLS.items():
            try:
                found.add((status.value.lower(), act(state).status.value.lower(), call))
            except Conflict:
                continue
    return found


def test_the_diagram_of_jobs_is_the_machine() -> None:
    lines = re.findall(r"^ +(\w+) --> (\w+): (.*)$", PAGE, re.MULTILINE)
    drawn = {(source, to, call) for source, to, calls in lines for call in CALLS if call in calls}
    going = {lead for lead in leads() if lead[0] != lead[1] or lead[2] == "completeStep"}
    assert drawn == going
    assert set(re.findall(r"^ +\[\*\] --> (\w+): addJob", PAGE, re.MULTILINE)) == {"unassigned", "assigned"}


def test_the_table_of_moves_is_the_schema_and_the_log() -> None:
    mutations = SCHEMA.mutation_type
    assert mutations is not None
    ours = {name for name, field in mutations.fields.items() if field.extensions["permission"].value == "jobs:execute"}
    assert {row[0].strip("`") for row in ROWS} == ours
    assert {name for row in ROWS for name in re.findall(r"`(\w+)`", row[3])} == {move.value for move in JobMove}


def test_the_limits_of_jobs_are_told_as_they_are() -> None:
    told = re.search(r"^Limits: .*?\n\n", PAGE, re.MULTILINE | re.DOTALL)
    assert told is not None
    numbers = [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*\d|\d", told[0])]
    assert numbers == [
        1, fields.WORK_NAME.most, fields.ASSET.most, fields.COMMENT.most, job_rules.MOST_ASSIGNED,
        job_rules.MOST_RECORDS, fields.RECORD_TEXT.most, fields.CHOICE.most, fields.UNIT.most,
    ]  # fmt: skip


def test_the_kinds_of_files_are_told_as_they_are() -> None:
    told = re.search(r"^The server accepts `.*?, up to", PAGE, re.MULTILINE | re.DOTALL)
    assert told is not None
    assert re.findall(r"`(\w+/\w+)`", told[0]) == list(KINDS)
