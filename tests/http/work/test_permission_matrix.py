"""The permission matrix: every operation, tried by seven users with one role each.

Only the permitted cells are allowed; the rest is FORBIDDEN before any look-up.
"""

from __future__ import annotations

import pytest
from graphql import GraphQLObjectType, is_introspection_type, print_ast

from tests.http.bodies import is_known, send
from tests.support.application import App, Reply
from tests.support.envelope import check_refusal
from tests.support.graphql_operations import (
    ARGUMENTS,
    FILES,
    PNG,
    SCHEMA,
    Things,
    document,
    everything,
    operations,
    things,
    upload,
)
from tests.support.matrix import matrix
from tests.support.people import member
from tests.support.routes import ROUTES, Route
from tests.support.team import Team, new_team

pytestmark = [pytest.mark.one_store, pytest.mark.still]

ROLES = ("Admin", "User Admin", "Author", "Approver", "Publisher", "Operator", "Viewer")
#: Listed here, and not read from the code, which this checks.
TABLE = """
| users:read        | x | x | x | x | x | x | x |
| users:manage      | x | x |   |   |   |   |   |
| settings:manage   | x | x |   |   |   |   |   |
| audit:read        | x | x |   |   |   |   |   |
| templates:read    | x | x | x | x | x | x | x |
| jobs:read         | x | x | x | x | x | x | x |
| templates:edit    | x |   | x |   |   |   |   |
| templates:approve | x |   |   | x |   |   |   |
| templates:publish | x |   |   |   | x |   |   |
| jobs:execute      | x |   |   |   |   | x |   |
"""
_ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in TABLE.split("\n") if line]
HOLDERS = {row[0]: {role for role, cell in zip(ROLES, row[1:], strict=True) if cell} for row in _ROWS}
ANYONE = "anyone"
HOLDERS[ANYONE] = set(ROLES)

#: The permission that each operation needs.
NEEDED_BY = {
    name: permission.value if (permission := field.extensions["permission"]) else ANYONE
    for name, (_, field) in operations().items()
}
#: Nested fields that are hidden from some users who can see the object.
NEEDED_BELOW = dict.fromkeys(("User.lastSignInAt", "User.link", "User.pendingEmail"), "users:manage")

OF_CLIENTS = [route for route in ROUTES if route.who == "client"]
#: Routes that need a permission. The others concern the caller, or are GraphQL, with the operations above.
WITH_PERMISSION = [route for route in OF_CLIENTS if route.permission]
#: Routes for which the permission isn't enough.
FOR_ADMINS = {"POST /api/client/users/{user}/identities/{identity}/confirm"}
#: Routes with more rules for the body than the description contains.
BY_DESCRIPTION = ("CONFLICT", "NOT_FOUND", "VALIDATION_ERROR")
NEVER = 2**31 - 1


@pytest.fixture(scope="module")
async def team(app: App) -> Team:
    team = await new_team(app)
    assert len({(await team.member(role)).token for role in ROLES}) == 7
    return team


@pytest.fixture(scope="module")
async def own(team: Team) -> Things:
    return await things(team)


@pytest.fixture(scope="module")
async def foreign(app: App) -> Things:
    return await things(await new_team(app))


def codes(reply: Reply, *path: str) -> list[str]:
    """The error codes of one field."""
    errors = reply.json.get("errors", [])
    assert all(error["path"] == list(path) for error in errors), reply.text
    return [error["extensions"]["code"] for error in errors]


def test_the_schema_says_for_each_operation_what_it_needs() -> None:
    """Checks the directive, and the description for integrators."""
    assert set(NEEDED_BY) == set(ARGUMENTS)
    for name, (_, field) in operations().items():
        permission = NEEDED_BY[name]
        assert field.ast_node is not None
        [directive] = [one for one in field.ast_node.directives or () if one.name.value != "size"]
        said = print_ast(directive)
        assert said == ("@anyone" if permission == ANYONE else f'@needs(permission: "{permission}")'), name
        assert str(field.description).endswith("Any role." if permission == ANYONE else f"Needs `{permission}`."), name


def test_no_change_is_for_all_who_can_read() -> None:
    """A call that needs no permission refers to nothing, so it concerns only the caller."""
    needs = [(name, NEEDED_BY[name]) for name, (word, _) in operations().items() if word == "mutation"]
    needs += [(str(route), needed(route)) for route in WITH_PERMISSION if route.method != "GET"]
    assert [name for name, permission in needs if HOLDERS[permission] == set(ROLES)] == []
    assert [name for name, (_, field) in operations().items() if NEEDED_BY[name] == ANYONE and field.args] == []


def test_some_fields_are_for_fewer_than_see_their_type() -> None:
    below = {
        f"{kind.name}.{name}": field.extensions["permission"].value
        for kind in SCHEMA.type_map.values()
        if isinstance(kind, GraphQLObjectType) and not is_introspection_type(kind)
        if kind not in (SCHEMA.query_type, SCHEMA.mutation_type)
        for name, field in kind.fields.items()
        if field.extensions["permission"] is not None
    }
    assert below.items() >= NEEDED_BELOW.items()


def needed(route: Route) -> str:
    """The permission that a route needs."""
    return route.permission.value if route.permission else ANYONE


