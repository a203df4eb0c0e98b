"""Tenant isolation: another client's objects are answered like objects that never existed, for every id sent."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from graphql import GraphQLInputObjectType, GraphQLObjectType, get_named_type

from tests.http.tenancy.addressed_things import addressed_things, kind_of_id
from tests.support import jobs as j
from tests.support.application import App, Reply
from tests.support.badges import BADGE_ROUTES, DEVICE_ROUTES
from tests.support.envelope import check_refusal
from tests.support.graphql_operations import ARGUMENTS, FILES, SCHEMA, Things, document, everything, operations, things
from tests.support.headsets import THINGS_OF_DEVICES
from tests.support.machines import MACHINE_ROUTES
from tests.support.matrix import matrix
from tests.support.routes import ROUTES, filled
from tests.support.statements import counted_statements
from tests.support.team import Team, new_team

NEVER = 2**31 - 1
#: Every argument and member of an input that names a thing, and which thing.
PLACES = {
    "user.id": "user",
    "template.id": "template",
    "templateVersion.id": "version",
    "job.id": "job",
    "renewInvitation.userId": "user",
    "updateUser.id": "user",
    "setUserRoles.userId": "user",
    "deactivateUser.id": "user",
    "restoreUser.id": "user",
    "endUserSessions.userId": "user",
    "resetUserPassword.userId": "user",
    "resetUserFactors.userId": "user",
    "updateTemplate.id": "template",
    "addTemplateVersion.templateId": "template",
    "updateTemplateVersion.id": "version",
    "submitTemplateVersion.id": "version",
    "approveTemplateVersion.id": "version",
    "rejectTemplateVersion.id": "version",
    "publishTemplateVersion.id": "version",
    "archiveTemplate.id": "template",
    "restoreTemplate.id": "template",
    "addJob.input.templateId": "template",
    "addJob.input.assignedUserIds": "user",
    "updateJob.id": "job",
    "assignUserToJob.jobId": "job",
    "assignUserToJob.userId": "user",
    "unassignUserFromJob.jobId": "job",
    "unassignUserFromJob.userId": "user",
    "startJob.id": "job",
    "recordData.jobId": "job",
    "recordData.input.fileId": "file",
    "completeStep.jobId": "job",
    "completeJob.id": "job",
    "cancelJob.id": "job",
}
#: Conditions find nothing instead.
FILTERS = {
    f"{name}.filter.{member}": thing
    for names, member, thing in (
        (("jobs", "jobsPage"), "templateId", "template"),
        (("jobs", "jobsPage"), "assignedUserId", "operator"),
        (("auditEvents", "auditEventsPage"), "userId", "operator"),
    )
    for name in names
}
#: Numbers that name nothing by themselves; `assetId` is another system's.
MERE_NUMBERS = {"first", "after", "revision", "stepNumber", "assetId"}
#: Addresses of REST that name a thing: with which member of the address, and the body.
ADDRESSES: dict[tuple[str, str], Any] = {
    ("GET", f"{FILES}/{{file}}"): None,
    ("GET", "/api/client/users/{user}/identities"): None,
    ("DELETE", "/api/client/users/{user}/identities/{identity}"): None,
    ("POST", "/api/client/users/{user}/identities/{identity}/confirm"): None,
    ("POST", "/api/client/users/{user}/invitation"): None,
    ("POST", "/api/client/users/{user}/factors/reset"): {"reason": "Stolen"},
    ("GET", "/api/client/users/{user}/sessions"): None,
    ("DELETE", "/api/client/users/{user}/sessions"): None,
    ("DELETE", "/api/client/users/{user}/sessions/{session}"): None,
    **{route: body for route, body in (BADGE_ROUTES | DEVICE_ROUTES).items() if "{" in route[1]},
    **{route: body for route, body in MACHINE_ROUTES.items() if "{" in route[1]},
    ("GET", "/api/client/providers/{provider}"): None,
    ("PATCH", "/api/client/providers/{provider}"): {"displayName": "Stolen"},
    ("POST", "/api/client/providers/{provider}/switch-off"): None,
    ("POST", "/api/client/providers/{provider}/switch-on"): None,
    ("POST", "/api/client/providers/{provider}/rotate-key"): None,
    ("POST", "/api/client/providers/{provider}/test"): None,
    ("DELETE", "/api/client/providers/{provider}"): None,
    ("GET", "/api/client/directories/{directory}"): None,
    ("DELETE", "/api/client/directories/{directory}"): None,
    ("POST", "/api/client/directories/{directory}/prove"): {"returnTo": ""},
    ("GET", "/api/client/domains/{domain}"): None,
    ("DELETE", "/api/client/domains/{domain}"): None,
    ("POST", "/api/client/domains/{domain}/check"): None,
    ("DELETE", "/api/client/auth/sessions/{id}"): None,
    ("DELETE", "/api/client/auth/identities/{id}"): None,
    ("DELETE", "/api/client/auth/second-factors/trusted/{id}"): None,
    ("PATCH", "/api/client/auth/passkeys/{id}"): {"name": "Stolen"},
    ("DELETE", "/api/client/auth/passkeys/{id}"): None,
    **THINGS_OF_DEVICES,
}
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


def _leaves(where: str, kind: Any) -> Iterator[tuple[str, str]]:
    """Members of an argument with the names of their types, inputs followed."""
    named = get_named_type(kind)
    if isinstance(named, GraphQLInputObjectType):
        for name, member in named.fields.items():
            yield from _leaves(f"{where}.{name}", member.type)
    else:
        yield where, named.name


def _numbers() -> set[str]:
    """Every argument, at the root and below, through which a number or an id can be given."""
    found = set()
    for name, (_, field) in operations().items():
        for argument, one in field.args.items():
            found |= {leaf for leaf, kind in _leaves(f"{name}.{argument}", one.type) if kind in ("Int", "ID")}
    roots = (SCHEMA.query_type, SCHEMA.mutation_type)
    for kind in SCHEMA.type_map.values():
        if isinstance(kind, GraphQLObjectType) and not kind.name.startswith("__") and kind not in roots:
            for name, field in kind.fields.items():
                found |= {f"{kind.name}.{name}.{argument}" for argument in field.args}
    return found


def test_every_place_that_names_a_thing_has_its_case() -> None:
    assert {place for place in _numbers() if place.rpartition(".")[2] not in MERE_NUMBERS} == set(PLACES) | set(FILTERS)


def test_every_address_that_names_a_thing_has_its_case() -> None:
    found = {(route.method, route.path) for route in ROUTES if route.who == "client" and "{" in route.path}
    assert found == set(ADDRESSES)


def with_id(place: str, own: Things, number: int) -> tuple[str, dict[str, Any]]:
    """The operation, and arguments that are good but for the number at one place."""
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
async def test_what_is_anothers_is_like_what_never_was(
    ours: Team, theirs: Team, own: Things, foreign: Things, place: str
) -> None:
    """For a user with every permission in their own client: the very same answer, and as many statements."""
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


#: By list, the orders in which it can be walked through.
ORDERS = {
    name: list(SCHEMA.get_type(kind).values)  # type: ignore[union-attr]
    for name, kind in (("usersPage", "UserSort"), ("templatesPage", "TemplateSort"), ("jobsPage", "JobSort"))
}


@matrix("name", ORDERS)
async def test_a_cursor_of_another_client_shows_ones_own(
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
    """The same names are on both sides; what is found is on one's own."""
    for name in ORDERS:
        reply = await ours.send("Admin", document(name, "total items { id }"), filter={"search": theirs.client})
        assert reply.json["data"][name] == {"total": 0, "items": []}
        sides = [
            {item["id"] for item in (await team.ask("Admin", document(name, "items { id }"), first=100))["items"]}
            for team in (ours, theirs)
        ]
        assert sides[0]
        assert not sides[0] & sides[1]


