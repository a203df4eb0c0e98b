"""The editorial states of a template, every transition, and its log."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import templates as t
from tests.support.application import App
from tests.support.matrix import matrix
from tests.support.team import Team, new_team
from tests.support.templates import add_template, bring, moves, read, template_at

pytestmark = pytest.mark.one_store


async def test_a_new_template_has_a_draft(app: App) -> None:
    team = await new_team(app)
    made = await add_template(team, "Pümp check", description="Monthly.\nWith care.")
    author = (await team.member("Author")).id
    draft = made["latestVersion"]
    assert (made["name"], made["description"], made["isArchived"]) == ("Pümp check", "Monthly.\nWith care.", False)
    assert made["createdBy"] == draft["createdBy"] == {"id": author}
    assert made["createdAt"] == made["changedAt"] == draft["createdAt"] == "2027-01-15T08:00:00.000Z"
    assert made["publishedVersion"] is draft["publishedAt"] is None
    assert (draft["number"], draft["status"], draft["revision"]) == (1, "DRAFT", 1)
    assert draft["template"] == {"id": made["id"]}
    assert draft["steps"] == [
        {"number": 1, **t.STEPS[0]},
        {"number": 2, "title": "Read the gauge", "instructions": "", "requiresEvidence": False},
    ]
    assert made == await read(team, made["id"])
    assert draft == await team.ask("Viewer", t.READ_VERSION, id=draft["id"])


async def test_the_way_from_draft_to_published_and_on_to_the_next_version(app: App) -> None:
    team = await new_team(app)
    made = await add_template(team)
    first = made["latestVersion"]["id"]
    for role, document, comment, status in (
        ("Author", t.SUBMIT, "Please look", "SUBMITTED"),
        ("Approver", t.REJECT, "Which gauge?\nSay so.", "DRAFT"),
        ("Author", t.SUBMIT, None, "SUBMITTED"),
        ("Approver", t.APPROVE, "Good", "APPROVED"),
        ("Approver", t.REJECT, "On second thought", "DRAFT"),
        ("Author", t.SUBMIT, None, "SUBMITTED"),
        ("Approver", t.APPROVE, None, "APPROVED"),
        ("Publisher", t.PUBLISH, "Out with it", "PUBLISHED"),
    ):
        app.clock.advance(60)
        assert (await team.ask(role, document, id=first, comment=comment))["status"] == status
    template = await read(team, made["id"])
    assert template["publishedVersion"] == {"id": first, "number": 1, "status": "PUBLISHED"}
    assert template["changedAt"] == template["latestVersion"]["publishedAt"] > template["createdAt"]

    second = await team.ask("Author", t.NEXT, id=made["id"])
    assert (second["number"], second["status"], second["revision"]) == (2, "DRAFT", 1)
    assert second["steps"] == made["latestVersion"]["steps"]
    steps = [{"title": "Another"}]
    edited = await team.ask("Author", t.EDIT, id=second["id"], input={"revision": 1, "steps": steps})
    assert (edited["revision"], [step["title"] for step in edited["steps"]]) == (2, ["Another"])
    await bring(team, second["id"], "PUBLISHED")

    template = await read(team, made["id"])
    assert template["publishedVersion"] == {"id": second["id"], "number": 2, "status": "PUBLISHED"}
    assert template["versions"] == [
        {"id": first, "number": 1, "status": "RETIRED"},
        {"id": second["id"], "number": 2, "status": "PUBLISHED"},
    ]
    old = await team.ask("Viewer", t.READ_VERSION, id=first)
    assert old["steps"] == made["latestVersion"]["steps"]
    log = (await team.ask("Viewer", t.HISTORY, id=made["id"]))["history"]
    who = {role: member.id for role, member in team.members.items()}
    assert [(e["number"], e["move"], e["version"], e["comment"], e["by"]["id"]) for e in log] == [
        (1, "CREATED", 1, "", who["Author"]),
        (2, "SUBMITTED", 1, "Please look", who["Author"]),
        (3, "REJECTED", 1, "Which gauge?\nSay so.", who["Approver"]),
        (4, "SUBMITTED", 1, "", who["Author"]),
        (5, "APPROVED", 1, "Good", who["Approver"]),
        (6, "REJECTED", 1, "On second thought", who["Approver"]),
        (7, "SUBMITTED", 1, "", who["Author"]),
        (8, "APPROVED", 1, "", who["Approver"]),
        (9, "PUBLISHED", 1, "Out with it", who["Publisher"]),
        (10, "VERSION_ADDED", 2, "", who["Author"]),
        (11, "EDITED", 2, "", who["Author"]),
        (12, "SUBMITTED", 2, "", who["Author"]),
        (13, "APPROVED", 2, "", who["Approver"]),
        (14, "PUBLISHED", 2, "", who["Publisher"]),
        (15, "RETIRED", 1, "", who["Publisher"]),
    ]
    assert [e["at"] for e in log] == sorted(e["at"] for e in log)
    assert len({e["at"] for e in log}) == 9


#: Transitions out of each state, and their targets. All others are conflicts.
LEADS = {
    ("DRAFT", "edit"): "DRAFT",
    ("DRAFT", "submit"): "SUBMITTED",
    ("SUBMITTED", "approve"): "APPROVED",
    ("SUBMITTED", "reject"): "DRAFT",
    ("APPROVED", "reject"): "DRAFT",
    ("APPROVED", "publish"): "PUBLISHED",
}
ACTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "edit": ("Author", t.EDIT, {"input": {"revision": 1, "steps": [{"title": "New"}]}}),
    "submit": ("Author", t.SUBMIT, {}),
    "approve": ("Approver", t.APPROVE, {}),
    "reject": ("Approver", t.REJECT, {"comment": "No"}),
    "publish": ("Publisher", t.PUBLISH, {}),
}
STATUS_NAMES = {
    "DRAFT": "a draft",
    "SUBMITTED": "submitted",
    "APPROVED": "approved",
    "PUBLISHED": "published",
    "RETIRED": "retired",
}


async def version_at(team: Team, status: str) -> dict[str, Any]:
    """A version in a state; a retired one's template has a newer version."""
    template = await template_at(team, "PUBLISHED" if status == "RETIRED" else status)
    version: dict[str, Any] = template["latestVersion"]
    if status == "RETIRED":
        await bring(team, (await team.ask("Author", t.NEXT, id=template["id"]))["id"], "PUBLISHED")
        version = await team.ask("Viewer", t.READ_VERSION, id=version["id"])
    assert version["status"] == status
    return version


