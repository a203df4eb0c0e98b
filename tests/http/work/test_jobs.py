"""The states of a job, every transition, and its history."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.support import jobs as j
from tests.support import templates as t
from tests.support.application import App
from tests.support.jobs import a_template, do_step, job_at, log, moves, new_job, read
from tests.support.matrix import matrix
from tests.support.people import Member, member
from tests.support.team import Team, refusal
from tests.support.templates import WAY, add_template, bring

pytestmark = pytest.mark.one_store

NOW = "2027-01-15T08:00:00.000Z"


def detail(event: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Changes by name, before and after."""
    return {name: (change["before"], change["after"]) for name, change in json.loads(event["detail"]).items()}


async def worker(team: Team) -> Member:
    """Another user who can execute jobs."""
    return await member(team.app, team.client, "Operator")


async def test_a_new_job_is_made_of_the_published_version(team: Team) -> None:
    template_id = await a_template(team, "Valve check")
    made = await new_job(team, template_id)
    operator = {"id": (await team.member("Operator")).id}
    version = (await t.read(team, template_id))["publishedVersion"]
    steps = [
        {
            "number": number,
            "title": step["title"],
            "instructions": step.get("instructions", ""),
            "requiresEvidence": step.get("requiresEvidence", False),
            "isCompleted": False,
            "completedAt": None,
            "completedBy": None,
            "records": [],
        }
        for number, step in enumerate(j.STEPS, 1)
    ]
    assert made == {
        "id": made["id"],
        "name": "Valve check",
        "assetId": None,
        "priority": "MEDIUM",
        "status": "UNASSIGNED",
        "createdAt": made["createdAt"],
        "changedAt": made["createdAt"],
        "startedAt": None,
        "completedAt": None,
        "canceledAt": None,
        "createdBy": operator,
        "template": {"id": template_id, "name": "Valve check"},
        "version": {"id": version["id"], "number": 1, "status": "PUBLISHED"},
        "newerVersion": None,
        "assignedUsers": [],
        "steps": steps,
        "currentStep": steps[0],
        "records": [],
    }
    assert await read(team, made["id"]) == made
    [event] = await log(team, made["id"])
    assert (event["move"], event["by"], event["at"], event["detail"]) == ("CREATED", operator, made["createdAt"], "{}")


async def test_a_new_job_with_everything_given(team: Team) -> None:
    one, two = await worker(team), await team.member("Operator")
    made = await new_job(
        team, name="Valve 7", assetId="P-7/ä", priority="HIGH", assignedUserIds=[two.id, one.id, two.id]
    )
    assert (made["name"], made["assetId"], made["priority"], made["status"]) == ("Valve 7", "P-7/ä", "HIGH", "ASSIGNED")
    assert made["assignedUsers"] == [{"id": number} for number in sorted((one.id, two.id))]
    created, first, second = await log(team, made["id"])
    assert [e["move"] for e in (created, first, second)] == ["CREATED", "ASSIGNED", "ASSIGNED"]
    assert detail(first) == {"assignedUserIds": ([], [two.id]), "status": ("UNASSIGNED", "ASSIGNED")}
    assert detail(second) == {"assignedUserIds": ([two.id], sorted((one.id, two.id)))}
    assert {e["by"]["id"] for e in (created, first, second)} == {two.id}


@matrix("status", ["DRAFT", "SUBMITTED", "APPROVED"])
async def test_without_a_published_version_there_is_no_job(team: Team, status: str) -> None:
    template = await t.template_at(team, status)
    refused = await team.refused("Operator", j.ADD, input={"templateId": template["id"]})
    assert (refused.code, refused.message) == ("CONFLICT", "The template has no published version")


async def test_archived_templates_make_no_jobs_and_those_under_way_go_on(team: Team) -> None:
    job = await job_at(team, "IN_PROGRESS")
    template_id = job["template"]["id"]
    await team.ask("Publisher", t.ARCHIVE, id=template_id)
    refused = await team.refused("Operator", j.ADD, input={"templateId": template_id})
    assert (refused.code, refused.message) == ("CONFLICT", "The template is archived")
    for number in (1, 2, 3):
        await do_step(team, job["id"], number)
    assert (await team.ask("Operator", j.COMPLETE, id=job["id"]))["status"] == "COMPLETED"
    await team.ask("Publisher", t.RESTORE, id=template_id)
    assert (await new_job(team, template_id))["status"] == "UNASSIGNED"


