"""Contract, sections 7 and 8: what is another client's is like what never was, wherever a caller can name it: in every
argument and input, in filters, cursors and addresses; and no nested field or loader leads there, not even from rows
that point across."""

from __future__ import annotations

import contextlib
import copy
import re
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from graphql import GraphQLInputObjectType, GraphQLObjectType, get_named_type
from sqlalchemy import Column, bindparam, select, update

from manifest_auth import providers
from manifest_auth.app import ROUTES
from manifest_auth.graphql import cost
from manifest_auth.graphql.schema import SCHEMA
from manifest_auth.providers import How
from manifest_auth.store import SystemUnit, crossing
from manifest_auth.store.tables import TENANT_OWNED, work
from manifest_auth.web import Door
from tests.storage import rows
from tests.support import jobs as j
from tests.support.crew import Crew, new_crew
from tests.support.envelope import check_refusal
from tests.support.house import App, Reply
from tests.support.operations import ARGUMENTS, FILES, Things, document, everything, operations, selection, things
from tests.support.routes import filled
from tests.support.single_sign_on import add_provider
from tests.support.statements import counted_statements
from tests.support.templates import bring

# The executor drops what the neighbours of a failed field began.
pytestmark = pytest.mark.filterwarnings("ignore:coroutine", "ignore::pytest.PytestUnraisableExceptionWarning")
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
    for name in ("jobs", "jobsPage")
    for member, thing in (("templateId", "template"), ("assignedUserId", "operator"))
}
#: Numbers that name nothing by themselves; `assetId` is another system's.
MERE_NUMBERS = {"first", "after", "revision", "stepNumber", "assetId"}
#: Addresses of REST that name a thing: with which member of the address, and the body.
ADDRESSES: dict[tuple[str, str], Any] = {
    ("GET", f"{FILES}/{{file}}"): None,
    ("GET", "/api/client/users/{user}/identities"): None,
    ("DELETE", "/api/client/users/{user}/identities/{identity}"): None,
    ("POST", "/api/client/users/{user}/invitation"): None,
    ("GET", "/api/client/providers/{provider}"): None,
    ("PATCH", "/api/client/providers/{provider}"): {"displayName": "Stolen"},
    ("POST", "/api/client/providers/{provider}/switch-off"): None,
    ("POST", "/api/client/providers/{provider}/switch-on"): None,
    ("POST", "/api/client/providers/{provider}/rotate-key"): None,
    ("POST", "/api/client/providers/{provider}/test"): None,
    ("DELETE", "/api/client/providers/{provider}"): None,
    ("DELETE", "/api/client/auth/sessions/{id}"): None,
    ("DELETE", "/api/client/auth/identities/{id}"): None,
}


@pytest.fixture(scope="module")
async def ours(app: App) -> Crew:
    return await new_crew(app)


@pytest.fixture(scope="module")
async def theirs(app: App) -> Crew:
    return await new_crew(app)


@pytest.fixture(scope="module")
async def own(ours: Crew) -> Things:
    return await things(ours)


@pytest.fixture(scope="module")
async def foreign(theirs: Crew) -> Things:
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
    found = {(route.method, route.path) for route in ROUTES if route.door is Door.CLIENT and "{" in route.path}
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
    for error in reply.json.get("errors", []):
        del error["extensions"]["requestId"]
    return reply.json


@pytest.mark.parametrize("place", PLACES)
async def test_what_is_anothers_is_like_what_never_was(
    ours: Crew, theirs: Crew, own: Things, foreign: Things, place: str
) -> None:
    """For those who may do everything at home, for a job of work by work: the very same answer, as many statements."""
    numbers = [NEVER, getattr(foreign, PLACES[place])]
    if PLACES[place] == "user":  # somebody of rank, somebody with sessions
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
            statements.append(len(counted))
        [error] = answers[0]["errors"]
        assert (error["extensions"], error["message"], error["path"]) == ({"code": "NOT_FOUND"}, "Not found", [name])
        assert all(answer == answers[0] for answer in answers), answers
        assert answers[0]["data"] == {name: None}
        assert len(set(statements)) == 1
    assert await everything(ours.app) == before


