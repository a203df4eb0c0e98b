"""Another client's templates aren't found, and each role can do only its part of a template."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import templates as t
from tests.support.application import App
from tests.support.matrix import matrix
from tests.support.roles import HOLDERS, Permission, Role
from tests.support.rules import rule
from tests.support.team import Team, new_team
from tests.support.templates import add_template, moves, read, template_at

pytestmark = pytest.mark.one_store

STEPS = [{"title": "Stolen"}]
#: Every operation: its document, its permission, whether its ID is a template's, and the other variables.
ACTS: dict[str, tuple[str, Permission, bool, dict[str, Any]]] = {
    "template": (t.READ, Permission.TEMPLATES_READ, True, {}),
    "templateVersion": (t.READ_VERSION, Permission.TEMPLATES_READ, False, {}),
    "updateTemplate": (t.UPDATE, Permission.TEMPLATES_EDIT, True, {"input": {"name": "Stolen"}}),
    "addTemplateVersion": (t.NEXT, Permission.TEMPLATES_EDIT, True, {}),
    "updateTemplateVersion": (
        t.EDIT, Permission.TEMPLATES_EDIT, False, {"input": {"revision": 1, "steps": STEPS}}
    ),
    "submitTemplateVersion": (t.SUBMIT, Permission.TEMPLATES_EDIT, False, {}),
    "approveTemplateVersion": (t.APPROVE, Permission.TEMPLATES_APPROVE, False, {}),
    "rejectTemplateVersion": (t.REJECT, Permission.TEMPLATES_APPROVE, False, {"comment": "No"}),
    "publishTemplateVersion": (t.PUBLISH, Permission.TEMPLATES_PUBLISH, False, {}),
    "archiveTemplate": (t.ARCHIVE, Permission.TEMPLATES_PUBLISH, True, {}),
    "restoreTemplate": (t.RESTORE, Permission.TEMPLATES_PUBLISH, True, {}),
}  # fmt: skip
#: The state in which the action would succeed on the caller's own template.
STATES = {
    "approveTemplateVersion": "SUBMITTED",
    "rejectTemplateVersion": "SUBMITTED",
    "publishTemplateVersion": "APPROVED",
    "addTemplateVersion": "PUBLISHED",
}


@pytest.fixture(scope="module")
async def ours(app: App) -> Team:
    return await new_team(app)


@pytest.fixture(scope="module")
async def theirs(app: App) -> Team:
    return await new_team(app)


async def target(team: Team, act: str) -> tuple[dict[str, Any], int]:
    """A template on which the action would succeed, and the ID to use."""
    template = await template_at(team, STATES.get(act, "DRAFT"))
    if act == "restoreTemplate":
        template = await team.ask("Publisher", t.ARCHIVE, id=template["id"])
    return template, template["id"] if ACTS[act][2] else template["latestVersion"]["id"]


@rule("FOREIGN-IS-MISSING")
@matrix("act", ACTS)
async def test_another_clients_thing_looks_nonexistent(ours: Team, theirs: Team, act: str) -> None:
    template, foreign = await target(theirs, act)
    log = await moves(theirs, template["id"])
    document, _, _, variables = ACTS[act]
    refusals = [await ours.refused("Admin", document, id=number, **variables) for number in (foreign, 2**31 - 1, 0, -1)]
    assert [refused.code for refused in refusals] == ["NOT_FOUND"] * 4
    assert {(refused.message, tuple(refused.path), tuple(refused.fields)) for refused in refusals} == {
        ("Not found", (act,), ())
    }
    assert await read(theirs, template["id"]) == template
    assert await moves(theirs, template["id"]) == log
    assert (await theirs.send("Admin", document, id=foreign, **variables)).json.get("errors") is None


@rule("DENY-BY-DEFAULT")
@matrix("role", list(Role))
@matrix("act", ACTS)
async def test_every_role_does_its_part_and_no_more(ours: Team, theirs: Team, act: str, role: Role) -> None:
    """Forbidden calls fail before any look-up: for the caller's own template, another client's, and a nonexistent
    one."""
    document, permission, _, variables = ACTS[act]
    template, own = await target(ours, act)
    if role in HOLDERS[permission]:
        assert (await ours.send(role.value, document, id=own, **variables)).json.get("errors") is None
        return
    log = await moves(ours, template["id"])
    _, foreign = await target(theirs, act)
    for number in (own, foreign, 2**31 - 1):
        refused = await ours.refused(role.value, document, id=number, **variables)
        assert (refused.code, refused.message) == ("FORBIDDEN", "Insufficient permissions")
    assert await read(ours, template["id"]) == template
    assert await moves(ours, template["id"]) == log


@matrix("role", list(Role))
async def test_who_makes_templates(ours: Team, role: Role) -> None:
    given = {"name": "New", "steps": STEPS}
    if role in HOLDERS[Permission.TEMPLATES_EDIT]:
        assert (await ours.ask(role.value, t.ADD, input=given))["name"] == "New"
    else:
        assert (await ours.refused(role.value, t.ADD, input=given)).code == "FORBIDDEN"


async def test_lists_and_nested_fields_stay_inside_the_client(app: App) -> None:
    teams = [await new_team(app), await new_team(app)]
    for team in teams:
        for _ in range(3):
            await add_template(team, f"of {team.client}")
    document = """{ templatesPage(filter: {search: "of"}) { total items { name createdBy { email }
        latestVersion { template { name } createdBy { email } } versions { template { name } }
        history { by { email } } } } }"""
    for team, other in (teams, teams[::-1]):
        reply = await team.send("Viewer", document)
        page = reply.json["data"]["templatesPage"]
        assert page["total"] == len(page["items"]) == 3
        assert all(item["name"] == f"of {team.client}" for item in page["items"])
        assert all(item["latestVersion"]["template"]["name"] == f"of {team.client}" for item in page["items"])
        assert other.client not in reply.text
        assert other.members["Author"].email not in reply.text


async def test_a_cursor_of_another_client_shows_nothing_of_it(app: App) -> None:
    teams = [await new_team(app), await new_team(app)]
    for team in teams:
        for number in range(3):
            await add_template(team, f"{number} of {team.client}")
    page = "query($after: String) { templatesPage(first: 1, sort: NAME, after: $after) { nextCursor items { name } } }"
    cursor = (await teams[0].ask("Viewer", page))["nextCursor"]
    found = await teams[1].ask("Viewer", page.replace("first: 1", "first: 100"), after=cursor)
    assert all(item["name"].endswith(teams[1].client) for item in found["items"])
