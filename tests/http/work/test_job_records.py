"""Records in a job: every kind of value, with author and time, and evidence."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support import jobs as j
from tests.support.application import App
from tests.support.jobs import a_file, job_at, read
from tests.support.matrix import matrix
from tests.support.people import member
from tests.support.rows import rows
from tests.support.team import Team
from tests.work.large_clients import many_records

pytestmark = pytest.mark.one_store

NONE = dict.fromkeys(("text", "value", "unit", "choice", "boolean", "file"))
#: The input, and the output besides nulls.
GOOD: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a text": ({"text": "Dicht.\nKein Leck."}, {"kind": "TEXT", "text": "Dicht.\nKein Leck."}),
    "the longest text": ({"text": "😀" * 10_000}, {"kind": "TEXT", "text": "😀" * 10_000}),
    "a number": ({"value": 4.2}, {"kind": "NUMBER", "value": 4.2}),
    "a whole number": ({"value": 7}, {"kind": "NUMBER", "value": 7.0}),
    "zero": ({"value": 0}, {"kind": "NUMBER", "value": 0.0}),
    "a number with a unit": ({"value": -0.5, "unit": "m/s²"}, {"kind": "NUMBER", "value": -0.5, "unit": "m/s²"}),
    "a number with no unit": ({"value": 1, "unit": None}, {"kind": "NUMBER", "value": 1.0}),
    "a number with an empty unit": ({"value": 1, "unit": ""}, {"kind": "NUMBER", "value": 1.0}),
    "the largest number": ({"value": 1.7976931348623157e308}, {"kind": "NUMBER", "value": 1.7976931348623157e308}),
    "the smallest number": ({"value": 5e-324}, {"kind": "NUMBER", "value": 5e-324}),
    "a large whole number": ({"value": 2**53}, {"kind": "NUMBER", "value": 2.0**53}),
    "the longest unit": ({"value": 1, "unit": "ü" * 40}, {"kind": "NUMBER", "value": 1.0, "unit": "ü" * 40}),
    "a choice": ({"choice": "Ja, aber"}, {"kind": "CHOICE", "choice": "Ja, aber"}),
    "the longest choice": ({"choice": "x" * 200}, {"kind": "CHOICE", "choice": "x" * 200}),
    "yes": ({"boolean": True}, {"kind": "BOOLEAN", "boolean": True}),
    "no": ({"boolean": False}, {"kind": "BOOLEAN", "boolean": False}),
    "what looks like SQL": ({"text": "'; DROP TABLE jobs --"}, {"kind": "TEXT", "text": "'; DROP TABLE jobs --"}),
    "nulls beside it": ({"text": "x", "value": None, "choice": None, "boolean": None, "fileId": None, "unit": None},
                        {"kind": "TEXT", "text": "x"}),
}  # fmt: skip
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "input"),
    "nulls": ({"text": None, "fileId": None}, "input"),
    "two values": ({"text": "x", "boolean": False}, "input"),
    "all values": ({"text": "x", "value": 1, "choice": "x", "boolean": True, "fileId": 1}, "input"),
    "a unit alone": ({"unit": "bar"}, "input"),
    "a unit of a text": ({"text": "4", "unit": "bar"}, "unit"),
    "an empty text": ({"text": ""}, "text"),
    "a text of spaces": ({"text": " \n\t"}, "text"),
    "a long text": ({"text": "x" * 10_001}, "text"),
    "a control character in a text": ({"text": "a\x07"}, "text"),
    "an empty choice": ({"choice": " "}, "choice"),
    "a long choice": ({"choice": "x" * 201}, "choice"),
    "a choice of two lines": ({"choice": "a\nb"}, "choice"),
    "a long unit": ({"value": 1, "unit": "x" * 41}, "unit"),
    "a unit of two lines": ({"value": 1, "unit": "a\nb"}, "unit"),
}


@pytest.fixture(scope="module")
async def job(team: Team) -> dict[str, Any]:
    """A job that stays at its first step."""
    return await job_at(team, "IN_PROGRESS")


@matrix(("given", "expected"), GOOD.values(), ids=GOOD.keys())
async def test_every_kind_comes_back_as_it_was_given(
    team: Team, job: dict[str, Any], given: dict[str, Any], expected: dict[str, Any]
) -> None:
    record = await team.ask("Operator", j.RECORDS, id=job["id"], step=1, input=given)
    assert {name: record[name] for name in ("kind", *NONE)} == {**NONE, **expected}
    assert (record["stepNumber"], record["recordedBy"]) == (1, {"id": (await team.member("Operator")).id})
    assert (await read(team, job["id"]))["records"][-1] == record


@matrix(("given", "field"), BAD.values(), ids=BAD.keys())
async def test_an_invalid_value_is_rejected_and_nothing_is_recorded(
    team: Team, job: dict[str, Any], given: dict[str, Any], field: str
) -> None:
    before = await read(team, job["id"])
    refused = await team.refused("Operator", j.RECORDS, id=job["id"], step=1, input=given)
    assert (refused.code, refused.fields) == ("BAD_USER_INPUT", [field])
    assert await read(team, job["id"]) == before


@matrix("value", ["1e400", "-1e999", "NaN", "Infinity", '"4"', "true", "1" + "0" * 400])
async def test_an_invalid_finite_number_is_rejected(team: Team, job: dict[str, Any], value: str) -> None:
    document = f"mutation {{ recordData(jobId: {job['id']}, stepNumber: 1, input: {{value: {value}}}) {{ number }} }}"
    before = await read(team, job["id"])
    assert (await team.refused("Operator", document)).code == "BAD_USER_INPUT"
    variables = f'{{"id": {job["id"]}, "step": 1, "input": {{"value": {value}}}}}'
    body = f'{{"query": {json.dumps(j.RECORDS)}, "variables": {variables}}}'
    token = (await team.member("Operator")).token
    reply = await team.app.send("POST", "/api/client/graphql", content=body.encode(), token=token)
    assert reply.json["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    assert await read(team, job["id"]) == before


@matrix("field", ["text", "choice"])
async def test_nul_is_rejected_in_text(team: Team, job: dict[str, Any], field: str) -> None:
    given = f'{{{field}: "a\\u0000b"}}'
    document = f"mutation {{ recordData(jobId: {job['id']}, stepNumber: 1, input: {given}) {{ number }} }}"
    refused = await team.refused("Operator", document)
    assert (refused.code, refused.fields) == ("BAD_USER_INPUT", [field])


async def test_a_file_is_evidence_and_stays_after_that(team: Team) -> None:
    job = await job_at(team, "IN_PROGRESS", done=1)
    file_id = await a_file(team)

    async def used_at() -> Any:
        [(at,)] = await rows(team.app, "files", "used_at", id=file_id)
        return at

    assert await used_at() is None
    record = await team.ask("Operator", j.RECORDS, id=job["id"], step=2, input={"fileId": file_id})
    file = record["file"]
    assert (record["kind"], file["id"], file["name"], file["size"]) == ("FILE", file_id, "gauge.jpg", 3)
    assert (file["mediaType"], file["sha256"]) == ("image/jpeg", "0" * 64)
    assert file["url"] == f"/api/client/files/{file_id}"
    assert file["uploadedBy"] == {"id": (await team.member("Operator")).id}
    first_used = await used_at()
    assert first_used == team.app.clock.ms
    assert (await team.ask("Operator", j.STEP_DONE, id=job["id"], step=2))["currentStep"]["number"] == 3

    team.app.clock.advance(10)
    again = await team.ask("Operator", j.RECORDS, id=job["id"], step=3, input={"fileId": file_id})
    assert (again["number"], again["file"]) == (record["number"] + 1, file)
    assert await used_at() == first_used


@matrix("file_id", [0, -1, 2**31 - 1])
async def test_a_file_that_is_not_there(team: Team, job: dict[str, Any], file_id: int) -> None:
    before = await read(team, job["id"])
    refused = await team.refused("Operator", j.RECORDS, id=job["id"], step=1, input={"fileId": file_id})
    assert (refused.code, refused.message) == ("NOT_FOUND", "Not found")
    assert await read(team, job["id"]) == before


async def test_a_rejected_record_leaves_its_file_unused(team: Team) -> None:
    job = await job_at(team, "IN_PROGRESS")
    file_id = await a_file(team)
    refused = await team.refused("Operator", j.RECORDS, id=job["id"], step=2, input={"fileId": file_id})
    assert refused.code == "CONFLICT"
    assert await rows(team.app, "files", "used_at", id=file_id) == [(None,)]


async def test_evidence_is_asked_for_where_the_step_says_so(team: Team) -> None:
    job = await job_at(team, "IN_PROGRESS")
    assert (await team.ask("Operator", j.STEP_DONE, id=job["id"], step=1))["records"] == []
    refused = await team.refused("Operator", j.STEP_DONE, id=job["id"], step=2)
    assert (refused.code, refused.message) == ("CONFLICT", "Step 2 requires a record as evidence first")
    await team.ask("Operator", j.RECORDS, id=job["id"], step=2, input={"boolean": False})
    assert (await team.ask("Operator", j.STEP_DONE, id=job["id"], step=2))["currentStep"]["number"] == 3


async def test_what_was_recorded_for_another_step_is_no_evidence(team: Team) -> None:
    job = await job_at(team, "IN_PROGRESS")
    await team.ask("Operator", j.RECORDS, id=job["id"], step=1, input=j.PRESSURE)
    await team.ask("Operator", j.STEP_DONE, id=job["id"], step=1)
    assert (await team.refused("Operator", j.STEP_DONE, id=job["id"], step=2)).code == "CONFLICT"


async def test_each_record_says_who_and_when_and_for_which_step(app: App, team: Team) -> None:
    job = await job_at(team, "IN_PROGRESS")
    operator, admin = await team.member("Operator"), await team.member("Admin")
    for step in (1, 2):
        for role in ("Operator", "Admin"):
            app.clock.advance(30)
            await team.ask(role, j.RECORDS, id=job["id"], step=step, input={"choice": f"{role} {step}"})
        await team.ask("Operator", j.STEP_DONE, id=job["id"], step=step)
    found = await read(team, job["id"])
    assert [(r["number"], r["stepNumber"], r["choice"], r["recordedBy"]["id"]) for r in found["records"]] == [
        (1, 1, "Operator 1", operator.id),
        (2, 1, "Admin 1", admin.id),
        (3, 2, "Operator 2", operator.id),
        (4, 2, "Admin 2", admin.id),
    ]
    assert [[r["number"] for r in step["records"]] for step in found["steps"]] == [[1, 2], [3, 4], []]
    times = [r["recordedAt"] for r in found["records"]]
    assert times == sorted(set(times))


async def test_a_step_has_so_many_records_and_no_more(team: Team) -> None:
    job = await job_at(team, "IN_PROGRESS")
    await many_records(team, job["id"], 99)
    last = await team.ask("Operator", j.RECORDS, id=job["id"], step=1, input=j.PRESSURE)
    assert last["number"] == 100
    refused = await team.refused("Operator", j.RECORDS, id=job["id"], step=1, input=j.PRESSURE)
    assert (refused.code, refused.message) == ("CONFLICT", "A step can have at most 100 records")
    await team.ask("Operator", j.STEP_DONE, id=job["id"], step=1)
    assert (await team.ask("Operator", j.RECORDS, id=job["id"], step=2, input=j.PRESSURE))["number"] == 101


async def test_a_user_who_left_is_still_named(team: Team) -> None:
    job = await job_at(team, "IN_PROGRESS")
    gone = await member(team.app, team.client, "Operator")
    body = {"query": j.RECORDS, "variables": {"id": job["id"], "step": 1, "input": j.PRESSURE}}
    await team.app.post("/api/client/graphql", body, token=gone.token)
    token = await team.app.admin_token()
    await team.app.post(f"/api/admin/clients/{team.client}/users/{gone.id}/deactivate", token=token)
    assert (await read(team, job["id"]))["records"][0]["recordedBy"] == {"id": gone.id}