async def test_from_a_job_to_its_end(app: App, team: Team) -> None:
    operator = {"id": (await team.member("Operator")).id}
    job = await new_job(team, assignedUserIds=[operator["id"]])
    app.clock.advance(60)
    started = await team.ask("Operator", j.START, id=job["id"])
    assert (started["status"], started["currentStep"]["number"]) == ("IN_PROGRESS", 1)
    assert started["startedAt"] == started["changedAt"] > started["createdAt"]

    app.clock.advance(60)
    one = await team.ask("Operator", j.STEP_DONE, id=job["id"], step=1)
    assert [step["isCompleted"] for step in one["steps"]] == [True, False, False]
    assert (one["steps"][0]["completedAt"], one["steps"][0]["completedBy"]) == (one["changedAt"], operator)
    assert one["currentStep"]["number"] == 2

    app.clock.advance(60)
    record = await team.ask("Operator", j.RECORDS, id=job["id"], step=2, input=j.PRESSURE)
    assert (record["number"], record["stepNumber"], record["kind"]) == (1, 2, "NUMBER")
    assert (record["value"], record["unit"], record["recordedBy"]) == (4.2, "bar", operator)
    with_record = await read(team, job["id"])
    assert with_record["changedAt"] == record["recordedAt"] > one["changedAt"]
    assert with_record["records"] == [record]
    assert with_record["steps"][1]["records"] == with_record["currentStep"]["records"] == [{"number": 1}]

    for number in (2, 3):
        app.clock.advance(60)
        last = await team.ask("Operator", j.STEP_DONE, id=job["id"], step=number)
    assert (last["status"], last["currentStep"]) == ("IN_PROGRESS", None)
    app.clock.advance(60)
    done = await team.ask("Operator", j.COMPLETE, id=job["id"])
    assert (done["status"], done["completedAt"]) == ("COMPLETED", done["changedAt"])
    assert done == await read(team, job["id"])

    history = await log(team, job["id"])
    assert [(e["move"], e["stepNumber"]) for e in history] == [
        ("CREATED", None), ("ASSIGNED", None), ("STARTED", None), ("STEP_COMPLETED", 1), ("STEP_COMPLETED", 2),
        ("STEP_COMPLETED", 3), ("COMPLETED", None),
    ]  # fmt: skip
    assert all(e["by"] == operator for e in history)
    assert [e["at"] for e in history] == sorted(e["at"] for e in history)
    assert detail(history[2]) == {"status": ("ASSIGNED", "IN_PROGRESS")}
    assert detail(history[-1]) == {"status": ("IN_PROGRESS", "COMPLETED")}


async def test_a_user_who_starts_an_unassigned_job_is_assigned_to_it(team: Team) -> None:
    job = await job_at(team, "UNASSIGNED")
    started = await team.ask("Operator", j.START, id=job["id"])
    operator = (await team.member("Operator")).id
    assert (started["status"], started["assignedUsers"]) == ("IN_PROGRESS", [{"id": operator}])
    assert await moves(team, job["id"]) == ["CREATED", "ASSIGNED", "STARTED"]


async def test_a_user_who_starts_a_job_of_others_is_not(team: Team) -> None:
    other = await worker(team)
    job = await new_job(team, assignedUserIds=[other.id])
    started = await team.ask("Operator", j.START, id=job["id"])
    assert (started["status"], started["assignedUsers"]) == ("IN_PROGRESS", [{"id": other.id}])


