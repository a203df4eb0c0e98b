"""Calls that a job's state doesn't allow get a CONFLICT with the reason, and change nothing."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import jobs as j
from tests.support.jobs import job_at, log, read
from tests.support.matrix import matrix
from tests.support.team import Team

pytestmark = pytest.mark.one_store

#: Operations on an existing job: the document and its other variables.
TRIES: dict[str, tuple[str, dict[str, Any]]] = {
    "update": (j.UPDATE, {"input": {"name": "Other"}}),
    "assign": (j.ASSIGN, {}),
    "unassign": (j.UNASSIGN, {}),
    "start": (j.START, {}),
    "record": (j.RECORDS, {"step": 2, "input": j.PRESSURE}),
    "complete the step": (j.STEP_DONE, {"step": 2}),
    "complete": (j.COMPLETE, {}),
    "cancel": (j.CANCEL, {}),
}
#: The operations that each state rejects, with the message.
REFUSED = {
    "UNASSIGNED": {
        "unassign": "The job is not assigned to anyone",
        "record": "The job is not assigned to anyone",
        "complete the step": "The job is not assigned to anyone",
        "complete": "The job is not assigned to anyone",
    },
    "ASSIGNED": {
        "assign": "The user is already assigned",
        "record": "The job is not started",
        "complete the step": "The job is not started",
        "complete": "The job is not started",
    },
    "IN_PROGRESS": {
        "assign": "The user is already assigned",
        "start": "The job is in progress",
        "complete the step": "Step 2 requires a record as evidence first",
        "complete": "Step 2 of 3 isn't completed",
    },
    "COMPLETED": dict.fromkeys(TRIES, "The job is completed"),
    "CANCELED": dict.fromkeys(TRIES, "The job is canceled"),
}


@matrix("status", REFUSED)
async def test_what_a_state_does_not_allow_is_a_conflict_that_says_why_and_changes_nothing(
    team: Team, status: str
) -> None:
    operator = (await team.member("Operator")).id
    for name, message in REFUSED[status].items():
        job = await job_at(team, status, done=1)
        document, variables = TRIES[name]
        more = {"user": operator} if "assign" in name else {}
        before = await log(team, job["id"])
        refused = await team.refused("Operator", document, id=job["id"], **variables, **more)
        assert (name, refused.code, refused.message) == (name, "CONFLICT", message)
        assert await read(team, job["id"]) == job
        assert await log(team, job["id"]) == before


@matrix(
    ("done", "step", "code", "message"),
    [
        (0, 2, "CONFLICT", "Step 1 is next"),
        (0, 3, "CONFLICT", "Step 1 is next"),
        (1, 1, "CONFLICT", "Step 1 is already completed"),
        (1, 3, "CONFLICT", "Step 2 is next"),
        (3, 3, "CONFLICT", "Step 3 is already completed"),
        (0, 4, "NOT_FOUND", "Not found"),
        (3, 4, "NOT_FOUND", "Not found"),
        (0, 0, "NOT_FOUND", "Not found"),
        (0, -1, "NOT_FOUND", "Not found"),
        (0, 2**31 - 1, "NOT_FOUND", "Not found"),
    ],
)
async def test_steps_out_of_order(team: Team, done: int, step: int, code: str, message: str) -> None:
    job = await job_at(team, "IN_PROGRESS", done=done)
    for document, variables in ((j.RECORDS, {"input": j.PRESSURE}), (j.STEP_DONE, {})):
        refused = await team.refused("Operator", document, id=job["id"], step=step, **variables)
        assert (refused.code, refused.message) == (code, message)
    assert await read(team, job["id"]) == job
