"""Basic GraphQL queries, ``me``, and isolation between clients."""

from __future__ import annotations

import pytest

from tests.support.accounts import token_of
from tests.support.application import SLUGS, App
from tests.support.matrix import matrix
from tests.support.roles import HOLDERS, ROLES, Role
from tests.support.rules import rule

pytestmark = pytest.mark.one_store

SEED = "query { users { id email } }"
ME = """{ me { id email firstName lastName title permissions
    roles { id name description } client { id identifier name } } }"""


@rule("DENY-BY-DEFAULT")
@matrix("role", list(Role))
async def test_the_example_query_works_for_each_role(app: App, role: Role) -> None:
    reply = await app.graphql(SEED, await token_of(app, f"{SLUGS[role]}@acme.example"))
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("application/json")
    assert reply.headers["cache-control"] == "no-store"
    expected = [{"id": app.ids[f"{slug}@acme.example"], "email": f"{slug}@acme.example"} for slug in SLUGS.values()]
    assert reply.json == {"data": {"users": sorted(expected, key=lambda u: int(str(u["id"])))}}


@matrix("client", ["acme", "globex"])
async def test_nobody_sees_users_of_another_client(app: App, client: str) -> None:
    token = await token_of(app, f"admin@{client}.example")
    for query in (
        SEED,
        '{ users(filter: {search: "example"}) { id email } }',
        '{ users(after: "0", first: 100) { id email } }',
    ):
        people = (await app.graphql(query, token)).json["data"]["users"]
        assert len(people) == len(ROLES)
        assert {p["email"].partition("@")[2] for p in people} == {f"{client}.example"}
    other = "globex" if client == "acme" else "acme"
    assert (await app.graphql(f'{{ users(filter: {{search: "{other}"}}) {{ id }} }}', token)).json == {
        "data": {"users": []}
    }


@rule("STATE-FROM-STORE")
@matrix("role", list(Role))
async def test_me_returns_roles_permissions_and_client(app: App, role: Role) -> None:
    email = f"{SLUGS[role]}@globex.example"
    me = (await app.graphql(ME, await token_of(app, email))).json["data"]["me"]
    assert (me["id"], me["email"], me["title"]) == (app.ids[email], email, role.value)
    assert [r["name"] for r in me["roles"]] == [role.value]
    assert set(me["permissions"]) == {p.value for p, holders in HOLDERS.items() if role in holders}
    assert me["client"] == {"id": app.ids["globex"], "identifier": "globex", "name": "Globex"}


async def test_me_by_graphql_and_by_rest_agree(app: App) -> None:
    token = await token_of(app, "approver@acme.example")
    rest = (await app.me(token)).data
    me = (await app.graphql(ME, token)).json["data"]["me"]
    assert me["permissions"] == rest["permissions"]
    assert me["id"] == rest["user"]["id"]


async def test_the_list_is_paged_by_id(app: App) -> None:
    token = await token_of(app, "viewer@acme.example")
    seen: list[int] = []
    while True:
        query = f'{{ users(first: 3, after: "{seen[-1] if seen else 0}") {{ id }} }}'
        page = [u["id"] for u in (await app.graphql(query, token)).json["data"]["users"]]
        if not page:
            break
        assert len(page) <= 3
        seen += page
    assert seen == sorted(seen)
    assert len(seen) == len(ROLES)


@matrix(
    "arguments",
    [
        "first: 0", "first: 101", "first: -1", 'after: "-1"', 'after: "x"', f'after: "{"9" * 30}"',
        'filter: {search: "\\u0000"}', f'filter: {{search: "{"x" * 201}"}}', 'filter: {role: "King"}',
    ],
)  # fmt: skip
async def test_arguments_out_of_range_are_named(app: App, arguments: str) -> None:
    reply = await app.graphql(f"{{ users({arguments}) {{ id }} }}", await token_of(app, "viewer@acme.example"))
    assert reply.json["data"] == {"users": None}
    [error] = reply.json["errors"]
    assert error["path"] == ["users"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert error["extensions"]["details"][0]["field"] == arguments.removeprefix("filter: {").partition(":")[0]


@matrix("search", ["100%", "_", "\\\\", "'; DROP TABLE users --", "ünïcode", "😀"])
async def test_a_search_is_taken_literally(app: App, search: str) -> None:
    query = f'{{ users(filter: {{search: "{search}"}}) {{ id }} }}'
    assert (await app.graphql(query, await token_of(app, "viewer@acme.example"))).json == {"data": {"users": []}}


async def test_the_roles_of_the_directory_are_those_of_each_user(app: App) -> None:
    query = "{ users { title roles { name } } }"
    people = (await app.graphql(query, await token_of(app, "viewer@acme.example"))).json["data"]["users"]
    assert all([r["name"] for r in person["roles"]] == [person["title"]] for person in people)
    assert {person["title"] for person in people} == set(ROLES)


@rule("SCHEMA-NO-SECRET", "GRAPHQL-NO-SIGN-IN")
@matrix("field", ["password", "passwordHash", "refreshToken", "sessions", "clients"])
async def test_secrets_are_not_in_the_schema(app: App, field: str) -> None:
    reply = await app.graphql(f"{{ users {{ {field} }} }}", await token_of(app, "admin@acme.example"))
    assert "data" not in reply.json
    assert reply.json["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


@matrix(
    "arguments",
    [
        "first: null",
        "after: null",
        "filter: null",
        "first: null, filter: {search: null, role: null, isActive: null}",
        "sort: null",
    ],
)
async def test_an_argument_that_is_null_counts_as_left_out(app: App, arguments: str) -> None:
    token = (await app.sign_in("viewer@acme.example")).data["token"]
    expected = (await app.graphql("{ users { id } }", token)).json
    assert (await app.graphql(f"{{ users({arguments}) {{ id }} }}", token)).json == expected


async def test_a_variable_that_is_null_counts_as_left_out(app: App) -> None:
    token = (await app.sign_in("viewer@acme.example")).data["token"]
    body = {
        "query": "query($n: Int, $s: String) { users(first: $n, filter: {search: $s}) { id } }",
        "variables": {"n": None, "s": None},
    }
    expected = (await app.graphql("{ users { id } }", token)).json
    assert (await app.post("/api/client/graphql", body, token=token)).json == expected