async def test_assigning_and_unassigning(team: Team) -> None:
    job = await job_at(team, "UNASSIGNED")
    one, two = await worker(team), await worker(team)
    assert (await team.ask("Operator", j.ASSIGN, id=job["id"], user=one.id))["status"] == "ASSIGNED"
    both = await team.ask("Admin", j.ASSIGN, id=job["id"], user=two.id)
    assert [user["id"] for user in both["assignedUsers"]] == [one.id, two.id]
    refused = await team.refused("Operator", j.ASSIGN, id=job["id"], user=two.id)
    assert (refused.code, refused.message) == ("CONFLICT", "The user is already assigned")
    left = await team.ask("Operator", j.UNASSIGN, id=job["id"], user=one.id)
    assert (left["status"], left["assignedUsers"]) == ("ASSIGNED", [{"id": two.id}])
    refused = await team.refused("Operator", j.UNASSIGN, id=job["id"], user=one.id)
    assert (refused.code, refused.message) == ("CONFLICT", "The user isn't assigned")
    unassigned = await team.ask("Operator", j.UNASSIGN, id=job["id"], user=two.id)
    assert (unassigned["status"], unassigned["assignedUsers"]) == ("UNASSIGNED", [])
    refused = await team.refused("Operator", j.UNASSIGN, id=job["id"], user=two.id)
    assert (refused.code, refused.message) == ("CONFLICT", "The job is not assigned to anyone")
    history = await log(team, job["id"])
    assert [e["move"] for e in history] == ["CREATED", "ASSIGNED", "ASSIGNED", "UNASSIGNED", "UNASSIGNED"]
    assert detail(history[-1]) == {"assignedUserIds": ([two.id], []), "status": ("ASSIGNED", "UNASSIGNED")}


async def test_a_job_in_progress_stays_so_without_anybody(team: Team) -> None:
    job = await job_at(team, "IN_PROGRESS")
    operator = (await team.member("Operator")).id
    left = await team.ask("Operator", j.UNASSIGN, id=job["id"], user=operator)
    assert (left["status"], left["assignedUsers"]) == ("IN_PROGRESS", [])
    again = await team.ask("Operator", j.ASSIGN, id=job["id"], user=operator)
    assert (again["status"], again["assignedUsers"]) == ("IN_PROGRESS", [{"id": operator}])


async def test_only_those_who_can_execute_jobs_are_assigned(team: Team) -> None:
    job = await job_at(team, "UNASSIGNED")
    gone = await worker(team)
    token = await team.app.admin_token()
    await team.app.post(f"/api/admin/clients/{team.client}/users/{gone.id}/deactivate", token=token)
    for user in (await team.member("Viewer"), await team.member("Author"), await team.member("User Admin"), gone):
        refused = await team.refused("Operator", j.ASSIGN, id=job["id"], user=user.id)
        assert (refused.code, refused.fields) == ("BAD_USER_INPUT", ["userId"])
        given = {"templateId": job["template"]["id"], "assignedUserIds": [(await worker(team)).id, user.id]}
        refused = await team.refused("Operator", j.ADD, input=given)
        assert (refused.code, refused.fields) == ("BAD_USER_INPUT", ["assignedUserIds"])
    assert (await team.ask("Operator", j.ASSIGN, id=job["id"], user=(await team.member("Admin")).id))["assignedUsers"]


async def test_a_user_who_is_deactivated_later_stays_where_they_were(team: Team) -> None:
    gone = await worker(team)
    job = await new_job(team, assignedUserIds=[gone.id])
    token = await team.app.admin_token()
    await team.app.post(f"/api/admin/clients/{team.client}/users/{gone.id}/deactivate", token=token)
    assert (await read(team, job["id"]))["assignedUsers"] == [{"id": gone.id}]
    assert (await team.ask("Operator", j.UNASSIGN, id=job["id"], user=gone.id))["status"] == "UNASSIGNED"