@matrix("address", ADDRESSES, ids=" ".join)
async def test_anothers_address_is_like_one_that_never_was(
    ours: Team, theirs: Team, own: Things, foreign: Things, address: tuple[str, str]
) -> None:
    method, pattern = address
    there = await addressed_things(theirs, foreign)
    there["id"] = there[kind_of_id(pattern)]
    if "/secrets/" in pattern:
        there["secret"] = there["client_secret"]
    never = {
        "file": NEVER,
        "user": NEVER,
        "identity": NEVER,
        "provider": "never",
        "id": NEVER if kind_of_id(pattern) == "identity" else "A" * 22,
        "session": "A" * 22,
        "account": NEVER,
        "secret": "A" * 16,
        "app": "app_" + "a" * 16,
        "domain": "never.example",
        "directory": "d0d0d0d0-7777-4000-8000-00000000ffff",
        **dict.fromkeys(("badge", "device", "enrolment"), "A" * 16),
    }
    able = ("Admin",) if pattern.endswith("/confirm") else ("Admin", "User Admin")
    tokens = [(await ours.member(role)).token for role in able]
    before = await everything(ours.app)
    for token in tokens:
        for named in (there, never, {**there, "user": own.user}):
            if named.get("user") == own.user and "{" not in pattern.partition("{user}")[2]:
                continue  # one's own user
            reply = await ours.app.send(method, filled(pattern, **named), ADDRESSES[address], token=token)
            assert check_refusal(reply, 404, "NOT_FOUND")["message"] == "Not found"
    assert await everything(ours.app) == before
    if method == "GET":  # and for them it is there
        admin = await theirs.member("Admin")
        assert (await ours.app.send(method, filled(pattern, **there), token=admin.token)).status == 200
