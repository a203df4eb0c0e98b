"""Jobs over HTTP: the GraphQL documents of each operation, and ways to bring a job into a state."""

from __future__ import annotations

import itertools
from typing import Any

from manifest_auth.store import TenantUnit
from manifest_auth.work import Actor, files
from tests.support.team import Team
from tests.support.templates import template_at

_numbers = itertools.count(1)

RECORD = """number stepNumber kind text value unit choice boolean file { id name mediaType size sha256 url uploadedAt
    uploadedBy { id } } recordedAt recordedBy { id }"""
STEP = """number title instructions requiresEvidence isCompleted completedAt completedBy { id }
    records { number }"""
JOB = f"""id name assetId priority status createdAt changedAt startedAt completedAt canceledAt createdBy {{ id }}
    template {{ id name }} version {{ id number status }} newerVersion {{ id number }} assignedUsers {{ id }}
    steps {{ {STEP} }} currentStep {{ {STEP} }} records(first: 100) {{ {RECORD} }}"""
READ = f"query($id: Int!) {{ job(id: $id) {{ {JOB} }} }}"
HISTORY = """query($id: Int!) { job(id: $id) { history(first: 100) { number move stepNumber comment detail at
    by { id } } } }"""
ADD = f"mutation($input: AddJobInput!) {{ addJob(input: $input) {{ {JOB} }} }}"
UPDATE = f"mutation($id: Int!, $input: UpdateJobInput!) {{ updateJob(id: $id, input: $input) {{ {JOB} }} }}"
ASSIGN = f"mutation($id: Int!, $user: Int!) {{ assignUserToJob(jobId: $id, userId: $user) {{ {JOB} }} }}"
UNASSIGN = f"mutation($id: Int!, $user: Int!) {{ unassignUserFromJob(jobId: $id, userId: $user) {{ {JOB} }} }}"
START = f"mutation($id: Int!) {{ startJob(id: $id) {{ {JOB} }} }}"
RECORDS = f"""mutation($id: Int!, $step: Int!, $input: RecordInput!)
    {{ recordData(jobId: $id, stepNumber: $step, input: $input) {{ {RECORD} }} }}"""
STEP_DONE = f"mutation($id: Int!, $step: Int!) {{ completeStep(jobId: $id, stepNumber: $step) {{ {JOB} }} }}"
COMPLETE = f"mutation($id: Int!) {{ completeJob(id: $id) {{ {JOB} }} }}"
CANCEL = f"mutation($id: Int!, $comment: String) {{ cancelJob(id: $id, comment: $comment) {{ {JOB} }} }}"

#: The usual template, with a second step that requires evidence.
STEPS: list[dict[str, Any]] = [
    {"title": "Close the valve", "instructions": "Turn it to the right."},
    {"title": "Read the gauge", "requiresEvidence": True},
    {"title": "Open the valve"},
]
PRESSURE = {"value": 4.2, "unit": "bar"}


async def a_template(team: Team, name: str = "Valve check") -> int:
    """The ID of a template with a published first version."""
    return int((await template_at(team, "PUBLISHED", name=name, steps=STEPS))["id"])


async def new_job(team: Team, template_id: int = 0, **members: Any) -> dict[str, Any]:
    """A new job; also creates a template unless one is named."""
    given = {"templateId": template_id or await a_template(team), **members}
    made: dict[str, Any] = await team.ask("Operator", ADD, input=given)
    return made


async def job_at(team: Team, status: str, done: int = 0, template_id: int = 0) -> dict[str, Any]:
    """A new job in this state, with ``done`` of its three steps completed. Returns the job as last read."""
    operator = (await team.member("Operator")).id
    job = await new_job(team, template_id, assignedUserIds=[] if status == "UNASSIGNED" else [operator])
    if status in ("IN_PROGRESS", "COMPLETED"):
        await team.ask("Operator", START, id=job["id"])
        for number in range(1, (3 if status == "COMPLETED" else done) + 1):
            await do_step(team, job["id"], number)
    if status == "COMPLETED":
        await team.ask("Operator", COMPLETE, id=job["id"])
    if status == "CANCELED":
        await team.ask("Operator", CANCEL, id=job["id"])
    return await read(team, job["id"])


async def do_step(team: Team, job_id: int, number: int) -> None:
    """Record something for a step, and complete the step."""
    await team.ask("Operator", RECORDS, id=job_id, step=number, input=PRESSURE)
    await team.ask("Operator", STEP_DONE, id=job_id, step=number)


async def read(team: Team, job_id: int) -> dict[str, Any]:
    """A job as a Viewer sees it."""
    found: dict[str, Any] = await team.ask("Viewer", READ, id=job_id)
    return found


async def log(team: Team, job_id: int) -> list[dict[str, Any]]:
    """The history of a job."""
    found: list[dict[str, Any]] = (await team.ask("Viewer", HISTORY, id=job_id))["history"]
    assert [event["number"] for event in found] == list(range(1, len(found) + 1))
    return found


async def moves(team: Team, job_id: int) -> list[str]:
    """The moves in a job's history."""
    return [event["move"] for event in await log(team, job_id)]


async def a_file(team: Team) -> int:
    """The ID of an uploaded file: only its row, because other tests cover the content."""
    by = Actor((await team.member("Operator")).id, team.app.clock.now_ms())
    key = f"key-{team.client}-{next(_numbers)}"
    row: dict[str, Any] = {"key": key, "name": "gauge.jpg", "media_type": "image/jpeg", "size": 3, "sha256": "0" * 64}

    def add(unit: TenantUnit) -> int:
        from manifest_auth.work import files as uploads  # not in the previous release, which also runs this code

        uploads.reserve(unit, by, key=key, declared=3, largest=3, quota=2**30, expires_at=by.at + 1)
        return files.add(unit, by, **row, quota=2**30).id

    return await team.within(add)
