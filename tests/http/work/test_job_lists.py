"""Lists of jobs are filtered, sorted, and paged, with a constant number of statements."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import jobs as j
from tests.support.application import App
from tests.support.jobs import a_template, new_job
from tests.support.matrix import matrix
from tests.support.statements import counted_statements
from tests.support.team import Team, new_team
from tests.work.large_clients import lengthen, many_jobs

FIELDS = "id name priority changedAt"
PAGE = f"""query($first: Int, $after: String, $filter: JobFilter, $sort: JobSort) {{
    jobsPage(first: $first, after: $after, filter: $filter, sort: $sort) {{
        items {{ {FIELDS} }} nextCursor total }} }}"""
PLAIN = f"""query($first: Int, $after: String, $filter: JobFilter, $sort: JobSort) {{
    jobs(first: $first, after: $after, filter: $filter, sort: $sort) {{ {FIELDS} }} }}"""
SORTS = [f"{name}{end}" for name in ("ID", "NAME", "PRIORITY", "CHANGED_AT") for end in ("", "_DESC")]
RANK = ["HIGH", "MEDIUM", "LOW"]
KEYS: dict[str, Any] = {
    "ID": lambda item: item["id"],
    "NAME": lambda item: (item["name"].lower(), item["id"]),
    "PRIORITY": lambda item: (RANK.index(item["priority"]), item["id"]),
    "CHANGED_AT": lambda item: (item["changedAt"], item["id"]),
}
pytestmark = pytest.mark.still


@pytest.fixture(scope="module")
async def sorted_team(app: App) -> Team:
    """A client with jobs that differ in the order of names, priorities, times, and IDs, with some equal values."""
    team = await new_team(app)
    template_id = await a_template(team)
    for name, priority in (
        ("beta", "LOW"), ("Alpha", "HIGH"), ("gamma", "MEDIUM"), ("ALPHA", "LOW"), ("delta", "HIGH"), ("beta", "HIGH"),
        ("epsilon", "MEDIUM"),
    ):  # fmt: skip
        app.clock.advance(1 if name != "delta" else 0)
        await new_job(team, template_id, name=name, priority=priority)
    app.clock.advance(1)
    for number in (5, 1):
        made = (await team.ask("Viewer", PLAIN))[number]
        await team.ask("Operator", j.UPDATE, id=made["id"], input={"assetId": "changed"})
    return team


@matrix("size", [1, 3, 7, 100])
@matrix("sort", SORTS)
async def test_a_walk_through_the_pages_sees_everything_once_and_in_order(
    sorted_team: Team, sort: str, size: int
) -> None:
    seen: list[Any] = []
    after = None
    while True:
        page = await sorted_team.ask("Viewer", PAGE, first=size, after=after, sort=sort)
        assert page["items"] == await sorted_team.ask("Viewer", PLAIN, first=size, after=after, sort=sort)
        assert page["total"] == 7
        seen += page["items"]
        after = page["nextCursor"]
        if after is None:
            break
        assert len(page["items"]) == size
    assert len(seen) == 7
    assert seen == sorted(seen, key=KEYS[sort.removesuffix("_DESC")], reverse=sort.endswith("_DESC"))


async def test_what_is_urgent_comes_first(sorted_team: Team) -> None:
    found = await sorted_team.ask("Viewer", PLAIN, sort="PRIORITY")
    assert [item["priority"] for item in found] == ["HIGH"] * 3 + ["MEDIUM"] * 2 + ["LOW"] * 2


@matrix("sort", SORTS)
async def test_a_cursor_belongs_to_its_order(sorted_team: Team, sort: str) -> None:
    cursor = (await sorted_team.ask("Viewer", PAGE, first=1, sort=sort))["nextCursor"]
    for other in set(SORTS) - {sort}:
        refused = await sorted_team.refused("Viewer", PAGE, after=cursor, sort=other)
        assert (refused.code, refused.fields) == ("BAD_USER_INPUT", ["after"])


async def test_filters_add_up(app: App) -> None:
    team = await new_team(app)
    one, two = await a_template(team), await a_template(team)
    operator, admin = (await team.member("Operator")).id, (await team.member("Admin")).id
    a = (await new_job(team, one, name="Pümp 100%", assetId="P-1", priority="HIGH"))["id"]
    b = (await new_job(team, one, name="pump_2", assetId="P-1", assignedUserIds=[operator]))["id"]
    c = (await new_job(team, two, name="Valve", priority="HIGH", assignedUserIds=[admin, operator]))["id"]
    d = (await new_job(team, two, name="Valve 2", assetId="p-1", assignedUserIds=[admin]))["id"]
    await team.ask("Operator", j.START, id=c)
    await team.ask("Operator", j.CANCEL, id=d)
    for conditions, expected in (
        ({}, [a, b, c, d]),
        (dict.fromkeys(("search", "status", "priority", "templateId", "assetId", "assignedUserId")), [a, b, c, d]),
        ({"search": ""}, [a, b, c, d]),
        ({"search": "PÜMP"}, [a]),
        ({"search": "%"}, [a]),
        ({"search": "_"}, [b]),
        ({"search": "'; DROP TABLE jobs --"}, []),
        ({"status": "UNASSIGNED"}, [a]),
        ({"status": "ASSIGNED"}, [b]),
        ({"status": "IN_PROGRESS"}, [c]),
        ({"status": "COMPLETED"}, []),
        ({"status": "CANCELED"}, [d]),
        ({"priority": "HIGH"}, [a, c]),
        ({"priority": "LOW"}, []),
        ({"templateId": one}, [a, b]),
        ({"templateId": 2**31 - 1}, []),
        ({"templateId": -1}, []),
        ({"assetId": "P-1"}, [a, b]),
        ({"assetId": "p-1"}, [d]),
        ({"assetId": ""}, []),
        ({"assetId": "%"}, []),
        ({"assignedUserId": operator}, [b, c]),
        ({"assignedUserId": admin}, [c, d]),
        ({"assignedUserId": 2**31 - 1}, []),
        ({"templateId": two, "assignedUserId": operator}, [c]),
        ({"templateId": two, "assignedUserId": operator, "status": "CANCELED"}, []),
        ({"search": "v", "priority": "MEDIUM", "assetId": "p-1", "templateId": two, "assignedUserId": admin,
          "status": "CANCELED"}, [d]),
    ):  # fmt: skip
        page = await team.ask("Viewer", PAGE, filter=conditions)
        assert [item["id"] for item in page["items"]] == expected, conditions
        assert page["total"] == len(expected)
        assert await team.ask("Viewer", PLAIN, filter=conditions) == page["items"]


async def test_a_number_as_an_asset_is_its_digits(app: App) -> None:
    team = await new_team(app)
    made = await new_job(team, assetId=17)
    assert made["assetId"] == "17"
    assert [item["id"] for item in await team.ask("Viewer", PLAIN, filter={"assetId": 17})] == [made["id"]]


PEOPLE = "createdBy { email } assignedUsers { email roles { name } }"
#: Documents that together select every nested field of a list of jobs, each within the cost limit, and the maximum
#: number of statements: one for the list, and one for each field that loads more.
NESTED = {
    "people": (f"id {PEOPLE}", 4),
    "versions": ("template { name createdBy { id } } version { number template { name } } newerVersion { number }", 5),
    "steps": ("steps { title isCompleted completedBy { id } }", 4),
    "records of steps": (
        "currentStep { number records { kind file { name uploadedBy { id } } recordedBy { id } } }",
        6,
    ),
    "steps of versions": ("version { steps { title requiresEvidence } }", 3),
    "records": ("records(first: 2) { kind file { name uploadedBy { id } } recordedBy { id } }", 5),
    "history": ("history(first: 5) { move detail by { email } }", 3),
}


@pytest.fixture(scope="module")
async def full_team(app: App) -> Team:
    team = await new_team(app)
    await many_jobs(team, 100)
    await team.member("Viewer")
    return team


@matrix("nested", NESTED)
async def test_a_list_of_a_hundred_costs_as_many_statements_as_a_list_of_one(full_team: Team, nested: str) -> None:
    fields, most = NESTED[nested]
    for size in (1, 2, 50, 100):
        with counted_statements() as statements:
            found = await full_team.ask(
                "Viewer", f"query($first: Int) {{ jobs(first: $first) {{ {fields} }} }}", first=size
            )
        assert len(found) == size
        assert len(statements) <= most, statements


async def test_each_of_a_hundred_has_what_is_its_own(full_team: Team) -> None:
    team = full_team
    operator, admin = await team.member("Operator"), await team.member("Admin")
    everything: list[dict[str, Any]] = [{} for _ in range(100)]
    for fields, _ in NESTED.values():
        found = await team.ask("Viewer", f"{{ jobs(first: 100) {{ name {fields} }} }}")
        for job, more in zip(everything, found, strict=True):
            job.update(more)
    for number, job in enumerate(everything):
        assert job["name"] == f"Job {number:03d}"
        assert job["template"]["name"] == f"Check {number % 3}"
        assert (job["version"]["steps"][2]["title"], job["newerVersion"]["number"]) == ("Open it", 2)
        assert job["createdBy"] == {"email": operator.email}
        assert [user["email"] for user in job["assignedUsers"]] == [operator.email, admin.email]
        assert [step["isCompleted"] for step in job["steps"]] == [True, False, False]
        assert job["steps"][0]["completedBy"] == {"id": operator.id}
        assert [record["kind"] for record in job["records"]] == ["TEXT", "FILE"]
        assert [record["recordedBy"]["id"] for record in job["records"]] == [operator.id, admin.id]
        assert job["currentStep"]["records"] == [job["records"][1]]
        assert [e["move"] for e in job["history"]] == ["CREATED", "ASSIGNED", "ASSIGNED", "STARTED", "STEP_COMPLETED"]


async def test_a_page_costs_one_more_statement_for_its_total_alone(full_team: Team) -> None:
    counts = []
    for document in (PLAIN, PAGE.replace(" total", ""), PAGE):
        with counted_statements() as statements:
            await full_team.ask("Viewer", document)
        counts.append(len(statements))
    assert counts == [1, 1, 2]


async def test_records_and_history_go_on_from_a_number(full_team: Team) -> None:
    document = """query($first: Int, $after: Int) { jobs(first: 2) {
        records(first: $first, after: $after) { number } history(first: $first, after: $after) { number } } }"""
    for first, after in ((1, 0), (1, 1), (100, 0), (100, 5), (5, 2**31 - 1), (None, None), (2, 4)):
        for job in await full_team.ask("Viewer", document, first=first, after=after):
            for name, count in (("records", 2), ("history", 5)):
                start, size = after or 0, first or 20
                assert [row["number"] for row in job[name]] == list(range(start + 1, min(count, start + size) + 1))
    for first, after, field in ((0, 0, "first"), (101, 0, "first"), (-1, 0, "first"), (1, -1, "after")):
        reply = await full_team.send("Viewer", document, first=first, after=after)
        details = {error["extensions"]["details"][0]["field"] for error in reply.json["errors"]}
        assert (reply.json["data"], details) == ({"jobs": None}, {field})


@matrix(("field", "have"), [("history", 5), ("records", 2)], ids=["history-table0", "records-table1"])
async def test_what_is_too_much_at_the_same_time_is_rejected(app: App, field: str, have: int) -> None:
    team = await new_team(app)
    await many_jobs(team, 51)
    await lengthen(team, field, have)
    document = f"query($first: Int) {{ jobs(first: $first) {{ {field}(first: 100) {{ number }} }} }}"
    found = await team.ask("Viewer", document, first=50)
    assert sum(len(job[field]) for job in found) == 5000
    reply = await team.send("Viewer", document, first=51)
    assert reply.json["data"] == {"jobs": None}
    assert {error["extensions"]["code"] for error in reply.json["errors"]} == {"BAD_USER_INPUT"}
    assert "smaller page" in reply.json["errors"][0]["message"]
