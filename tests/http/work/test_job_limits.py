"""Length limits for the texts of a job, exact to the character."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import jobs as j
from tests.support.jobs import a_template, job_at, moves, new_job, read
from tests.support.matrix import matrix
from tests.support.people import member
from tests.support.team import Team

pytestmark = pytest.mark.one_store


@pytest.fixture(scope="module")
async def template_id(team: Team) -> int:
    return await a_template(team)


GOOD: dict[str, dict[str, Any]] = {
    "the longest name": {"name": "x" * 200},
    "letters of four bytes": {"name": "😀" * 200},
    "a name with spaces around": {"name": " x "},
    "the longest asset": {"assetId": "ü" * 200},
    "what looks like SQL": {"name": "'; DROP TABLE jobs --", "assetId": "' OR 1=1"},
    "members that are null": {"name": None, "assetId": None, "priority": None, "assignedUserIds": None},
    "no one assigned": {"assignedUserIds": []},
}
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "an empty name": ({"name": ""}, "name"),
    "a name of spaces": ({"name": " \u3000"}, "name"),
    "a long name": ({"name": "x" * 201}, "name"),
    "a name of two lines": ({"name": "a\nb"}, "name"),
    "a control character in a name": ({"name": "a\x1b[31m"}, "name"),
    "a long asset": ({"assetId": "x" * 201}, "assetId"),
    "an asset of spaces": ({"assetId": "  "}, "assetId"),
    "an asset of two lines": ({"assetId": "a\nb"}, "assetId"),
}
#: Values that the schema itself rejects.
UNTYPED: list[dict[str, Any]] = [
    {"priority": "URGENT"},
    {"priority": 1},
    {"name": 7},
    {"assetId": 1.5},
    {"assetId": ["x"]},
    {"status": "COMPLETED"},
    {"id": 7},
]


@matrix("given", GOOD.values(), ids=GOOD.keys())
async def test_what_is_within_the_limits_comes_back_as_it_was_given(
    team: Team, template_id: int, given: dict[str, Any]
) -> None:
    made = await new_job(team, template_id, **given)
    assert (made["name"], made["assetId"]) == (given.get("name") or "Valve check", given.get("assetId"))
    assert (made["priority"], made["status"]) == ("MEDIUM", "UNASSIGNED")
    assert await read(team, made["id"]) == made


@matrix(("given", "field"), BAD.values(), ids=BAD.keys())
async def test_outside_the_limits_nothing_is_made_or_changed(
    team: Team, template_id: int, given: dict[str, Any], field: str
) -> None:
    job = await new_job(team, template_id)
    total = await team.ask("Viewer", "{ jobsPage { total } }")
    refused = await team.refused("Operator", j.ADD, input={"templateId": template_id, **given})
    assert (refused.code, refused.fields, refused.path) == ("BAD_USER_INPUT", [field], ["addJob"])
    refused = await team.refused("Operator", j.UPDATE, id=job["id"], input=given)
    assert (refused.code, refused.fields, refused.path) == ("BAD_USER_INPUT", [field], ["updateJob"])
    assert await team.ask("Viewer", "{ jobsPage { total } }") == total
    assert await read(team, job["id"]) == job


@matrix("given", UNTYPED)
async def test_what_the_schema_does_not_have_is_no_valid_request(
    team: Team, template_id: int, given: dict[str, Any]
) -> None:
    for document, variables in (
        (j.ADD, {"input": {"templateId": template_id, **given}}),
        (j.UPDATE, {"id": 1, "input": given}),
    ):
        reply = await team.send("Operator", document, **variables)
        assert {error["extensions"]["code"] for error in reply.json["errors"]} == {"BAD_USER_INPUT"}
        assert reply.json.get("data") is None


@matrix(
    ("comment", "is_good"),
    [("x" * 2000, True), ("a\nb\tc", True), ("", True), (None, True), ("x" * 2001, False), ("a\x07", False)],
)
async def test_the_comment_of_a_cancellation(team: Team, template_id: int, comment: str | None, is_good: bool) -> None:
    job = await job_at(team, "ASSIGNED", template_id=template_id)
    if is_good:
        assert (await team.ask("Operator", j.CANCEL, id=job["id"], comment=comment))["status"] == "CANCELED"
        return
    refused = await team.refused("Operator", j.CANCEL, id=job["id"], comment=comment)
    assert (refused.code, refused.fields) == ("BAD_USER_INPUT", ["comment"])
    assert await moves(team, job["id"]) == ["CREATED", "ASSIGNED"]


async def test_a_job_has_so_many_users_and_no_more(team: Team, template_id: int) -> None:
    people = [(await member(team.app, team.client, "Operator")).id for _ in range(21)]
    refused = await team.refused("Operator", j.ADD, input={"templateId": template_id, "assignedUserIds": people})
    assert (refused.code, refused.fields) == ("BAD_USER_INPUT", ["assignedUserIds"])
    full = await new_job(team, template_id, assignedUserIds=people[:-1])
    assert len(full["assignedUsers"]) == 20
    refused = await team.refused("Operator", j.ASSIGN, id=full["id"], user=people[-1])
    assert (refused.code, refused.message) == ("CONFLICT", "A job can have at most 20 users")
    await team.ask("Operator", j.UNASSIGN, id=full["id"], user=people[0])
    after = await team.ask("Operator", j.ASSIGN, id=full["id"], user=people[-1])
    assert [user["id"] for user in after["assignedUsers"]] == people[1:]


@matrix("condition", [{"search": "x" * 201}, {"assetId": "x" * 201}, {"assetId": "a\x07"}])
async def test_conditions_outside_the_limits_are_rejected(team: Team, condition: dict[str, Any]) -> None:
    for field, inner in (("jobs", "id"), ("jobsPage", "total")):
        document = f"query($filter: JobFilter) {{ {field}(filter: $filter) {{ {inner} }} }}"
        refused = await team.refused("Viewer", document, filter=condition)
        assert (refused.code, refused.fields) == ("BAD_USER_INPUT", list(condition))


@matrix("field", ["search", "assetId"])
async def test_nul_in_a_condition_is_rejected(team: Team, field: str) -> None:
    document = f'{{ jobs(filter: {{{field}: "a\\u0000"}}) {{ id }} }}'
    refused = await team.refused("Viewer", document)
    assert (refused.code, refused.fields) == ("BAD_USER_INPUT", [field])
