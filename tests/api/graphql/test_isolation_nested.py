"""Isolation in nested GraphQL fields: none leads to another client, even from rows that point there."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from graphql import GraphQLObjectType, get_named_type
from sqlalchemy import Column, bindparam, select, update

from manifest_auth.api.graphql import limits
from manifest_auth.store import SystemUnit, cross_tenant
from manifest_auth.store.tables import TENANT_OWNED, work
from tests.api.graphql.foreign_keys import without_keys
from tests.store import rows
from tests.support import jobs as j
from tests.support.application import App, Reply
from tests.support.graphql_operations import ARGUMENTS, Things, document, operations, selection, things
from tests.support.matrix import matrix
from tests.support.team import Team, new_team
from tests.support.templates import bring

# The executor discards what a failed field's neighbors started.
pytestmark = pytest.mark.filterwarnings("ignore:coroutine", "ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module")
async def theirs(app: App) -> Team:
    team = await new_team(app)
    await things(team)
    return team


#: Entry fields of the graph, and the number of nested levels that fit into one document.
WAYS = {"users": 3, "usersPage": 4, "user": 3, "templates": 3, "templatesPage": 4, "template": 4, "templateVersion": 4,
        "jobs": 3, "jobsPage": 4, "job": 3}  # fmt: skip


@pytest.fixture(scope="module")
async def lived(app: App) -> tuple[Team, Things]:
    """A client with at least one row of each kind, so that every nested field has a value. The client's name is part of
    its users' addresses and its objects' names."""
    team = await new_team(app)
    have = await things(team)
    mark = {"name": f"of {team.client}"}
    await team.ask("Author", document("updateTemplate"), id=have.template, input=mark)
    await team.ask("Operator", document("updateJob"), id=have.job, input=mark)
    await team.ask("Operator", j.RECORDS, id=have.job, step=1, input={"fileId": have.file})
    await team.ask("Operator", j.STEP_DONE, id=have.job, step=1)
    await team.ask("Operator", j.RECORDS, id=have.job, step=2, input={"text": f"of {team.client}"})
    await bring(team, have.version, "PUBLISHED")
    return team, have


async def everything_below(lived: tuple[Team, Things], way: str, monkeypatch: pytest.MonkeyPatch) -> Reply:
    """The response to a field, some levels deep, without a cost limit."""
    monkeypatch.setattr(limits, "MAX_COST", 10**6)
    team, have = lived
    kind = get_named_type(operations()[way][1].type)
    assert isinstance(kind, GraphQLObjectType)
    return await team.send("Admin", document(way, selection(kind, WAYS[way])), **ARGUMENTS[way](have))


@matrix("way", WAYS)
async def test_nested_fields_return_only_the_callers_client(
    lived: tuple[Team, Things], theirs: Team, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reply = await everything_below(lived, way, monkeypatch)
    assert "errors" not in reply.json, reply.text
    assert set(re.findall(r"client-\d+", reply.text)) == {lived[0].client}


def _pointers() -> dict[str, Column[Any]]:
    """Columns of the work tables that refer to a client's row."""
    tables = [table for table in TENANT_OWNED if table.name in vars(work)]
    return {
        str(column): column
        for table in sorted(tables, key=lambda table: table.name)
        for column in table.c
        if column.name != "tenant_id" and any(key.column.table in TENANT_OWNED for key in column.foreign_keys)
    }


Row = dict[str, Any]