async def test_changing_a_job(app: App, team: Team) -> None:
    job = await new_job(team, name="One", assetId="A", priority="LOW")
    app.clock.advance(5)
    for change, expected in (
        ({}, ("One", "A", "LOW")),
        ({"name": None, "assetId": None, "priority": None}, ("One", "A", "LOW")),
        ({"name": "Two"}, ("Two", "A", "LOW")),
        ({"assetId": "B", "priority": "HIGH"}, ("Two", "B", "HIGH")),
        ({"priority": "HIGH"}, ("Two", "B", "HIGH")),
        ({"assetId": ""}, ("Two", None, "HIGH")),
    ):
        found = await team.ask("Operator", j.UPDATE, id=job["id"], input=change)
        assert (found["name"], found["assetId"], found["priority"]) == expected
    history = await log(team, job["id"])
    assert [e["move"] for e in history] == ["CREATED", "CHANGED", "CHANGED", "CHANGED"], "what stays is not logged"
    assert detail(history[1]) == {"name": ("One", "Two")}
    assert detail(history[2]) == {"assetId": ("A", "B"), "priority": ("LOW", "HIGH")}
    assert detail(history[3]) == {"assetId": ("B", None)}
    assert found["changedAt"] == history[3]["at"] > job["changedAt"]


@matrix("status", ["UNASSIGNED", "ASSIGNED", "IN_PROGRESS"])
async def test_canceling_keeps_what_was_recorded(team: Team, status: str) -> None:
    job = await job_at(team, status, done=1)
    canceled = await team.ask("Operator", j.CANCEL, id=job["id"], comment="The pump is gone.\nSold.")
    assert (canceled["status"], canceled["canceledAt"]) == ("CANCELED", canceled["changedAt"])
    assert canceled["records"] == job["records"]
    assert canceled["steps"] == job["steps"]
    event = (await log(team, job["id"]))[-1]
    assert (event["move"], event["comment"]) == ("CANCELED", "The pump is gone.\nSold.")
    assert detail(event) == {"status": (status, "CANCELED")}


async def test_a_job_keeps_its_version_and_says_when_there_is_a_newer_one(team: Team) -> None:
    job = await job_at(team, "IN_PROGRESS", done=1)
    template_id = job["template"]["id"]
    draft = await team.ask("Author", t.NEXT, id=template_id)
    edit = {"revision": draft["revision"], "steps": [{"title": "Something else"}]}
    await team.ask("Author", t.EDIT, id=draft["id"], input=edit)
    for status in ("SUBMITTED", "APPROVED"):
        assert (await read(team, job["id"]))["newerVersion"] is None
        await team.ask(*WAY[status], id=draft["id"])
    await team.ask("Publisher", t.PUBLISH, id=draft["id"])
    after = await read(team, job["id"])
    assert after["newerVersion"] == {"id": draft["id"], "number": 2}
    assert after["version"] == {"id": job["version"]["id"], "number": 1, "status": "RETIRED"}
    assert after["steps"] == job["steps"]
    for number in (2, 3):
        await do_step(team, job["id"], number)
    assert (await team.ask("Operator", j.COMPLETE, id=job["id"]))["version"]["number"] == 1
    new = await new_job(team, template_id)
    assert (new["version"]["number"], new["newerVersion"]) == (2, None)
    assert [step["title"] for step in new["steps"]] == ["Something else"]


async def test_two_concurrent_actions_over_http(team: Team) -> None:
    """One succeeds, and the other gets the error code that clients check for."""
    await team.member("Admin")
    for document, variables in ((j.START, {}), (j.STEP_DONE, {"step": 1}), (j.CANCEL, {})):
        job = await job_at(team, "ASSIGNED" if document == j.START else "IN_PROGRESS")
        replies = await asyncio.gather(
            *(team.send(role, document, id=job["id"], **variables) for role in ("Operator", "Admin"))
        )
        [lost] = [reply for reply in replies if "errors" in reply.json]
        assert refusal(lost).code == "CONFLICT"


async def test_a_template_without_jobs_and_a_draft_change_nothing_for_jobs(team: Team) -> None:
    """A new version's draft doesn't belong to any job."""
    template = await add_template(team)
    assert (await team.refused("Operator", j.ADD, input={"templateId": template["id"]})).code == "CONFLICT"
    await bring(team, template["latestVersion"]["id"], "PUBLISHED")
    await team.ask("Author", t.NEXT, id=template["id"])
    assert (await new_job(team, template["id"]))["version"]["number"] == 1