@matrix("role", ROLES)
@matrix("operation", NEEDED_BY)
async def test_a_cell(team: Team, own: Things, foreign: Things, operation: str, role: str) -> None:
    if role in HOLDERS[NEEDED_BY[operation]]:
        reply = await team.send(role, document(operation), **ARGUMENTS[operation](own))
        found = codes(reply, operation)
        assert found in ([], ["CONFLICT"]), reply.text  # a completed action can't be repeated
        assert found or reply.json["data"][operation] is not None
        return
    never = Things(*[NEVER] * 6)
    before = await everything(team.app)
    for have in (own, foreign, never):
        reply = await team.send(role, document(operation), **ARGUMENTS[operation](have))
        assert codes(reply, operation) == ["FORBIDDEN"]
        assert reply.json["data"] == {operation: None}
        assert reply.json["errors"][0]["message"] == "Insufficient permissions"
    assert await everything(team.app) == before


@matrix("role", ROLES)
@matrix("field", [field.partition(".")[2] for field in NEEDED_BELOW])
async def test_a_cell_below_the_root(team: Team, own: Things, role: str, field: str) -> None:
    """Everybody sees the user, but this field stays hidden, through every path that leads to a user."""
    is_open = role in HOLDERS["users:manage"]
    for operation, inner, path in (
        ("user", f"id {field}", ["user"]),
        ("users", f"id {field}", ["users", 0]),
        ("template", f"createdBy {{ id {field} }}", ["template", "createdBy"]),
        ("job", f"history(first: 1) {{ by {{ {field} }} }}", ["job", "history", 0, "by"]),
    ):
        reply = await team.send(role, document(operation, inner), **ARGUMENTS[operation](own))
        refused = {error["extensions"]["code"] for error in reply.json.get("errors", [])}
        assert refused == (set() if is_open else {"FORBIDDEN"}), reply.text
        value = reply.json["data"]
        for step in path:
            value = value[step]
        assert field in value
        assert is_open or value[field] is None


@matrix("role", ROLES)
@matrix("route", WITH_PERMISSION)
async def test_a_cell_of_rest(team: Team, own: Things, foreign: Things, route: Route, role: str) -> None:
    holders, token = HOLDERS[needed(route)], (await team.member(role)).token
    if role in ({"Admin"} if str(route) in FOR_ADMINS else holders):
        reply = await knock(team, route, own, token)
        assert reply.status not in (401, 403), reply.text
        allowed = BY_DESCRIPTION[: 2 if is_known(route) else 3]
        assert reply.json is None or reply.json["success"] or reply.code in allowed, reply.text
        return
    before = await everything(team.app)
    for have in (own,) if role in holders else (own, foreign):
        check_refusal(await knock(team, route, have, token), 403, "FORBIDDEN")
    assert await everything(team.app) == before


async def knock(team: Team, route: Route, have: Things, token: str) -> Reply:
    named = {"user": have.user, "file": have.file, "provider": "company", "identity": NEVER}
    return await send(team.app, route, token, **named)


async def test_files_reach_those_who_can_read_jobs(team: Team) -> None:
    number = await upload(team.app, (await team.member("Operator")).token)
    for role in HOLDERS["jobs:read"]:
        headers = {"Authorization": f"Bearer {(await team.member(role)).token}"}
        assert (await team.app.client.get(f"{FILES}/{number}", headers=headers)).content == PNG


async def test_permissions_of_several_roles_add_up(team: Team, own: Things) -> None:
    both = await member(team.app, team.client, "Author", "Operator")
    may = {one for one, holders in HOLDERS.items() if holders & {"Author", "Operator"}}
    told = await team.app.graphql("{ me { permissions } }", both.token)
    assert set(told.json["data"]["me"]["permissions"]) == may - {ANYONE}
    for operation, permission in NEEDED_BY.items():
        body = {"query": document(operation), "variables": ARGUMENTS[operation](own)}
        reply = await team.app.post("/api/client/graphql", body, token=both.token)
        assert ("FORBIDDEN" in codes(reply, operation)) is (permission not in may), operation


async def test_no_spelling_gets_around_it(team: Team, own: Things) -> None:
    """Covers aliases, fragments, directives, and the like: each field is checked on its own, without affecting
    others."""
    before = await everything(team.app)
    for query in (
        f"mutation {{ me: startJob(id: {own.job}) {{ id }} }}",
        f"mutation {{ ...F }} fragment F on Mutation {{ me: startJob(id: {own.job}) {{ id }} }}",
        f"mutation {{ ... on Mutation @include(if: true) {{ me: startJob(id: {own.job}) {{ id }} }} }}",
        f"mutation {{ a: startJob(id: {own.job}) {{ id }} me: startJob(id: {own.job}) {{ id }} }}",
    ):
        reply = await team.app.graphql(query, (await team.member("Viewer")).token)
        assert {error["extensions"]["code"] for error in reply.json["errors"]} == {"FORBIDDEN"}
        assert reply.json["data"]["me"] is None
    assert await everything(team.app) == before
    reply = await team.send("Viewer", "{ users(first: 1) { id lastSignInAt } me { email } }")
    assert reply.json["data"]["me"] == {"email": team.members["Viewer"].email}
    assert reply.json["data"]["users"][0]["lastSignInAt"] is None
