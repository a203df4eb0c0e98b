"""The life of a job, every move of it, and its history."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.support import jobs as j
from tests.support import templates as t
from tests.support.application import App
from tests.support.jobs import a_template, do_step, job_at, log, moves, new_job, read
from tests.support.people import Member, member
from tests.support.team import Crew, refusal
from tests.support.templates import WAY, add_template, bring

NOW = "2027-01-15T08:00:00.000Z"


def detail(event: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What changed: before and after, by name."""
    return {name: (change["before"], change["after"]) for name, change in json.loads(event["detail"]).items()}


async def worker(crew: Crew) -> Member:
    """One more who can execute jobs."""
    return await member(crew.app, crew.client, "Operator")


async def test_a_new_job_is_made_of_the_published_version(crew: Crew) -> None:
    template_id = await a_template(crew, "Valve check")
    made = await new_job(crew, template_id)
    operator = {"id": (await crew.member("Operator")).id}
    version = (await t.read(crew, template_id))["publishedVersion"]
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
    assert await read(crew, made["id"]) == made
    [event] = await log(crew, made["id"])
    assert (event["move"], event["by"], event["at"], event["detail"]) == ("CREATED", operator, made["createdAt"], "{}")


async def test_a_new_job_with_everything_given(crew: Crew) -> None:
    one, two = await worker(crew), await crew.member("Operator")
    made = await new_job(
        crew, name="Valve 7", assetId="P-7/ä", priority="HIGH", assignedUserIds=[two.id, one.id, two.id]
    )
    assert (made["name"], made["assetId"], made["priority"], made["status"]) == ("Valve 7", "P-7/ä", "HIGH", "ASSIGNED")
    assert made["assignedUsers"] == [{"id": number} for number in sorted((one.id, two.id))]
    created, first, second = await log(crew, made["id"])
    assert [e["move"] for e in (created, first, second)] == ["CREATED", "ASSIGNED", "ASSIGNED"]
    assert detail(first) == {"assignedUserIds": ([], [two.id]), "status": ("UNASSIGNED", "ASSIGNED")}
    assert detail(second) == {"assignedUserIds": ([two.id], sorted((one.id, two.id)))}
    assert {e["by"]["id"] for e in (created, first, second)} == {two.id}


@pytest.mark.parametrize("status", ["DRAFT", "SUBMITTED", "APPROVED"])
async def test_without_a_published_version_there_is_no_job(crew: Crew, status: str) -> None:
    template = await t.template_at(crew, status)
    refused = await crew.refused("Operator", j.ADD, input={"templateId": template["id"]})
    assert (refused.code, refused.message) == ("CONFLICT", "The template has no published version")


async def test_archived_templates_make_no_jobs_and_those_under_way_go_on(crew: Crew) -> None:
    job = await job_at(crew, "IN_PROGRESS")
    template_id = job["template"]["id"]
    await crew.ask("Publisher", t.ARCHIVE, id=template_id)
    refused = await crew.refused("Operator", j.ADD, input={"templateId": template_id})
    assert (refused.code, refused.message) == ("CONFLICT", "The template is archived")
    for number in (1, 2, 3):
        await do_step(crew, job["id"], number)
    assert (await crew.ask("Operator", j.COMPLETE, id=job["id"]))["status"] == "COMPLETED"
    await crew.ask("Publisher", t.RESTORE, id=template_id)
    assert (await new_job(crew, template_id))["status"] == "UNASSIGNED"


