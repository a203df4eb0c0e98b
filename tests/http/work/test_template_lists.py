"""Lists of templates are filtered, sorted, and paged, with a constant number of statements."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.support import templates as t
from tests.support.application import App
from tests.support.matrix import matrix
from tests.support.statements import counted_statements
from tests.support.team import Team, new_team
from tests.support.templates import add_template, bring, template_at
from tests.work.large_clients import long_templates, many_templates

PAGE = """query($first: Int, $after: String, $filter: TemplateFilter, $sort: TemplateSort) {
    templatesPage(first: $first, after: $after, filter: $filter, sort: $sort) {
        items { id name changedAt } nextCursor total } }"""
PLAIN = """query($first: Int, $after: String, $filter: TemplateFilter, $sort: TemplateSort) {
    templates(first: $first, after: $after, filter: $filter, sort: $sort) { id name changedAt } }"""
SORTS = ["ID", "ID_DESC", "NAME", "NAME_DESC", "CHANGED_AT", "CHANGED_AT_DESC"]
pytestmark = pytest.mark.still


@pytest.fixture(scope="module")
async def sorted_team(app: App) -> Team:
    """A client with templates that differ in the order of names, times, and IDs, with some equal values."""
    team = await new_team(app)
    for name in ("beta", "Alpha", "gamma", "ALPHA", "Äther", "delta", "beta"):
        app.clock.advance(1 if name != "Äther" else 0)
        await add_template(team, name)
    app.clock.advance(1)
    for number in (5, 1):
        made = (await team.ask("Viewer", PLAIN))[number]
        await team.ask("Author", t.UPDATE, id=made["id"], input={"description": "changed"})
    return team


def key_of(sort: str) -> Any:
    names = {"ID": "id", "NAME": "name", "CHANGED_AT": "changedAt"}
    member = names[sort.removesuffix("_DESC")]
    return lambda item: (item[member].lower() if member == "name" else item[member], item["id"])


@matrix("size", [1, 3, 7, 100])
@matrix("sort", SORTS)
async def test_a_walk_through_the_pages_sees_everything_once_and_in_order(
    sorted_team: Team, sort: str, size: int
) -> None:
    seen: list[Any] = []
    after = None
    while True:
        page = await sorted_team.ask("Viewer", PAGE, first=size, after=after, sort=sort)
        plain = await sorted_team.ask("Viewer", PLAIN, first=size, after=after, sort=sort)
        assert page["items"] == plain
        assert page["total"] == 7
        seen += page["items"]
        after = page["nextCursor"]
        if after is None:
            break
        assert len(page["items"]) == size
    key = key_of(sort)
    assert len(seen) == 7
    if sort.startswith("NAME"):  # databases sort letters outside ASCII differently
        seen = [item for item in seen if item["name"].isascii()]
    assert seen == sorted(seen, key=key, reverse=sort.endswith("_DESC"))


async def test_a_page_goes_on_where_it_was_even_when_its_last_row_has_moved(sorted_team: Team) -> None:
    first = await sorted_team.ask("Viewer", PAGE, first=3, sort="NAME")
    last = first["items"][-1]
    await sorted_team.ask("Author", t.UPDATE, id=last["id"], input={"name": "zeta"})
    rest = await sorted_team.ask("Viewer", PAGE, first=100, sort="NAME", after=first["nextCursor"])
    await sorted_team.ask("Author", t.UPDATE, id=last["id"], input={"name": last["name"]})
    seen = [item["id"] for item in [*first["items"], *rest["items"]]]
    assert len(seen) == 8  # the moved one appears again, and nothing is missed
    assert len(set(seen)) == 7


async def test_a_cursor_belongs_to_its_order(sorted_team: Team) -> None:
    cursor = (await sorted_team.ask("Viewer", PAGE, first=1, sort="NAME"))["nextCursor"]
    for sort in set(SORTS) - {"NAME"}:
        refused = await sorted_team.refused("Viewer", PAGE, after=cursor, sort=sort)
        assert (refused.code, refused.fields) == ("BAD_USER_INPUT", ["after"])


@matrix("value", [-(2**63), -(2**31) - 1, 2**31, 2**63 - 1, 2**63, 2**64, 2**70, 1.5, None, "x"])
@matrix("sort", ["ID", "CHANGED_AT", "NAME"])
async def test_a_cursor_that_someone_made_up_is_read_or_rejected(sorted_team: Team, sort: str, value: Any) -> None:
    made_up = base64.urlsafe_b64encode(json.dumps(["templates", sort, value, 1]).encode()).decode().rstrip("=")
    reply = await sorted_team.send("Viewer", PLAIN, after=made_up, sort=sort)
    codes = [error["extensions"]["code"] for error in reply.json.get("errors", [])]
    assert codes in ([], ["BAD_USER_INPUT"])


async def test_filters_add_up(app: App) -> None:
    team = await new_team(app)
    made = {
        status: (await template_at(team, status, name=f"{status.title()} 100%"))["id"]
        for status in ("DRAFT", "SUBMITTED", "APPROVED", "PUBLISHED")
    }
    both = (await template_at(team, "PUBLISHED", name="Under_way again"))["id"]
    await team.ask("Author", t.NEXT, id=both)
    old = (await template_at(team, "PUBLISHED", name="Ölwechsel 100"))["id"]
    await bring(team, (await team.ask("Author", t.NEXT, id=old))["id"], "PUBLISHED")
    await team.ask("Publisher", t.ARCHIVE, id=old)
    everything = [*made.values(), both, old]
    for given, expected in (
        ({}, everything),
        ({"search": None, "status": None, "isArchived": None}, everything),
        ({"search": ""}, everything),
        ({"status": "DRAFT"}, [made["DRAFT"], both]),
        ({"status": "SUBMITTED"}, [made["SUBMITTED"]]),
        ({"status": "APPROVED"}, [made["APPROVED"]]),
        ({"status": "PUBLISHED"}, [made["PUBLISHED"], both, old]),
        ({"status": "RETIRED"}, [old]),
        ({"isArchived": True}, [old]),
        ({"isArchived": False}, [*made.values(), both]),
        ({"search": "100%"}, list(made.values())),
        ({"search": "_"}, [both]),
        ({"search": "ölWECHSEL"}, [old]),
        ({"search": "100", "status": "PUBLISHED"}, [made["PUBLISHED"], old]),
        ({"search": "100", "status": "PUBLISHED", "isArchived": False}, [made["PUBLISHED"]]),
        ({"search": "'; DROP TABLE templates --"}, []),
    ):
        page = await team.ask("Viewer", PAGE, filter=given)
        assert [item["id"] for item in page["items"]] == expected, given
        assert page["total"] == len(expected)
        assert await team.ask("Viewer", PLAIN, filter=given) == page["items"]


NESTED = """query($first: Int) { templates(first: $first) {
    id name createdBy { email } publishedVersion { number steps { title } }
    latestVersion { id status steps { title } createdBy { email } template { name createdBy { id } } }
    versions(first: 2) { number createdBy { id } }
    history(first: 3) { move by { email } } } }"""
LOADS = 12  # the list itself, and the document's fields that load more


async def test_a_list_of_a_hundred_costs_as_many_statements_as_a_list_of_one(app: App) -> None:
    team = await new_team(app)
    await many_templates(team, 100, versions=2)
    await team.member("Viewer")
    counts = {}
    for size in (1, 2, 50, 100):
        with counted_statements() as statements:
            found = await team.ask("Viewer", NESTED, first=size)
        assert len(found) == size
        counts[size] = len(statements)
    # Keys that arrive while a loader is reading are read afterward, so the number depends on timing. But each field
    # reads at most once, for all templates together.
    assert max(counts.values()) <= LOADS, counts
    assert found[-1]["publishedVersion"] == {"number": 1, "steps": [{"title": "one"}, {"title": "two"}]}
    assert [v["number"] for v in found[-1]["versions"]] == [1, 2]
    assert [e["move"] for e in found[-1]["history"]] == ["CREATED", "SUBMITTED", "APPROVED"]


async def test_a_page_costs_one_more_statement_for_its_total_alone(app: App) -> None:
    team = await new_team(app)
    await many_templates(team, 3)
    await team.member("Viewer")
    with counted_statements() as plain:
        await team.ask("Viewer", PLAIN)
    with counted_statements() as paged:
        await team.ask("Viewer", "{ templatesPage { items { id } nextCursor } }")
    with counted_statements() as counted:
        await team.ask("Viewer", "{ templatesPage { items { id } nextCursor total } }")
    assert (len(plain), len(paged), len(counted)) == (1, 1, 2)


async def test_versions_and_history_go_on_from_a_number(app: App) -> None:
    team = await new_team(app)
    await many_templates(team, 1, versions=4)
    [template] = await team.ask("Viewer", PLAIN)
    document = """query($id: Int!, $first: Int, $after: Int) { template(id: $id) {
        versions(first: $first, after: $after) { number } history(first: $first, after: $after) { number } } }"""
    log = 1 + 3 * 4 + 2  # created; three times submitted, approved, published, and the next one; two were retired
    for first, after in ((1, 0), (2, 0), (2, 1), (100, 3), (100, 4), (5, 2**31 - 1), (None, None), (100, 0)):
        found = await team.ask("Viewer", document, id=template["id"], first=first, after=after)
        for name, count in (("versions", 4), ("history", log)):
            start, size = after or 0, first or 20
            assert [row["number"] for row in found[name]] == list(range(start + 1, min(count, start + size) + 1))
    for first, after, field in ((0, 0, "first"), (101, 0, "first"), (-1, 0, "first"), (1, -1, "after")):
        reply = await team.send("Viewer", document, id=template["id"], first=first, after=after)
        details = [error["extensions"]["details"][0]["field"] for error in reply.json["errors"]]
        assert (reply.json["data"], set(details)) == ({"template": None}, {field})


async def test_what_is_too_much_at_the_same_time_is_rejected(app: App) -> None:
    team = await new_team(app)
    await long_templates(team, 26, steps=200)
    document = "query($first: Int) { templates(first: $first) { latestVersion { steps { number } } } }"
    found = await team.ask("Viewer", document, first=25)
    assert sum(len(template["latestVersion"]["steps"]) for template in found) == 5000
    reply = await team.send("Viewer", document, first=26)
    assert reply.json["data"] == {"templates": None}
    codes = {error["extensions"]["code"] for error in reply.json["errors"]}
    assert codes == {"BAD_USER_INPUT"}
    assert "smaller page" in reply.json["errors"][0]["message"]
