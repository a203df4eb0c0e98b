"""The whole workflow from template to finished job, by seven users of one client, each with a separate token."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import jobs as j
from tests.support import templates as t
from tests.support.application import App
from tests.support.roles import ROLES
from tests.support.team import Team, new_team

pytestmark = pytest.mark.one_store

FIRST: list[dict[str, Any]] = [
    {"title": "Close the valve"},
    {"title": "Read the gauge", "instructions": "In bar.", "requiresEvidence": True},
]
PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)


@pytest.fixture
async def team(app: App) -> Team:
    """A team with all seven users signed in before anything happens."""
    made = await new_team(app)
    tokens = {(await made.member(role)).token for role in ROLES}
    assert len(tokens) == 7
    return made


async def conflict(team: Team, role: str, document: str, **variables: Any) -> str:
    refused = await team.refused(role, document, **variables)
    assert refused.code == "CONFLICT"
    return refused.message


async def forbidden(team: Team, roles: list[str], document: str, **variables: Any) -> None:
    for role in roles:
        assert (await team.refused(role, document, **variables)).code == "FORBIDDEN"


async def publish_first_version(team: Team) -> dict[str, Any]:
    """Work from the author's first line to the published version, with a rejection on the way."""
    given = {"name": "Pump check", "steps": FIRST[:1]}
    await forbidden(team, ["User Admin", "Approver", "Publisher", "Operator", "Viewer"], t.ADD, input=given)
    template = await team.ask("Author", t.ADD, input=given)
    version = template["latestVersion"]["id"]
    await team.ask("Author", t.SUBMIT, id=version, comment="Please look at it")
    await forbidden(team, ["Author", "Publisher", "Operator", "Viewer", "User Admin"], t.APPROVE, id=version)
    assert "submitted" in await conflict(team, "Publisher", t.PUBLISH, id=version)
    await team.ask("Approver", t.REJECT, id=version, comment="No one reads the gauge")
    mended = await team.ask("Author", t.EDIT, id=version, input={"revision": 1, "steps": FIRST})
    await team.ask("Author", t.SUBMIT, id=version, revision=mended["revision"])
    await team.ask("Approver", t.APPROVE, id=version, comment="Good", revision=mended["revision"])
    await forbidden(team, ["Author", "Approver", "Operator", "Viewer", "User Admin"], t.PUBLISH, id=version)
    assert "no published version" in await conflict(team, "Operator", j.ADD, input={"templateId": template["id"]})
    published = await team.ask("Publisher", t.PUBLISH, id=version)
    assert (published["number"], published["status"]) == (1, "PUBLISHED")
    return await t.read(team, template["id"])


async def begin_job(team: Team, template_id: int) -> dict[str, Any]:
    """Start a job for the operator; steps out of order or without evidence are rejected."""
    operator = (await team.member("Operator")).id
    given = {
        "name": "Pump 7", "templateId": template_id, "assetId": "P-7", "priority": "HIGH", "assignedUserIds": [operator]
    }  # fmt: skip
    await forbidden(team, ["Author", "Approver", "Publisher", "User Admin", "Viewer"], j.ADD, input=given)
    job = await team.ask("Operator", j.ADD, input=given)
    assert (job["status"], job["priority"], job["version"]["number"]) == ("ASSIGNED", "HIGH", 1)
    assert "not started" in await conflict(team, "Operator", j.RECORDS, id=job["id"], step=1, input=j.PRESSURE)
    await team.ask("Operator", j.START, id=job["id"])
    assert await conflict(team, "Operator", j.STEP_DONE, id=job["id"], step=2) == "Step 1 is next"
    await team.ask("Operator", j.STEP_DONE, id=job["id"], step=1)
    assert "evidence" in await conflict(team, "Operator", j.STEP_DONE, id=job["id"], step=2)
    assert "Step 2" in await conflict(team, "Operator", j.COMPLETE, id=job["id"])
    return await j.read(team, job["id"])


async def finish_job(team: Team, job: dict[str, Any]) -> dict[str, Any]:
    """Record two kinds of evidence, complete the last step, and finish the job."""
    await team.ask("Operator", j.RECORDS, id=job["id"], step=2, input=j.PRESSURE)
    token, kind = (await team.member("Operator")).token, {"Content-Type": "image/png"}
    sent = await team.app.send("POST", "/api/client/files?name=gauge.png", token=token, content=PNG, headers=kind)
    photo = await team.ask("Operator", j.RECORDS, id=job["id"], step=2, input={"fileId": sent.data["id"]})
    await team.ask("Operator", j.STEP_DONE, id=job["id"], step=2)
    done: dict[str, Any] = await team.ask("Operator", j.COMPLETE, id=job["id"])
    assert (done["status"], done["currentStep"]) == ("COMPLETED", None)
    seen = await team.app.client.get(
        photo["file"]["url"], headers={"Authorization": f"Bearer {(await team.member('Viewer')).token}"}
    )
    assert (seen.status_code, seen.content) == (200, PNG)
    assert "completed" in await conflict(team, "Operator", j.CANCEL, id=job["id"])
    return done