@pytest.mark.parametrize("place", FILTERS)
async def test_conditions_on_what_is_anothers_find_nothing(
    ours: Crew, theirs: Crew, own: Things, foreign: Things, place: str
) -> None:
    name, _, member = place.split(".")
    inner = "total nextCursor items { id }" if name.endswith("Page") else "id"
    nothing = {"total": 0, "nextCursor": None, "items": []} if name.endswith("Page") else []
    for number in (getattr(foreign, FILTERS[place]), NEVER):
        assert await ours.ask("Admin", document(name, inner), filter={member: number}) == nothing
    for crew, have in ((ours, own), (theirs, foreign)):
        found = await crew.ask("Admin", document(name, inner), filter={member: getattr(have, FILTERS[place])})
        assert found not in (nothing, [])


#: By list, the orders in which it can be walked through.
ORDERS = {
    name: list(SCHEMA.get_type(kind).values)  # type: ignore[union-attr]
    for name, kind in (("usersPage", "UserSort"), ("templatesPage", "TemplateSort"), ("jobsPage", "JobSort"))
}


@pytest.mark.parametrize("name", ORDERS)
async def test_a_cursor_of_another_client_shows_ones_own(
    ours: Crew, theirs: Crew, own: Things, foreign: Things, name: str
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


async def test_nobody_finds_anothers_words(ours: Crew, theirs: Crew, own: Things, foreign: Things) -> None:
    """The same names are on both sides; what is found is on one's own."""
    for name in ORDERS:
        reply = await ours.send("Admin", document(name, "total items { id }"), filter={"search": theirs.client})
        assert reply.json["data"][name] == {"total": 0, "items": []}
        sides = [
            {item["id"] for item in (await crew.ask("Admin", document(name, "items { id }"), first=100))["items"]}
            for crew in (ours, theirs)
        ]
        assert sides[0]
        assert not sides[0] & sides[1]


#: Ways into the graph, and how many levels of everything below fit into one document.
WAYS = {"users": 3, "usersPage": 4, "user": 3, "templates": 3, "templatesPage": 4, "template": 4, "templateVersion": 4,
        "jobs": 3, "jobsPage": 4, "job": 4}  # fmt: skip


@pytest.fixture(scope="module")
async def lived(app: App) -> tuple[Crew, Things]:
    """A client in which everything has happened once, so that every nested field leads somewhere; its name is in its
    people's addresses and in the names of its things."""
    crew = await new_crew(app)
    have = await things(crew)
    mark = {"name": f"of {crew.client}"}
    await crew.ask("Author", document("updateTemplate"), id=have.template, input=mark)
    await crew.ask("Operator", document("updateJob"), id=have.job, input=mark)
    await crew.ask("Operator", j.RECORDS, id=have.job, step=1, input={"fileId": have.file})
    await crew.ask("Operator", j.STEP_DONE, id=have.job, step=1)
    await crew.ask("Operator", j.RECORDS, id=have.job, step=2, input={"text": f"of {crew.client}"})
    await bring(crew, have.version, "PUBLISHED")
    return crew, have


async def everything_below(lived: tuple[Crew, Things], way: str, monkeypatch: pytest.MonkeyPatch) -> Reply:
    """What the way leads to, some levels deep; what it costs does not matter here."""
    monkeypatch.setattr(cost, "MAX_COST", 10**6)
    crew, have = lived
    kind = get_named_type(operations()[way][1].type)
    assert isinstance(kind, GraphQLObjectType)
    return await crew.send("Admin", document(way, selection(kind, WAYS[way])), **ARGUMENTS[way](have))


@pytest.mark.parametrize("way", WAYS)
async def test_everything_below_is_ones_own(
    lived: tuple[Crew, Things], own: Things, foreign: Things, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reply = await everything_below(lived, way, monkeypatch)
    assert "errors" not in reply.json, reply.text
    assert set(re.findall(r"client-\d+", reply.text)) == {lived[0].client}


def _pointers() -> dict[str, Column[Any]]:
    """Columns of the work's tables that point at a row of a client."""
    tables = [table for table in TENANT_OWNED if table.name in vars(work)]
    return {
        str(column): column
        for table in sorted(tables, key=lambda table: table.name)
        for column in table.c
        if any(key.column.table in TENANT_OWNED for key in column.foreign_keys)
    }


Row = dict[str, Any]


@contextlib.asynccontextmanager
async def changed(
    app: App, column: Column[Any], tenant_id: int, put: Callable[[SystemUnit], int]
) -> AsyncIterator[None]:
    """Meanwhile a client's rows have other values there, past all binding: for each value one that ``put`` makes."""
    table, others = column.table, [key for key in column.table.primary_key.columns if key is not column]
    rows_of = crossing(
        select(column, *others).where(table.c.tenant_id == bindparam("of"), column.is_not(None)), because="a test"
    )
    there = [key == bindparam(f"at_{key.name}") for key in others]
    change = crossing(
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

    steps = await app.house.store.write(there_and)
    assert steps
    try:
        yield
    finally:
        await app.house.store.write(lambda unit: move(unit, [(new, was, at) for was, new, at in steps]))


async def id_of(crew: Crew) -> int:
    return int((await crew.ask("Viewer", "{ me { client { id } } }"))["client"]["id"])


@pytest.mark.parametrize("pointer", _pointers())
async def test_a_row_that_points_across_leads_nowhere(
    lived: tuple[Crew, Things], theirs: Crew, pointer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a row is a bug or somebody's handiwork; still nothing of the other side is shown."""
    crew, column = lived[0], _pointers()[pointer]
    [key] = column.foreign_keys
    target, stranger = key.column.table, await id_of(theirs)
    secrets: list[str] = []

    def add(unit: SystemUnit) -> int:
        number = rows.add(unit, target, stranger)
        [found] = [row for row in rows.everything(unit, target, stranger) if row[0] == number]
        secrets.extend(value for value in found if isinstance(value, str))
        return number

    async with changed(crew.app, column, await id_of(crew), add):
        assert secrets
        for way in WAYS:
            reply = await everything_below(lived, way, monkeypatch)
            assert not [secret for secret in secrets if f'"{secret}"' in reply.text], reply.text


#: Where the rows of each table are seen, and what is seen when they are somebody else's.
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


def test_every_table_of_the_work_is_seen_somewhere() -> None:
    assert set(SEEN) == {table.name for table in TENANT_OWNED if table.name in vars(work)}


@pytest.mark.parametrize("table", SEEN)
async def test_rows_of_another_client_below_ones_own_are_not_seen(
    lived: tuple[Crew, Things], theirs: Crew, table: str
) -> None:
    crew, have = lived
    operation, inner, expected = SEEN[table]
    variables = ARGUMENTS[operation](have)
    seen = await crew.ask("Viewer", document(operation, inner), **variables)
    assert seen != expected
    nobody = await id_of(await new_crew(crew.app))
    column = vars(work)[table].c.tenant_id
    async with changed(crew.app, column, await id_of(crew), lambda _unit: nobody):
        reply = await crew.send("Viewer", document(operation, inner), **variables)
        assert reply.json["data"] == {operation: expected}
        assert [error["extensions"]["code"] for error in reply.json.get("errors", [])] == (
            ["NOT_FOUND"] if expected is None else []
        )
    assert await crew.ask("Viewer", document(operation, inner), **variables) == seen


@pytest.mark.parametrize("address", ADDRESSES, ids=" ".join)
async def test_anothers_address_is_like_one_that_never_was(
    ours: Crew, theirs: Crew, own: Things, foreign: Things, address: tuple[str, str]
) -> None:
    method, pattern = address
    there = await their_things(theirs, foreign)
    never = {"file": NEVER, "user": NEVER, "identity": NEVER, "provider": "never", "id": "A" * 22}
    if "auth/identities" in pattern:
        there["id"], never["id"] = there["identity"], NEVER
    tokens = [(await ours.member(role)).token for role in ("Admin", "User Admin")]
    before = await everything(ours.app)
    for token in tokens:
        for named in (there, never, {**there, "user": own.user}):
            if named.get("user") == own.user and "identity" not in pattern:
                continue  # one's own user
            reply = await ours.app.send(method, filled(pattern, **named), ADDRESSES[address], token=token)
            assert check_refusal(reply, 404, "NOT_FOUND")["message"] == "Not found"
    assert await everything(ours.app) == before


_SETTINGS = {"issuer": "http://127.0.0.1:9/op", "clientId": "c", "clientSecret": "s"}


async def their_things(theirs: Crew, foreign: Things) -> dict[str, Any]:
    """What addresses can name: with a provider, an identity and a session that are really there."""
    admin = await theirs.member("Admin")
    made = await add_provider(theirs.app, theirs.client, oidc=_SETTINGS)
    identity = await j.within(
        theirs, lambda unit: providers.link(unit, made["id"], f"s{made['id']}", foreign.user, How.CREATED, "", 0, 1).id
    )
    sessions = await theirs.app.get("/api/client/auth/sessions", token=admin.token)
    session = sessions.data["items"][0]["id"]
    return {"file": foreign.file, "user": foreign.user, "identity": identity, "provider": made["name"], "id": session}
