"""Another client's jobs, templates, users, and files aren't found, and each role can do only its part of a job."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import jobs as j
from tests.support.application import App
from tests.support.jobs import a_file, a_template, do_step, job_at, log, moves, new_job, read
from tests.support.matrix import matrix
from tests.support.roles import HOLDERS, Permission, Role
from tests.support.rules import rule
from tests.support.team import Team, new_team

pytestmark = pytest.mark.one_store

NEVER = 2**31 - 1
#: Every operation on a job: its document, its permission, the state in which it succeeds, and its other variables.
ACTS: dict[str, tuple[str, Permission, str, dict[str, Any]]] = {
    "job": (j.READ, Permission.JOBS_READ, "ASSIGNED", {}),
    "updateJob": (j.UPDATE, Permission.JOBS_EXECUTE, "ASSIGNED", {"input": {"name": "Stolen"}}),
    "assignUserToJob": (j.ASSIGN, Permission.JOBS_EXECUTE, "UNASSIGNED", {}),
    "unassignUserFromJob": (j.UNASSIGN, Permission.JOBS_EXECUTE, "ASSIGNED", {}),
    "startJob": (j.START, Permission.JOBS_EXECUTE, "ASSIGNED", {}),
    "recordData": (j.RECORDS, Permission.JOBS_EXECUTE, "IN_PROGRESS", {"step": 1, "input": {"text": "Stolen"}}),
    "completeStep": (j.STEP_DONE, Permission.JOBS_EXECUTE, "IN_PROGRESS", {"step": 1}),
    "completeJob": (j.COMPLETE, Permission.JOBS_EXECUTE, "IN_PROGRESS", {}),
    "cancelJob": (j.CANCEL, Permission.JOBS_EXECUTE, "ASSIGNED", {}),
}


@pytest.fixture(scope="module")
async def ours(app: App) -> Team:
    return await new_team(app)


@pytest.fixture(scope="module")
async def theirs(app: App) -> Team:
    return await new_team(app)


async def target(team: Team, act: str) -> dict[str, Any]:
    """A job on which the action would succeed."""
    _, _, status, _ = ACTS[act]
    return await job_at(team, status, done=3 if act == "completeJob" else 0)


async def variables_of(team: Team, act: str) -> dict[str, Any]:
    """The variables besides the job's ID; users belong to this team."""
    user = {"user": (await team.member("Operator")).id} if "assign" in act.lower() else {}
    return {**ACTS[act][3], **user}


@matrix("act", ACTS)
async def test_another_clients_job_looks_nonexistent(ours: Team, theirs: Team, act: str) -> None:
    job = await target(theirs, act)
    history = await log(theirs, job["id"])
    document, variables = ACTS[act][0], await variables_of(ours, act)
    refusals = [await ours.refused("Admin", document, id=number, **variables) for number in (job["id"], NEVER, 0, -1)]
    assert [refused.code for refused in refusals] == ["NOT_FOUND"] * 4
    assert {(refused.message, tuple(refused.path), tuple(refused.fields)) for refused in refusals} == {
        ("Not found", (act,), ())
    }
    assert await read(theirs, job["id"]) == job
    assert await log(theirs, job["id"]) == history
    assert (await theirs.ask("Admin", document, id=job["id"], **await variables_of(theirs, act))) is not None


@rule("DENY-BY-DEFAULT")
@matrix("role", list(Role))
@matrix("act", ACTS)
async def test_every_role_does_its_part_and_no_more(ours: Team, theirs: Team, act: str, role: Role) -> None:
    """Forbidden calls fail before any look-up: for the caller's own job, another client's, and a nonexistent one."""
    document, permission, _, _ = ACTS[act]
    job, variables = await target(ours, act), await variables_of(ours, act)
    if role in HOLDERS[permission]:
        assert await ours.ask(role.value, document, id=job["id"], **variables) is not None
        return
    history = await log(ours, job["id"])
    foreign = await target(theirs, act)
    for number in (job["id"], foreign["id"], NEVER):
        refused = await ours.refused(role.value, document, id=number, **variables)
        assert (refused.code, refused.message) == ("FORBIDDEN", "Insufficient permissions")
    assert await read(ours, job["id"]) == job
    assert await log(ours, job["id"]) == history


@matrix("role", list(Role))
async def test_who_makes_jobs(ours: Team, role: Role) -> None:
    given = {"templateId": await a_template(ours)}
    if role in HOLDERS[Permission.JOBS_EXECUTE]:
        assert (await ours.ask(role.value, j.ADD, input=given))["status"] == "UNASSIGNED"
        return
    assert (await ours.refused(role.value, j.ADD, input=given)).code == "FORBIDDEN"
    assert (await ours.refused(role.value, j.ADD, input={"templateId": NEVER})).code == "FORBIDDEN"