@matrix("act", ACTS)
@matrix("status", STATUS_NAMES)
async def test_every_move_from_every_state(team: Team, status: str, act: str) -> None:
    before = await version_at(team, status)
    log = await moves(team, before["template"]["id"])
    role, document, variables = ACTS[act]
    to = LEADS.get((status, act))
    if to is not None:
        moved = await team.ask(role, document, id=before["id"], **variables)
        assert moved["status"] == to
        assert moved == await team.ask("Viewer", t.READ_VERSION, id=before["id"])
        assert len(await moves(team, before["template"]["id"])) == len(log) + 1
    else:
        refused = await team.refused(role, document, id=before["id"], **variables)
        assert refused.code == "CONFLICT"
        assert refused.message.startswith(f"The version is {STATUS_NAMES[status]}. To be ")
        assert await team.ask("Viewer", t.READ_VERSION, id=before["id"]) == before
        assert await moves(team, before["template"]["id"]) == log


@matrix("status", ["DRAFT", "SUBMITTED", "APPROVED", "PUBLISHED"])
async def test_one_version_is_under_way_at_a_time(team: Team, status: str) -> None:
    template = await template_at(team, status)
    if status == "PUBLISHED":
        assert (await team.ask("Author", t.NEXT, id=template["id"]))["number"] == 2
    refused = await team.refused("Author", t.NEXT, id=template["id"])
    assert (refused.code, refused.path) == ("CONFLICT", ["addTemplateVersion"])
    assert f"latest version is {STATUS_NAMES[status if status != 'PUBLISHED' else 'DRAFT']}" in refused.message
    assert len((await read(team, template["id"]))["versions"]) == (2 if status == "PUBLISHED" else 1)


async def test_a_version_without_steps_is_not_submitted(team: Team) -> None:
    template = await add_template(team, steps=None)
    draft = template["latestVersion"]
    assert draft["steps"] == []
    refused = await team.refused("Author", t.SUBMIT, id=draft["id"])
    assert (refused.code, "no steps" in refused.message) == ("CONFLICT", True)
    assert await read(team, template["id"]) == template
    assert await moves(team, template["id"]) == [("CREATED", 1)]


async def test_an_edit_replaces_all_steps_of_the_revision_that_it_was_made_from(team: Team) -> None:
    draft = (await add_template(team))["latestVersion"]
    for revision, titles in ((1, ["a", "b", "c"]), (2, []), (3, ["d"])):
        steps = [{"title": title} for title in titles]
        edited = await team.ask("Author", t.EDIT, id=draft["id"], input={"revision": revision, "steps": steps})
        assert (edited["revision"], [step["title"] for step in edited["steps"]]) == (revision + 1, titles)
        assert [step["number"] for step in edited["steps"]] == list(range(1, len(titles) + 1))
    for stale in (1, 3, 5, 0, -1):
        refused = await team.refused("Author", t.EDIT, id=draft["id"], input={"revision": stale, "steps": []})
        assert (refused.code, "revision 4" in refused.message) == ("CONFLICT", True)
    kept = await team.ask("Viewer", t.READ_VERSION, id=draft["id"])
    assert [step["title"] for step in kept["steps"]] == ["d"]


