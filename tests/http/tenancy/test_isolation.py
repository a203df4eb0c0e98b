"""Tenant isolation: for every ID sent, another client's objects look like objects that never existed."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

import pytest
from graphql import GraphQLInputObjectType, GraphQLObjectType, get_named_type

from tests.http.bodies import send
from tests.http.tenancy.addressed_things import addressed_things, named_by
from tests.http.work.test_permission_matrix import HOLDERS, needed
from tests.support import jobs as j
from tests.support.application import App, Reply
from tests.support.envelope import check_refusal
from tests.support.graphql_operations import ARGUMENTS, SCHEMA, Things, document, everything, operations, things
from tests.support.matrix import matrix
from tests.support.routes import ROUTES, Route
from tests.support.statements import counted_statements
from tests.support.team import Team, new_team

NEVER = 2**31 - 1
#: IDs of another system.
_OF_OTHERS = ("assetId",)
#: Routes with a client's object in the address: users use their own client, system admins any client.
ADDRESSES = [route for route in ROUTES if route.who == "client" and "{" in route.path]
ADMIN_ADDRESSES = [
    route
    for route in ROUTES
    if route.who == "admin" and re.search(r"{client}.*{", route.path)
    if not route.path.endswith("/vouch")  # also claims a name for the client, which others can have too
]


def _leaves(where: str, kind: Any) -> Iterator[tuple[str, str]]:
    """Members of an argument with their type names, including nested inputs."""
    named = get_named_type(kind)
    if isinstance(named, GraphQLInputObjectType):
        for name, member in named.fields.items():
            yield from _leaves(f"{where}.{name}", member.type)
    else:
        yield where, named.name


_NAMES_A_THING = re.compile("^id$|Ids?$")
#: Objects by the type that an operation returns, or by the argument name without `Id`.
_KINDS = {
    "User": "user",
    "Template": "template",
    "TemplateVersion": "version",
    "Job": "job",
    "user": "user",
    "assignedUser": "user",
    "template": "template",
    "job": "job",
    "file": "file",
}


def _things() -> dict[str, str]:
    """Every argument and input member that refers to an object, with the object's kind."""
    found = {}
    for name, (_, field) in operations().items():
        answered = get_named_type(field.type).name
        for argument, one in field.args.items():
            for leaf, kind in _leaves(f"{name}.{argument}", one.type):
                last = leaf.rpartition(".")[2]
                if kind in ("Int", "ID") and _NAMES_A_THING.search(last) and last not in _OF_OTHERS:
                    found[leaf] = _KINDS[answered if last == "id" else re.sub("Ids?$", "", last)]
    return found


_NAMED = _things()
PLACES = {place: thing for place, thing in _NAMED.items() if ".filter." not in place}
#: Conditions just find nothing.
FILTERS = {place: "operator" if thing == "user" else thing for place, thing in _NAMED.items() if place not in PLACES}
pytestmark = pytest.mark.still


@pytest.fixture(scope="module")
async def ours(app: App) -> Team:
    return await new_team(app)


@pytest.fixture(scope="module")
async def theirs(app: App) -> Team:
    return await new_team(app)


@pytest.fixture(scope="module")
async def own(ours: Team) -> Things:
    return await things(ours)


@pytest.fixture(scope="module")
async def foreign(theirs: Team) -> Things:
    return await things(theirs)


@pytest.fixture(scope="module")
async def addressed(theirs: Team, foreign: Things) -> dict[str, Any]:
    return await addressed_things(theirs, foreign)


def test_below_the_root_no_argument_names_a_thing() -> None:
    roots = (SCHEMA.query_type, SCHEMA.mutation_type)
    found = {
        f"{kind.name}.{name}.{argument}"
        for kind in SCHEMA.type_map.values()
        if isinstance(kind, GraphQLObjectType) and not kind.name.startswith("__") and kind not in roots
        for name, field in kind.fields.items()
        for argument in field.args
    }
    assert [place for place in found if _NAMES_A_THING.search(place.rpartition(".")[2])] == []
    assert found


def with_id(place: str, own: Things, number: int) -> tuple[str, dict[str, Any]]:
    """The operation with valid arguments, except for the ID in one place."""
    name, *way, last = place.split(".")
    given = copy.deepcopy(ARGUMENTS[name](own))
    inside = given
    for step in way:
        inside = inside[step]
    inside[last] = [own.operator, number] if last.endswith("Ids") else number
    if name == "unassignUserFromJob" and last == "jobId":
        given["userId"] = own.user
    return name, given


def without_request_id(reply: Reply) -> Any:
    _ = [error["extensions"].pop("requestId") for error in reply.json.get("errors", [])]
    return reply.json


@matrix("place", PLACES)
async def test_what_is_anothers_looks_nonexistent(
    ours: Team, theirs: Team, own: Things, foreign: Things, place: str
) -> None:
    """A user with every permission in their own client gets the same response, with as many statements."""
    numbers = [NEVER, getattr(foreign, PLACES[place])]
    if PLACES[place] == "user":  # an Admin, and a user with sessions
        numbers += [(await theirs.member("Admin")).id, foreign.operator]
    roles = ["Admin", "User Admin"] if PLACES[place] == "user" and "Job" not in place else ["Admin"]
    for role in roles:
        await ours.member(role)
    before = await everything(ours.app)
    for role in roles:
        answers, statements = [], []
        for number in numbers:
            name, given = with_id(place, own, number)
            with counted_statements() as counted:
                answers.append(without_request_id(await ours.send(role, document(name), **given)))
            statements.append(counted)
        [error] = answers[0]["errors"]
        assert (error["extensions"], error["message"], error["path"]) == ({"code": "NOT_FOUND"}, "Not found", [name])
        assert all(answer == answers[0] for answer in answers), answers
        assert answers[0]["data"] == {name: None}
        assert len({len(each) for each in statements}) == 1, statements
    assert await everything(ours.app) == before