async def test_what_an_input_names_must_be_the_clients_own(ours: Team, theirs: Team) -> None:
    """Another client's template, users, and file are rejected like nonexistent ones, without any effect."""
    template_id, own = await a_template(ours), (await ours.member("Operator")).id
    outsider, their_template = (await theirs.member("Operator")).id, await a_template(theirs)
    their_file = await a_file(theirs)
    total = "{ jobsPage { total } }"
    before = await ours.ask("Viewer", total)
    for given in (
        {"templateId": their_template},
        {"templateId": NEVER},
        {"templateId": template_id, "assignedUserIds": [outsider]},
        {"templateId": template_id, "assignedUserIds": [own, outsider]},
        {"templateId": template_id, "assignedUserIds": [own, NEVER]},
        {"templateId": template_id, "assignedUserIds": [0]},
    ):
        refused = await ours.refused("Operator", j.ADD, input=given)
        assert (refused.code, refused.message, refused.fields) == ("NOT_FOUND", "Not found", [])
    assert await ours.ask("Viewer", total) == before

    job = await job_at(ours, "IN_PROGRESS")
    for user in (outsider, NEVER, 0, -1):
        for document in (j.ASSIGN, j.UNASSIGN):
            refused = await ours.refused("Operator", document, id=job["id"], user=user)
            assert (refused.code, refused.message) == ("NOT_FOUND", "Not found")
    for file_id in (their_file, NEVER, 0):
        refused = await ours.refused("Operator", j.RECORDS, id=job["id"], step=1, input={"fileId": file_id})
        assert (refused.code, refused.message) == ("NOT_FOUND", "Not found")
    assert await read(ours, job["id"]) == job
    assert await moves(ours, job["id"]) == ["CREATED", "ASSIGNED", "STARTED"]
    their_job = await job_at(theirs, "IN_PROGRESS")
    record = await theirs.ask("Operator", j.RECORDS, id=their_job["id"], step=1, input={"fileId": their_file})
    assert record["file"]["id"] == their_file


async def test_filters_by_another_clients_ids_find_nothing(ours: Team, theirs: Team) -> None:
    job = await job_at(theirs, "ASSIGNED")
    page = "query($filter: JobFilter) { jobsPage(filter: $filter) { total items { id } } }"
    for given in (
        {"templateId": job["template"]["id"]},
        {"assignedUserId": job["assignedUsers"][0]["id"]},
    ):
        assert await ours.ask("Viewer", page, filter=given) == {"total": 0, "items": []}
        assert (await theirs.ask("Viewer", page, filter=given))["total"] > 0


async def test_lists_and_nested_fields_stay_inside_the_client(app: App) -> None:
    teams = [await new_team(app), await new_team(app)]
    for team in teams:
        template_id = await a_template(team, f"template of {team.client}")
        for number in range(3):
            operator = (await team.member("Operator")).id
            job = await new_job(team, template_id, name=f"{number} of {team.client}", assignedUserIds=[operator])
            await team.ask("Operator", j.START, id=job["id"])
            given = {"fileId": await a_file(team)}
            await team.ask("Operator", j.RECORDS, id=job["id"], step=1, input=given)
            await do_step(team, job["id"], 1)
    document = """{ jobsPage(first: 10, filter: {search: "of"}) { total items { name template { name }
        version { template { name } createdBy { email } } newerVersion { number } assignedUsers { email }
        records { text file { name uploadedBy { email } } recordedBy { email } } history { by { email } } } } }"""
    steps = """{ jobs(first: 10) { name currentStep { title }
        steps { title completedBy { email } records { recordedBy { email } } } } }"""
    for team, other in (teams, teams[::-1]):
        page = await team.send("Viewer", document)
        items = page.json["data"]["jobsPage"]["items"]
        assert page.json["data"]["jobsPage"]["total"] == len(items) == 3
        assert {item["template"]["name"] for item in items} == {f"template of {team.client}"}
        assert {record["recordedBy"]["email"] for item in items for record in item["records"]} == {
            team.members["Operator"].email
        }
        for reply in (page, await team.send("Viewer", steps)):
            assert "errors" not in reply.json
            assert other.client not in reply.text


async def test_a_cursor_of_another_client_shows_nothing_of_it(app: App) -> None:
    teams = [await new_team(app), await new_team(app)]
    for team in teams:
        template_id = await a_template(team)
        for number in range(3):
            await new_job(team, template_id, name=f"{number} of {team.client}")
    page = "query($after: String) { jobsPage(first: 1, sort: NAME, after: $after) { nextCursor items { name } } }"
    cursor = (await teams[0].ask("Viewer", page))["nextCursor"]
    found = await teams[1].ask("Viewer", page.replace("first: 1", "first: 100"), after=cursor)
    assert all(item["name"].endswith(teams[1].client) for item in found["items"])