async def test_from_a_job_to_its_end(app: App, crew: Crew) -> None:
    operator = {"id": (await crew.member("Operator")).id}
    job = await new_job(crew, assignedUserIds=[operator["id"]])
    app.clock.advance(60)
    started = await crew.ask("Operator", j.START, id=job["id"])
    assert (started["status"], started["currentStep"]["number"]) == ("IN_PROGRESS", 1)
    assert started["startedAt"] == started["changedAt"] > started["createdAt"]

    app.clock.advance(60)
    one = await crew.ask("Operator", j.STEP_DONE, id=job["id"], step=1)
    assert [step["isCompleted"] for step in one["steps"]] == [True, False, False]
    assert (one["steps"][0]["completedAt"], one["steps"][0]["completedBy"]) == (one["changedAt"], operator)
    assert one["currentStep"]["number"] == 2

    app.clock.advance(60)
    record = await crew.ask("Operator", j.RECORDS, id=job["id"], step=2, input=j.PRESSURE)
    assert (record["number"], record["stepNumber"], record["kind"]) == (1, 2, "NUMBER")
    assert (record["value"], record["unit"], record["recordedBy"]) == (4.2, "bar", operator)
    with_record = await read(crew, job["id"])
    assert with_record["changedAt"] == record["recordedAt"] > one["changedAt"]
    assert with_record["records"] == [record]
    assert with_record["steps"][1]["records"] == with_record["currentStep"]["records"] == [{"number": 1}]

    for number in (2, 3):
        app.clock.advance(60)
        last = await crew.ask("Operator", j.STEP_DONE, id=job["id"], step=number)
    assert (last["status"], last["currentStep"]) == ("IN_PROGRESS", None)
    app.clock.advance(60)
    done = await crew.ask("Operator", j.COMPLETE, id=job["id"])
    assert (done["status"], done["completedAt"]) == ("COMPLETED", done["changedAt"])
    assert done == await read(crew, job["id"])

    history = await log(crew, job["id"])
    assert [(e["move"], e["stepNumber"]) for e in history] == [
        ("CREATED", None), ("ASSIGNED", None), ("STARTED", None), ("STEP_COMPLETED", 1), ("STEP_COMPLETED", 2),
        ("STEP_COMPLETED", 3), ("COMPLETED", None),
    ]  # fmt: skip
    assert all(e["by"] == operator for e in history)
    assert [e["at"] for e in history] == sorted(e["at"] for e in history)
    assert detail(history[2]) == {"status": ("ASSIGNED", "IN_PROGRESS")}
    assert detail(history[-1]) == {"status": ("IN_PROGRESS", "COMPLETED")}


async def test_whoever_starts_an_unassigned_job_is_assigned_to_it(crew: Crew) -> None:
    job = await job_at(crew, "UNASSIGNED")
    started = await crew.ask("Operator", j.START, id=job["id"])
    operator = (await crew.member("Operator")).id
    assert (started["status"], started["assignedUsers"]) == ("IN_PROGRESS", [{"id": operator}])
    assert await moves(crew, job["id"]) == ["CREATED", "ASSIGNED", "STARTED"]


async def test_whoever_starts_a_job_of_others_is_not(crew: Crew) -> None:
    other = await worker(crew)
    job = await new_job(crew, assignedUserIds=[other.id])
    started = await crew.ask("Operator", j.START, id=job["id"])
    assert (started["status"], started["assignedUsers"]) == ("IN_PROGRESS", [{"id": other.id}])