@matrix("act", ["submit", "approve", "reject", "publish"])
async def test_a_move_that_names_its_revision_is_rejected_after_an_edit(team: Team, act: str) -> None:
    """An approval applies to the text that was read. If it was edited in the meantime, the approval isn't valid."""
    status = next(status for status, name in LEADS if name == act)
    draft = (await add_template(team))["latestVersion"]
    await team.ask("Author", t.EDIT, id=draft["id"], input={"revision": 1, "steps": [{"title": "New"}]})
    await bring(team, draft["id"], status)
    role, document, variables = ACTS[act]
    refused = await team.refused(role, document, id=draft["id"], revision=1, **variables)
    assert (refused.code, "revision 2" in refused.message) == ("CONFLICT", True)
    moved = await team.ask(role, document, id=draft["id"], revision=2, **variables)
    assert moved["status"] == LEADS[status, act]


async def test_an_archived_template_comes_out_again_and_does_nothing_else(team: Team) -> None:
    template = await template_at(team, "APPROVED")
    version = template["latestVersion"]
    assert (await team.refused("Publisher", t.RESTORE, id=template["id"])).code == "CONFLICT"
    archived = await team.ask("Publisher", t.ARCHIVE, id=template["id"], comment="Old")
    assert archived["isArchived"]
    log = await moves(team, template["id"])
    assert log[-1] == ("ARCHIVED", None)
    for role, document, variables in (
        *((role, document, {"id": version["id"], **more}) for role, document, more in ACTS.values()),
        ("Author", t.NEXT, {"id": template["id"]}),
        ("Author", t.UPDATE, {"id": template["id"], "input": {"name": "New"}}),
        ("Author", t.UPDATE, {"id": template["id"], "input": {}}),
        ("Publisher", t.ARCHIVE, {"id": template["id"]}),
    ):
        refused = await team.refused(role, document, **variables)
        assert (refused.code, refused.message) == ("CONFLICT", "The template is archived. Restore it first")
    assert await read(team, template["id"]) == archived
    assert await moves(team, template["id"]) == log
    restored = await team.ask("Publisher", t.RESTORE, id=template["id"], comment="Needed again")
    assert restored == {**template, "changedAt": restored["changedAt"]}
    assert (await moves(team, template["id"]))[len(log) :] == [("RESTORED", None)]
    assert (await team.ask("Publisher", t.PUBLISH, id=version["id"]))["status"] == "PUBLISHED"


async def test_name_and_description_change_alone_or_together(team: Team) -> None:
    template = await add_template(team, "Before", description="About")
    for given, expected in (
        ({}, ("Before", "About")),
        ({"name": None, "description": None}, ("Before", "About")),
        ({"name": "Before"}, ("Before", "About")),
        ({"name": "After"}, ("After", "About")),
        ({"description": ""}, ("After", "")),
        ({"name": "Last", "description": "More"}, ("Last", "More")),
    ):
        changed = await team.ask("Author", t.UPDATE, id=template["id"], input=given)
        assert (changed["name"], changed["description"]) == expected
        assert await read(team, template["id"]) == changed
    assert await moves(team, template["id"]) == [("CREATED", 1), *[("CHANGED", None)] * 3]


async def test_moves_of_one_document_go_one_after_the_other(team: Team) -> None:
    """Nothing that was read for the first mutation is reused for the second."""
    template = await template_at(team, "DRAFT")
    document = """mutation($id: Int!, $version: Int!) {
        name: updateTemplate(id: $id, input: {name: "Other"}) { name latestVersion { status } }
        sent: submitTemplateVersion(id: $version) { status template { name latestVersion { status } } }
        gone: approveTemplateVersion(id: $version) { status }
        again: submitTemplateVersion(id: $version) { status } }"""
    reply = await team.send("Author", document, id=template["id"], version=template["latestVersion"]["id"])
    assert reply.json["data"] == {
        "name": {"name": "Other", "latestVersion": {"status": "DRAFT"}},
        "sent": {"status": "SUBMITTED", "template": {"name": "Other", "latestVersion": {"status": "SUBMITTED"}}},
        "gone": None,
        "again": None,
    }
    codes = {error["path"][0]: error["extensions"]["code"] for error in reply.json["errors"]}
    assert codes == {"gone": "FORBIDDEN", "again": "CONFLICT"}