async def publish_second_version(team: Team, template_id: int) -> None:
    draft = await team.ask("Author", t.NEXT, id=template_id)
    steps = [*FIRST, {"title": "Open the valve"}]
    edited = await team.ask("Author", t.EDIT, id=draft["id"], input={"revision": draft["revision"], "steps": steps})
    await team.ask("Author", t.SUBMIT, id=draft["id"], revision=edited["revision"])
    await team.ask("Approver", t.APPROVE, id=draft["id"])
    assert (await team.ask("Publisher", t.PUBLISH, id=draft["id"]))["number"] == 2


async def test_the_complete_workflow(team: Team) -> None:
    template = await publish_first_version(team)
    job = await begin_job(team, template["id"])
    assert (await j.read(team, job["id"]))["newerVersion"] is None
    done = await finish_job(team, job)
    await publish_second_version(team, template["id"])

    old = await j.read(team, job["id"])  # as seen by the viewer
    assert (old["version"]["number"], old["version"]["status"], old["newerVersion"]["number"]) == (1, "RETIRED", 2)
    assert old == {**done, "version": old["version"], "newerVersion": old["newerVersion"]}
    assert [step["title"] for step in old["steps"]] == ["Close the valve", "Read the gauge"]
    new = await team.ask("Admin", j.ADD, input={"templateId": template["id"]})
    assert (new["version"]["number"], new["newerVersion"], len(new["steps"])) == (2, None, 3)

    assert await t.moves(team, template["id"]) == [
        ("CREATED", 1), ("SUBMITTED", 1), ("REJECTED", 1), ("EDITED", 1), ("SUBMITTED", 1), ("APPROVED", 1),
        ("PUBLISHED", 1), ("VERSION_ADDED", 2), ("EDITED", 2), ("SUBMITTED", 2), ("APPROVED", 2), ("PUBLISHED", 2),
        ("RETIRED", 1),
    ]  # fmt: skip
    assert await j.moves(team, job["id"]) == [
        "CREATED", "ASSIGNED", "STARTED", "STEP_COMPLETED", "STEP_COMPLETED", "COMPLETED"
    ]  # fmt: skip
    told = (await team.ask("Viewer", t.HISTORY, id=template["id"]))["history"]
    assert [event["comment"] for event in told if event["move"] == "REJECTED"] == ["No one reads the gauge"]
    names = {(await team.member(role)).id: role for role in ("Author", "Approver", "Publisher")}
    assert [names[event["by"]["id"]] for event in told[:7]] == [
        "Author", "Author", "Approver", "Author", "Author", "Approver", "Publisher"
    ]  # fmt: skip


async def test_the_two_who_only_watch_see_all_of_it_and_change_nothing(team: Team) -> None:
    template = await publish_first_version(team)
    job = await begin_job(team, template["id"])
    operator = (await team.member("Operator")).id
    version = template["latestVersion"]["id"]
    for role in ("Viewer", "User Admin"):
        assert await team.ask(role, j.READ, id=job["id"]) == job
        assert await team.ask(role, t.READ, id=template["id"]) == template
        for document, variables in (
            (t.UPDATE, {"id": template["id"], "input": {"name": "Mine"}}),
            (t.NEXT, {"id": template["id"]}),
            (t.SUBMIT, {"id": version}),
            (t.APPROVE, {"id": version}),
            (t.REJECT, {"id": version, "comment": "No"}),
            (t.PUBLISH, {"id": version}),
            (t.ARCHIVE, {"id": template["id"]}),
            (j.UPDATE, {"id": job["id"], "input": {"name": "Mine"}}),
            (j.ASSIGN, {"id": job["id"], "user": operator}),
            (j.UNASSIGN, {"id": job["id"], "user": operator}),
            (j.START, {"id": job["id"]}),
            (j.RECORDS, {"id": job["id"], "step": 2, "input": j.PRESSURE}),
            (j.STEP_DONE, {"id": job["id"], "step": 2}),
            (j.COMPLETE, {"id": job["id"]}),
            (j.CANCEL, {"id": job["id"]}),
        ):
            await forbidden(team, [role], document, **variables)
    assert await j.read(team, job["id"]) == job
    assert await t.read(team, template["id"]) == template
