"""Length limits for the texts of a template, exact to the character."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import templates as t
from tests.support.matrix import matrix
from tests.support.team import Team
from tests.support.templates import add_template, moves, read, template_at

pytestmark = pytest.mark.one_store


async def count(team: Team) -> int:
    return int((await team.ask("Viewer", "{ templatesPage { total } }"))["total"])


STEP = {"title": "Step"}
GOOD: dict[str, dict[str, Any]] = {
    "the longest name": {"name": "x" * 200},
    "letters of four bytes": {"name": "😀" * 200},
    "a name with spaces around": {"name": " x "},
    "no description": {"name": "x", "description": None},
    "the longest description": {"name": "x", "description": "\n" * 10_000},
    "no steps": {"name": "x", "steps": []},
    "steps that are null": {"name": "x", "steps": None},
    "the most steps": {"name": "x", "steps": [STEP] * 200},
    "the longest title": {"name": "x", "steps": [{"title": "ü" * 200}]},
    "the longest instructions": {"name": "x", "steps": [{"title": "x", "instructions": "\t" * 10_000}]},
    "members that are null": {"name": "x", "steps": [{"title": "x", "instructions": None, "requiresEvidence": None}]},
    "what looks like SQL and JSON": {"name": "'; --", "steps": [{"title": '"]},{"', "instructions": "\\u0000 $[0]"}]},
}
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "an empty name": ({"name": ""}, "name"),
    "a name of spaces": ({"name": " \u3000"}, "name"),
    "a long name": ({"name": "x" * 201}, "name"),
    "a name of two lines": ({"name": "a\nb"}, "name"),
    "a control character in a name": ({"name": "a\x1b[31m"}, "name"),
    "a long description": ({"name": "x", "description": "x" * 10_001}, "description"),
    "a control character in a description": ({"name": "x", "description": "\x0b"}, "description"),
    "a step too many": ({"name": "x", "steps": [STEP] * 201}, "steps"),
    "a step without a title": ({"name": "x", "steps": [STEP, {"title": ""}]}, "steps[1].title"),
    "a long title": ({"name": "x", "steps": [{"title": "x" * 201}]}, "steps[0].title"),
    "a title of two lines": ({"name": "x", "steps": [{"title": "a\r\nb"}]}, "steps[0].title"),
    "long instructions": ({"name": "x", "steps": [{**STEP, "instructions": "x" * 10_001}]}, "steps[0].instructions"),
    "a bell in instructions": ({"name": "x", "steps": [STEP, {**STEP, "instructions": "\a"}]}, "steps[1].instructions"),
}  # fmt: skip


def filled(steps: Any) -> list[dict[str, Any]]:
    """Steps as they are returned."""
    return [
        {
            "number": number,
            "title": step["title"],
            "instructions": step.get("instructions") or "",
            "requiresEvidence": step.get("requiresEvidence") or False,
        }
        for number, step in enumerate(steps or [], 1)
    ]


@matrix("given", GOOD.values(), ids=GOOD.keys())
async def test_what_is_within_the_limits_comes_back_as_it_was_given(team: Team, given: dict[str, Any]) -> None:
    made = await team.ask("Author", t.ADD, input=given)
    assert (made["name"], made["description"]) == (given["name"], given.get("description") or "")
    assert made["latestVersion"]["steps"] == filled(given.get("steps"))
    assert await read(team, made["id"]) == made


@matrix(("given", "field"), BAD.values(), ids=BAD.keys())
async def test_a_new_template_outside_the_limits_is_rejected(team: Team, given: dict[str, Any], field: str) -> None:
    before = await count(team)
    refused = await team.refused("Author", t.ADD, input=given)
    assert (refused.code, refused.fields, refused.path) == ("BAD_USER_INPUT", [field], ["addTemplate"])
    assert await count(team) == before


@matrix(("given", "field"), BAD.values(), ids=BAD.keys())
async def test_a_change_outside_the_limits_is_rejected(team: Team, given: dict[str, Any], field: str) -> None:
    template = await add_template(team)
    version_id = template["latestVersion"]["id"]
    if field.startswith("steps"):
        change = {"revision": 1, "steps": given["steps"]}
        refused = await team.refused("Author", t.EDIT, id=version_id, input=change)
    else:
        refused = await team.refused("Author", t.UPDATE, id=template["id"], input=given)
    assert (refused.code, refused.fields) == ("BAD_USER_INPUT", [field])
    assert await read(team, template["id"]) == template
    assert await moves(team, template["id"]) == [("CREATED", 1)]


COMMENTED = {
    "submit": ("DRAFT", "Author", t.SUBMIT),
    "approve": ("SUBMITTED", "Approver", t.APPROVE),
    "reject": ("SUBMITTED", "Approver", t.REJECT),
    "publish": ("APPROVED", "Publisher", t.PUBLISH),
    "archive": ("DRAFT", "Publisher", t.ARCHIVE),
    "restore": ("DRAFT", "Publisher", t.RESTORE),
}
#: Valid comments by action: a rejection needs one, the others don't.
COMMENTS = {"x" * 2000: True, "a\nb\tc": True, "x" * 2001: False, "\x7f": False, "a\x07": False, "": None, " \n ": None}


@matrix("comment", COMMENTS)
@matrix("act", COMMENTED)
async def test_comments_of_every_move(team: Team, act: str, comment: str) -> None:
    status, role, document = COMMENTED[act]
    template = await template_at(team, status)
    if act == "restore":
        await team.ask("Publisher", t.ARCHIVE, id=template["id"])
    target = template["id"] if act in ("archive", "restore") else template["latestVersion"]["id"]
    is_good = COMMENTS[comment]
    if is_good if is_good is not None else act != "reject":
        await team.ask(role, document, id=target, comment=comment)
        log = (await team.ask("Viewer", t.HISTORY, id=template["id"]))["history"]
        assert log[-1]["comment"] == comment
    else:
        log = await moves(team, template["id"])
        refused = await team.refused(role, document, id=target, comment=comment)
        assert (refused.code, refused.fields) == ("BAD_USER_INPUT", ["comment"])
        assert await moves(team, template["id"]) == log


@matrix("variables", [{}, {"comment": None}])
async def test_a_rejection_without_a_comment_is_no_valid_request(team: Team, variables: dict[str, Any]) -> None:
    template = await template_at(team, "SUBMITTED")
    reply = await team.send("Approver", t.REJECT, id=template["latestVersion"]["id"], **variables)
    assert {error["extensions"]["code"] for error in reply.json["errors"]} == {"BAD_USER_INPUT"}
    assert await read(team, template["id"]) == template


@matrix("field", ["templates { id }", "templatesPage { total }"])
@matrix("search", ["x" * 201, "\\u0000"])
async def test_a_search_outside_the_limits_is_rejected(team: Team, search: str, field: str) -> None:
    document = f'{{ {field.replace(" ", f"""(filter: {{search: "{search}"}}) """, 1)} }}'
    refused = await team.refused("Viewer", document)
    assert (refused.code, refused.fields) == ("BAD_USER_INPUT", ["search"])


async def test_a_nul_that_a_document_spells_out_is_rejected(team: Team) -> None:
    """The body's JSON can't contain one, but GraphQL has its own escape."""
    before = await count(team)
    for given, field in (
        ('name: "\\u0000"', "name"),
        ('name: "x", description: "\\u0000"', "description"),
        ('name: "x", steps: [{title: "\\u0000"}]', "steps[0].title"),
        ('name: "x", steps: [{title: "x", instructions: "\\u0000"}]', "steps[0].instructions"),
    ):
        refused = await team.refused("Author", f"mutation {{ addTemplate(input: {{{given}}}) {{ id }} }}")
        assert (refused.code, refused.fields) == ("BAD_USER_INPUT", [field])
    assert await count(team) == before