async def test_assigning_and_taking_back(crew: Crew) -> None:
    job = await job_at(crew, "UNASSIGNED")
    one, two = await worker(crew), await worker(crew)
    assert (await crew.ask("Operator", j.ASSIGN, id=job["id"], user=one.id))["status"] == "ASSIGNED"
    both = await crew.ask("Admin", j.ASSIGN, id=job["id"], user=two.id)
    assert [user["id"] for user in both["assignedUsers"]] == [one.id, two.id]
    refused = await crew.refused("Operator", j.ASSIGN, id=job["id"], user=two.id)
    assert (refused.code, refused.message) == ("CONFLICT", "The user is assigned already")
    left = await crew.ask("Operator", j.UNASSIGN, id=job["id"], user=one.id)
    assert (left["status"], left["assignedUsers"]) == ("ASSIGNED", [{"id": two.id}])
    refused = await crew.refused("Operator", j.UNASSIGN, id=job["id"], user=one.id)
    assert (refused.code, refused.message) == ("CONFLICT", "The user is not assigned")
    nobody = await crew.ask("Operator", j.UNASSIGN, id=job["id"], user=two.id)
    assert (nobody["status"], nobody["assignedUsers"]) == ("UNASSIGNED", [])
    refused = await crew.refused("Operator", j.UNASSIGN, id=job["id"], user=two.id)
    assert (refused.code, refused.message) == ("CONFLICT", "The job is assigned to nobody")
    history = await log(crew, job["id"])
    assert [e["move"] for e in history] == ["CREATED", "ASSIGNED", "ASSIGNED", "UNASSIGNED", "UNASSIGNED"]
    assert detail(history[-1]) == {"assignedUserIds": ([two.id], []), "status": ("ASSIGNED", "UNASSIGNED")}


async def test_a_job_in_progress_stays_so_without_anybody(crew: Crew) -> None:
    job = await job_at(crew, "IN_PROGRESS")
    operator = (await crew.member("Operator")).id
    left = await crew.ask("Operator", j.UNASSIGN, id=job["id"], user=operator)
    assert (left["status"], left["assignedUsers"]) == ("IN_PROGRESS", [])
    again = await crew.ask("Operator", j.ASSIGN, id=job["id"], user=operator)
    assert (again["status"], again["assignedUsers"]) == ("IN_PROGRESS", [{"id": operator}])


async def test_only_those_who_can_execute_jobs_are_assigned(crew: Crew) -> None:
    job = await job_at(crew, "UNASSIGNED")
    gone = await worker(crew)
    token = await crew.app.admin_token()
    await crew.app.post(f"/api/admin/clients/{crew.client}/users/{gone.id}/deactivate", token=token)
    for user in (await crew.member("Viewer"), await crew.member("Author"), await crew.member("User Admin"), gone):
        refused = await crew.refused("Operator", j.ASSIGN, id=job["id"], user=user.id)
        assert (refused.code, refused.fields) == ("BAD_USER_INPUT", ["userId"])
        given = {"templateId": job["template"]["id"], "assignedUserIds": [(await worker(crew)).id, user.id]}
        refused = await crew.refused("Operator", j.ADD, input=given)
        assert (refused.code, refused.fields) == ("BAD_USER_INPUT", ["assignedUserIds"])
    assert (await crew.ask("Operator", j.ASSIGN, id=job["id"], user=(await crew.member("Admin")).id))["assignedUsers"]


async def test_whoever_is_deactivated_later_stays_where_they_were(crew: Crew) -> None:
    gone = await worker(crew)
    job = await new_job(crew, assignedUserIds=[gone.id])
    token = await crew.app.admin_token()
    await crew.app.post(f"/api/admin/clients/{crew.client}/users/{gone.id}/deactivate", token=token)
    assert (await read(crew, job["id"]))["assignedUsers"] == [{"id": gone.id}]
    assert (await crew.ask("Operator", j.UNASSIGN, id=job["id"], user=gone.id))["status"] == "UNASSIGNED"


async def test_changing_a_job(app: App, crew: Crew) -> None:
    job = await new_job(crew, name="One", assetId="A", priority="LOW")
    app.clock.advance(5)
    for change, expected in (
        ({}, ("One", "A", "LOW")),
        ({"name": None, "assetId": None, "priority": None}, ("One", "A", "LOW")),
        ({"name": "Two"}, ("Two", "A", "LOW")),
        ({"assetId": "B", "priority": "HIGH"}, ("Two", "B", "HIGH")),
        ({"priority": "HIGH"}, ("Two", "B", "HIGH")),
        ({"assetId": ""}, ("Two", None, "HIGH")),
    ):
        found = await crew.ask("Operator", j.UPDATE, id=job["id"], input=change)
        assert (found["name"], found["assetId"], found["priority"]) == expected
    history = await log(crew, job["id"])
    assert [e["move"] for e in history] == ["CREATED", "CHANGED", "CHANGED", "CHANGED"], "what stays is not logged"
    assert detail(history[1]) == {"name": ("One", "Two")}
    assert detail(history[2]) == {"assetId": ("A", "B"), "priority": ("LOW", "HIGH")}
    assert detail(history[3]) == {"assetId": ("B", None)}
    assert found["changedAt"] == history[3]["at"] > job["changedAt"]


