"""The whole story, told by the seven people of one client, each with a token of their own."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import jobs as j
from tests.support import templates as t
from tests.support.application import App
from tests.support.roles import ROLES
from tests.support.team import Crew, new_crew

FIRST: list[dict[str, Any]] = [
    {"title": "Close the valve"},
    {"title": "Read the gauge", "instructions": "In bar.", "requiresEvidence": True},
]
PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)


@pytest.fixture
async def crew(app: App) -> Crew:
    """All seven are signed in before anything happens."""
    made = await new_crew(app)
    tokens = {(await made.member(role)).token for role in ROLES}
    assert len(tokens) == 7
    return made


async def conflict(crew: Crew, role: str, document: str, **variables: Any) -> str:
    refused = await crew.refused(role, document, **variables)
    assert refused.code == "CONFLICT"
    return refused.message


async def forbidden(crew: Crew, roles: list[str], document: str, **variables: Any) -> None:
    for role in roles:
        assert (await crew.refused(role, document, **variables)).code == "FORBIDDEN"


async def publish_first_version(crew: Crew) -> dict[str, Any]:
    """From the author's first line to the published version; a rejection on the way."""
    given = {"name": "Pump check", "steps": FIRST[:1]}
    await forbidden(crew, ["User Admin", "Approver", "Publisher", "Operator", "Viewer"], t.ADD, input=given)
    template = await crew.ask("Author", t.ADD, input=given)
    version = template["latestVersion"]["id"]
    await crew.ask("Author", t.SUBMIT, id=version, comment="Please look at it")
    await forbidden(crew, ["Author", "Publisher", "Operator", "Viewer", "User Admin"], t.APPROVE, id=version)
    assert "submitted" in await conflict(crew, "Publisher", t.PUBLISH, id=version)
    await crew.ask("Approver", t.REJECT, id=version, comment="Nobody reads the gauge")
    mended = await crew.ask("Author", t.EDIT, id=version, input={"revision": 1, "steps": FIRST})
    await crew.ask("Author", t.SUBMIT, id=version, revision=mended["revision"])
    await crew.ask("Approver", t.APPROVE, id=version, comment="Good", revision=mended["revision"])
    await forbidden(crew, ["Author", "Approver", "Operator", "Viewer", "User Admin"], t.PUBLISH, id=version)
    assert "no published version" in await conflict(crew, "Operator", j.ADD, input={"templateId": template["id"]})
    published = await crew.ask("Publisher", t.PUBLISH, id=version)
    assert (published["number"], published["status"]) == (1, "PUBLISHED")
    return await t.read(crew, template["id"])


async def begin_job(crew: Crew, template_id: int) -> dict[str, Any]:
    """A job for the operator, who is refused what is out of order or lacks its evidence."""
    operator = (await crew.member("Operator")).id
    given = {
        "name": "Pump 7", "templateId": template_id, "assetId": "P-7", "priority": "HIGH", "assignedUserIds": [operator]
    }  # fmt: skip
    await forbidden(crew, ["Author", "Approver", "Publisher", "User Admin", "Viewer"], j.ADD, input=given)
    job = await crew.ask("Operator", j.ADD, input=given)
    assert (job["status"], job["priority"], job["version"]["number"]) == ("ASSIGNED", "HIGH", 1)
    assert "not started" in await conflict(crew, "Operator", j.RECORDS, id=job["id"], step=1, input=j.PRESSURE)
    await crew.ask("Operator", j.START, id=job["id"])
    assert await conflict(crew, "Operator", j.STEP_DONE, id=job["id"], step=2) == "Step 1 is next"
    await crew.ask("Operator", j.STEP_DONE, id=job["id"], step=1)
    assert "evidence" in await conflict(crew, "Operator", j.STEP_DONE, id=job["id"], step=2)
    assert "Step 2" in await conflict(crew, "Operator", j.COMPLETE, id=job["id"])
    return await j.read(crew, job["id"])


