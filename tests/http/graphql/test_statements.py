"""GraphQL lists need as many SQL statements for many rows as for one, whatever fields are selected."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import FieldNode, GraphQLObjectType, SelectionSetNode, get_named_type, parse

from tests.support.application import App
from tests.support.graphql_operations import SCHEMA, document, operations, selection
from tests.support.matrix import matrix
from tests.support.smaller_limits import graphql_without_limits
from tests.support.statements import counted_statements
from tests.support.team import Team, new_team
from tests.work.large_clients import busy_people

COUNT = 100
#: Lists, and the number of nested levels that one document selects.
LISTS = {"users": 3, "usersPage": 4, "templates": 3, "templatesPage": 4, "jobs": 3, "jobsPage": 4}
#: Lists of fields that load from two places.
LOADS = {"Job.steps": 2}
pytestmark = [pytest.mark.still, pytest.mark.one_store]


@pytest.fixture(scope="module")
async def team(app: App) -> Team:
    """A hundred people who have created templates and jobs."""
    team = await new_team(app)
    await team.member("Admin")
    await busy_people(team, COUNT)
    return team


def loads(kind: GraphQLObjectType, selections: SelectionSetNode | None) -> int:
    """The maximum number of statements for a document: one for each place with a field that waits for the database."""
    found = 0
    for node in selections.selections if selections else ():
        assert isinstance(node, FieldNode)
        field = kind.fields[node.name.value]
        found += LOADS.get(f"{kind.name}.{node.name.value}", 1) if field.extensions["waits"] else 0
        below = get_named_type(field.type)
        if isinstance(below, GraphQLObjectType):
            found += loads(below, node.selection_set)
    return found


@matrix("name", LISTS)
async def test_a_list_of_a_hundred_with_everything_below(
    team: Team, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All at the same time, ignoring the cost limit. Keys for one place can arrive in two turns of the loop, if some of
    their parents were already loaded for another place; each turn then takes a statement."""
    graphql_without_limits(monkeypatch)
    kind = get_named_type(operations()[name][1].type)
    assert isinstance(kind, GraphQLObjectType)
    assert SCHEMA.query_type is not None
    text = document(name, selection(kind, LISTS[name], most=5))
    [operation] = parse(text).definitions
    most = loads(SCHEMA.query_type, operation.selection_set)  # type: ignore[attr-defined]
    for size in (1, COUNT):
        counts = []
        for _ in range(5):
            with counted_statements() as statements:
                found = await team.ask("Admin", text, first=size)
            rows = found["items"] if isinstance(found, dict) else found
            assert len(rows) == size
            assert 1 <= len(statements) <= 2 * most < COUNT, (size, most, statements)
            counts.append(len(statements))
            if len(statements) <= most:
                break
        assert min(counts) <= most, (size, most, counts)
    if "history" in text:
        assert len({str(row["history"]) for row in rows}) == COUNT  # each row has its own history


PARTS: dict[str, list[Any]] = {
    "users": ["id email firstName lastName title description isActive createdAt lastSignInAt roles { id name }", 1],
    "templates": ["id createdBy { id roles { name } } latestVersion { number createdBy { id } }", 4],
    "jobs": ["id template { id createdBy { id } } assignedUsers { id roles { name } } createdBy { id }", 6],
}


@matrix("name", PARTS)
async def test_a_list_of_a_hundred_within_the_cost_of_a_document(team: Team, name: str) -> None:
    inner, most = PARTS[name]
    with counted_statements() as statements:
        found = await team.ask("Admin", document(name, inner), first=COUNT)
    assert len(found) == COUNT
    assert len(statements) <= most, statements


@matrix("name", ["users", "templates", "jobs"])
async def test_the_total_is_counted_only_where_it_is_asked_for(team: Team, name: str) -> None:
    counts = []
    for inner in ("items { id }", "items { id } nextCursor", "items { id } nextCursor total"):
        with counted_statements() as statements:
            await team.ask("Admin", document(f"{name}Page", inner), first=7)
        counts.append(len(statements))
    assert counts == [1, 1, 2]