@pytest.mark.parametrize("status", ["UNASSIGNED", "ASSIGNED", "IN_PROGRESS"])
async def test_canceling_keeps_what_was_recorded(crew: Crew, status: str) -> None:
    job = await job_at(crew, status, done=1)
    canceled = await crew.ask("Operator", j.CANCEL, id=job["id"], comment="The pump is gone.\nSold.")
    assert (canceled["status"], canceled["canceledAt"]) == ("CANCELED", canceled["changedAt"])
    assert canceled["records"] == job["records"]
    assert canceled["steps"] == job["steps"]
    event = (await log(crew, job["id"]))[-1]
    assert (event["move"], event["comment"]) == ("CANCELED", "The pump is gone.\nSold.")
    assert detail(event) == {"status": (status, "CANCELED")}


async def test_a_job_keeps_its_version_and_says_when_there_is_a_newer_one(crew: Crew) -> None:
    job = await job_at(crew, "IN_PROGRESS", done=1)
    template_id = job["template"]["id"]
    draft = await crew.ask("Author", t.NEXT, id=template_id)
    edit = {"revision": draft["revision"], "steps": [{"title": "Something else"}]}
    await crew.ask("Author", t.EDIT, id=draft["id"], input=edit)
    for status in ("SUBMITTED", "APPROVED"):
        assert (await read(crew, job["id"]))["newerVersion"] is None
        await crew.ask(*WAY[status], id=draft["id"])
    await crew.ask("Publisher", t.PUBLISH, id=draft["id"])
    after = await read(crew, job["id"])
    assert after["newerVersion"] == {"id": draft["id"], "number": 2}
    assert after["version"] == {"id": job["version"]["id"], "number": 1, "status": "RETIRED"}
    assert after["steps"] == job["steps"]
    for number in (2, 3):
        await do_step(crew, job["id"], number)
    assert (await crew.ask("Operator", j.COMPLETE, id=job["id"]))["version"]["number"] == 1
    new = await new_job(crew, template_id)
    assert (new["version"]["number"], new["newerVersion"]) == (2, None)
    assert [step["title"] for step in new["steps"]] == ["Something else"]


async def test_two_who_act_at_once_over_http(crew: Crew) -> None:
    """One wins, the other is told so by the code that clients look for."""
    await crew.member("Admin")
    for document, variables in ((j.START, {}), (j.STEP_DONE, {"step": 1}), (j.CANCEL, {})):
        job = await job_at(crew, "ASSIGNED" if document == j.START else "IN_PROGRESS")
        replies = await asyncio.gather(
            *(crew.send(role, document, id=job["id"], **variables) for role in ("Operator", "Admin"))
        )
        [lost] = [reply for reply in replies if "errors" in reply.json]
        assert refusal(lost).code == "CONFLICT"


async def test_a_template_without_jobs_and_a_draft_change_nothing_for_jobs(crew: Crew) -> None:
    """A new version's draft belongs to nobody's job."""
    template = await add_template(crew)
    assert (await crew.refused("Operator", j.ADD, input={"templateId": template["id"]})).code == "CONFLICT"
    await bring(crew, template["latestVersion"]["id"], "PUBLISHED")
    await crew.ask("Author", t.NEXT, id=template["id"])
    assert (await new_job(crew, template["id"]))["version"]["number"] == 1