async def finish_job(crew: Crew, job: dict[str, Any]) -> dict[str, Any]:
    """Evidence of two kinds, the last step, and the end."""
    await crew.ask("Operator", j.RECORDS, id=job["id"], step=2, input=j.PRESSURE)
    token, kind = (await crew.member("Operator")).token, {"Content-Type": "image/png"}
    sent = await crew.app.send("POST", "/api/client/files?name=gauge.png", token=token, content=PNG, headers=kind)
    photo = await crew.ask("Operator", j.RECORDS, id=job["id"], step=2, input={"fileId": sent.data["id"]})
    await crew.ask("Operator", j.STEP_DONE, id=job["id"], step=2)
    done: dict[str, Any] = await crew.ask("Operator", j.COMPLETE, id=job["id"])
    assert (done["status"], done["currentStep"]) == ("COMPLETED", None)
    seen = await crew.app.client.get(
        photo["file"]["url"], headers={"Authorization": f"Bearer {(await crew.member('Viewer')).token}"}
    )
    assert (seen.status_code, seen.content) == (200, PNG)
    assert "completed" in await conflict(crew, "Operator", j.CANCEL, id=job["id"])
    return done


async def publish_second_version(crew: Crew, template_id: int) -> None:
    draft = await crew.ask("Author", t.NEXT, id=template_id)
    steps = [*FIRST, {"title": "Open the valve"}]
    edited = await crew.ask("Author", t.EDIT, id=draft["id"], input={"revision": draft["revision"], "steps": steps})
    await crew.ask("Author", t.SUBMIT, id=draft["id"], revision=edited["revision"])
    await crew.ask("Approver", t.APPROVE, id=draft["id"])
    assert (await crew.ask("Publisher", t.PUBLISH, id=draft["id"]))["number"] == 2


async def test_the_whole_story(crew: Crew) -> None:
    template = await publish_first_version(crew)
    job = await begin_job(crew, template["id"])
    assert (await j.read(crew, job["id"]))["newerVersion"] is None
    done = await finish_job(crew, job)
    await publish_second_version(crew, template["id"])

    old = await j.read(crew, job["id"])  # as the viewer sees it
    assert (old["version"]["number"], old["version"]["status"], old["newerVersion"]["number"]) == (1, "RETIRED", 2)
    assert old == {**done, "version": old["version"], "newerVersion": old["newerVersion"]}
    assert [step["title"] for step in old["steps"]] == ["Close the valve", "Read the gauge"]
    new = await crew.ask("Admin", j.ADD, input={"templateId": template["id"]})
    assert (new["version"]["number"], new["newerVersion"], len(new["steps"])) == (2, None, 3)

    assert await t.moves(crew, template["id"]) == [
        ("CREATED", 1), ("SUBMITTED", 1), ("REJECTED", 1), ("EDITED", 1), ("SUBMITTED", 1), ("APPROVED", 1),
        ("PUBLISHED", 1), ("VERSION_ADDED", 2), ("EDITED", 2), ("SUBMITTED", 2), ("APPROVED", 2), ("PUBLISHED", 2),
        ("RETIRED", 1),
    ]  # fmt: skip
    assert await j.moves(crew, job["id"]) == [
        "CREATED", "ASSIGNED", "STARTED", "STEP_COMPLETED", "STEP_COMPLETED", "COMPLETED"
    ]  # fmt: skip
    told = (await crew.ask("Viewer", t.HISTORY, id=template["id"]))["history"]
    assert [event["comment"] for event in told if event["move"] == "REJECTED"] == ["Nobody reads the gauge"]
    names = {(await crew.member(role)).id: role for role in ("Author", "Approver", "Publisher")}
    assert [names[event["by"]["id"]] for event in told[:7]] == [
        "Author", "Author", "Approver", "Author", "Author", "Approver", "Publisher"
    ]  # fmt: skip


async def test_the_two_who_only_watch_see_all_of_it_and_change_nothing(crew: Crew) -> None:
    template = await publish_first_version(crew)
    job = await begin_job(crew, template["id"])
    operator = (await crew.member("Operator")).id
    version = template["latestVersion"]["id"]
    for role in ("Viewer", "User Admin"):
        assert await crew.ask(role, j.READ, id=job["id"]) == job
        assert await crew.ask(role, t.READ, id=template["id"]) == template
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
            await forbidden(crew, [role], document, **variables)
    assert await j.read(crew, job["id"]) == job
    assert await t.read(crew, template["id"]) == template