@contextlib.asynccontextmanager
async def changed(
    app: App, column: Column[Any], tenant_id: int, put: Callable[[SystemUnit], int]
) -> AsyncIterator[None]:
    """Inside the block, a client's rows have other values in that column, written without tenant checks and foreign
    keys; ``put`` creates each value."""
    table, others = column.table, [key for key in column.table.primary_key.columns if key is not column]
    rows_of = cross_tenant(
        select(column, *others).where(table.c.tenant_id == bindparam("of"), column.is_not(None)), because="a test"
    )
    there = [key == bindparam(f"at_{key.name}") for key in others]
    change = cross_tenant(
        update(table).where(*there, column == bindparam("was")).values({column: bindparam("new")}), because="a test"
    )

    def move(unit: SystemUnit, found: list[tuple[Any, Any, Row]]) -> None:
        for was, new, at in found:
            assert unit.change(change, was=was, new=new, **at) == 1

    def there_and(unit: SystemUnit) -> list[tuple[Any, Any, Row]]:
        found = unit.all(rows_of, of=tenant_id)
        made = {was: put(unit) for was in {was for was, *_ in found}}
        steps = [
            (was, made[was], {f"at_{key.name}": value for key, value in zip(others, values, strict=True)})
            for was, *values in found
        ]
        move(unit, steps)
        return steps

    url = app.services.settings.database
    steps = await without_keys(url, there_and)
    assert steps
    try:
        yield
    finally:
        await without_keys(url, lambda unit: move(unit, [(new, was, at) for was, new, at in steps]))


async def id_of(team: Team) -> int:
    return int((await team.ask("Viewer", "{ me { client { id } } }"))["client"]["id"])


@matrix("pointer", _pointers())
async def test_a_row_that_references_another_client_returns_nothing(
    lived: tuple[Team, Things], theirs: Team, pointer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a row comes from a bug or a manual change, but still shows nothing of the other client."""
    team, column = lived[0], _pointers()[pointer]
    [key] = column.foreign_keys
    target, outsider = key.column.table, await id_of(theirs)
    secrets: list[str] = []

    def add(unit: SystemUnit) -> int:
        number = rows.add(unit, target, outsider)
        place = list(target.c).index(target.c.id)
        [found] = [row for row in rows.everything(unit, target, outsider) if row[place] == number]
        secrets.extend(value for value in found if isinstance(value, str))
        return int(number)

    async with changed(team.app, column, await id_of(team), add):
        assert secrets
        for way in WAYS:
            reply = await everything_below(lived, way, monkeypatch)
            assert not [secret for secret in secrets if f'"{secret}"' in reply.text], reply.text


#: The fields that show each table's rows, and their value if the rows belong to another client.
SEEN: dict[str, tuple[str, str, Any]] = {
    "templates": ("template", "id", None),
    "template_versions": ("template", "versions { id }", {"versions": []}),
    "template_steps": ("templateVersion", "steps { title }", {"steps": []}),
    "template_events": ("template", "history { move }", {"history": []}),
    "jobs": ("job", "id", None),
    "job_assignments": ("job", "assignedUsers { id }", {"assignedUsers": []}),
    "job_steps": ("job", "steps { completedAt }", {"steps": [{"completedAt": None}] * 3}),
    "job_events": ("job", "history { move }", {"history": []}),
    "job_records": (
        "job",
        "records { kind } steps { records { kind } }",
        {"records": [], "steps": [{"records": []}] * 3},
    ),
    "files": ("job", "records(first: 1) { kind file { id } }", {"records": [{"kind": "FILE", "file": None}]}),
}


def test_every_work_table_is_covered() -> None:
    assert set(SEEN) == {table.name for table in TENANT_OWNED if table.name in vars(work)}


@matrix("table", SEEN)
async def test_rows_of_another_client_are_never_nested(lived: tuple[Team, Things], theirs: Team, table: str) -> None:
    team, have = lived
    operation, inner, expected = SEEN[table]
    variables = ARGUMENTS[operation](have)
    seen = await team.ask("Viewer", document(operation, inner), **variables)
    assert seen != expected
    other_client = await id_of(await new_team(team.app))
    column = vars(work)[table].c.tenant_id
    async with changed(team.app, column, await id_of(team), lambda _unit: other_client):
        reply = await team.send("Viewer", document(operation, inner), **variables)
        assert reply.json["data"] == {operation: expected}
        assert [error["extensions"]["code"] for error in reply.json.get("errors", [])] == (
            ["NOT_FOUND"] if expected is None else []
        )
    assert await team.ask("Viewer", document(operation, inner), **variables) == seen