@matrix("place", FILTERS)
async def test_conditions_on_what_is_anothers_find_nothing(
    ours: Team, theirs: Team, own: Things, foreign: Things, place: str
) -> None:
    name, _, member = place.split(".")
    told = "sequence" if name.startswith("audit") else "id"
    inner = f"total nextCursor items {{ {told} }}" if name.endswith("Page") else told
    nothing = {"total": 0, "nextCursor": None, "items": []} if name.endswith("Page") else []
    for number in (getattr(foreign, FILTERS[place]), NEVER):
        assert await ours.ask("Admin", document(name, inner), filter={member: number}) == nothing
    for team, have in ((ours, own), (theirs, foreign)):
        found = await team.ask("Admin", document(name, inner), filter={member: getattr(have, FILTERS[place])})
        assert found not in (nothing, [])


#: By list, its sort orders.
ORDERS = {
    name: list(SCHEMA.get_type(kind).values)  # type: ignore[union-attr]
    for name, kind in (("usersPage", "UserSort"), ("templatesPage", "TemplateSort"), ("jobsPage", "JobSort"))
}


@matrix("name", ORDERS)
async def test_another_clients_cursor_shows_only_own_rows(
    ours: Team, theirs: Team, own: Things, foreign: Things, name: str
) -> None:
    await j.new_job(theirs, foreign.template)
    await j.a_template(theirs)
    page = document(name, "nextCursor items { id }")
    mine = {item["id"] for item in (await ours.ask("Viewer", page, first=100))["items"]}
    for order in ORDERS[name]:
        for first in (1, 2):
            found = await theirs.ask("Viewer", page, first=first, sort=order)
            assert not mine & {item["id"] for item in found["items"]}
            seen = await ours.ask("Viewer", page, first=100, sort=order, after=found["nextCursor"])
            assert {item["id"] for item in seen["items"]} <= mine


async def test_no_one_finds_another_clients_text(ours: Team, theirs: Team, own: Things, foreign: Things) -> None:
    """Both sides use the same names, but each finds only their own."""
    for name in ORDERS:
        reply = await ours.send("Admin", document(name, "total items { id }"), filter={"search": theirs.client})
        assert reply.json["data"][name] == {"total": 0, "items": []}
        sides = [
            {item["id"] for item in (await team.ask("Admin", document(name, "items { id }"), first=100))["items"]}
            for team in (ours, theirs)
        ]
        assert sides[0]
        assert not sides[0] & sides[1]


def never(route: Route) -> dict[str, Any]:
    """By parameter, values that refer to nothing."""
    return {
        **dict.fromkeys(("file", "user", "identity", "account"), NEVER),
        **dict.fromkeys(("badge", "device", "enrolment", "secret"), "A" * 16),
        "id": NEVER if "/identities/" in route.path else "A" * 22,
        "session": "A" * 22,
        "provider": "never",
        "app": "app_" + "a" * 16,
        "domain": "never.example",
        "directory": "d0d0d0d0-7777-4000-8000-00000000ffff",
    }


@matrix("route", ADDRESSES)
async def test_anothers_address_looks_nonexistent(
    ours: Team, theirs: Team, own: Things, addressed: dict[str, Any], route: Route
) -> None:
    there = named_by(route, addressed)
    may = {"Admin"} if route.path.endswith("/confirm") else HOLDERS[needed(route)]
    able = sorted(may & {"Admin", "User Admin"})
    tokens = [(await ours.member(role)).token for role in able]
    before = await everything(ours.app)
    for token in tokens:
        for named in (there, never(route), {**there, "user": own.user}):
            if named.get("user") == own.user and "{" not in route.path.partition("{user}")[2]:
                continue  # the user's own ID
            reply = await send(ours.app, route, token, **named)
            assert check_refusal(reply, 404, "NOT_FOUND")["message"] == "Not found"
    assert await everything(ours.app) == before
    if route.method == "GET":  # it exists for its own client
        admin = await theirs.member("Admin")
        assert (await send(ours.app, route, admin.token, **there)).status == 200


@matrix("route", ADMIN_ADDRESSES)
async def test_another_clients_thing_is_not_in_the_client_that_a_system_admin_names(
    ours: Team, theirs: Team, own: Things, addressed: dict[str, Any], route: Route
) -> None:
    there = named_by(route, addressed)
    token = await ours.app.admin_token(fresh=True)
    before = await everything(ours.app)
    for named in (there, never(route), {**there, "user": own.user}):
        if named.get("user") == own.user and "{" not in route.path.partition("{user}")[2]:
            continue  # a user of the client
        reply = await send(ours.app, route, token, **{**named, "client": ours.client})
        check_refusal(reply, 404, "NOT_FOUND")
    assert await everything(ours.app) == before
    if route.method == "GET":
        assert (await send(ours.app, route, token, **{**there, "client": theirs.client})).status == 200
