"""The permission matrix with service accounts' tokens, where each cell is as for an API key of the same account.

A token with a narrower scope allows only that scope's cells, and another client's objects aren't found.
"""

from __future__ import annotations

import pytest

from tests.http.bodies import send
from tests.http.tenancy.addressed_things import addressed_things, named_by
from tests.http.tenancy.test_isolation import ADDRESSES, PLACES, with_id
from tests.http.work.test_permission_matrix import (
    ANYONE,
    HOLDERS,
    NEEDED_BY,
    NEVER,
    OF_CLIENTS,
    ROLES,
    codes,
    knock,
    needed,
)
from tests.support.application import App, Reply
from tests.support.graphql_operations import ARGUMENTS, Things, document, everything, things
from tests.support.matrix import matrix
from tests.support.oauth_callers import Machine, machine
from tests.support.rules import rule
from tests.support.team import Team, new_team

#: A service account can't be an Admin.
MACHINES = tuple(role for role in ROLES if role != "Admin")
NOTHING = Things(*[NEVER] * 6)
#: Operations that no machine can call with any role.
CLOSED = ("/api/client/auth/", "/api/client/service-accounts", "/api/client/providers", "/api/client/domains",
          "/api/client/directories", "/api/client/apps", "/api/client/devices")  # fmt: skip
pytestmark = [pytest.mark.one_store, pytest.mark.still]


@pytest.fixture(scope="module")
async def team(app: App) -> Team:
    return await new_team(app)


@pytest.fixture(scope="module")
async def theirs(app: App) -> Team:
    return await new_team(app)


@pytest.fixture(scope="module")
async def foreign(theirs: Team) -> Things:
    return await things(theirs)


@pytest.fixture(scope="module")
async def credentials(team: Team) -> dict[str, tuple[str, str]]:
    """Token and API key of an account with each role."""
    found = {}
    for role in MACHINES:
        who = await machine(team.app, team.client, role.lower().replace(" ", "-"), roles=(role,))
        found[role] = (await who.token(), await who.new("key"))
    return found


async def ask(team: Team, credential: str, operation: str, have: Things) -> Reply:
    body = {"query": document(operation), "variables": ARGUMENTS[operation](have)}
    return await team.app.post("/api/client/graphql", body, token=credential)


@matrix("role", MACHINES)
async def test_an_operation_is_as_open_as_for_a_key(
    team: Team, credentials: dict[str, tuple[str, str]], role: str
) -> None:
    token, key = credentials[role]
    for operation, permission in NEEDED_BY.items():
        by_token, by_key = [
            "FORBIDDEN" in codes(await ask(team, credential, operation, NOTHING), operation)
            for credential in (token, key)
        ]
        assert by_token is by_key, operation
        assert by_token or role in HOLDERS[permission], operation


@rule("SERVICE-TOKEN-SCOPE")
@matrix("permission", [permission for permission in HOLDERS if permission != ANYONE])
async def test_a_narrow_scope_opens_its_own_cells_alone(team: Team, permission: str) -> None:
    everywhere = await machine(team.app, team.client, f"all-{permission.replace(':', '-')}", roles=MACHINES)
    token = await everywhere.token(scope=permission)
    for operation, asked in NEEDED_BY.items():
        refused = "FORBIDDEN" in codes(await ask(team, token, operation, NOTHING), operation)
        assert refused or asked in (permission, ANYONE), operation
        if asked not in (permission, ANYONE):
            assert refused, operation


@rule("SERVICE-TOKEN-SCOPE")
@matrix("role", MACHINES)
async def test_a_route_is_as_open_as_for_a_key(team: Team, credentials: dict[str, tuple[str, str]], role: str) -> None:
    for route in OF_CLIENTS:
        token, key = [await knock(team, route, NOTHING, credential) for credential in credentials[role]]
        assert (token.status == 403) is (key.status == 403), route
        assert token.status == 403 or role in HOLDERS[needed(route)], route
        if route.path.startswith(CLOSED) and str(route) != "GET /api/client/auth/me":
            assert token.code == "FORBIDDEN", route


async def test_nothing_of_another_client_is_there(team: Team, foreign: Things, theirs: Team) -> None:
    able = await machine(team.app, team.client, "able", roles=MACHINES)
    token = await able.token()
    there = await addressed_things(theirs, foreign)
    assert (await team.app.me(token)).status == 200
    before = await everything(team.app)
    for place, thing in PLACES.items():
        name, given = with_id(place, NOTHING, getattr(foreign, thing))
        body = {"query": document(name), "variables": given}
        reply = await team.app.post("/api/client/graphql", body, token=token)
        assert codes(reply, name)[0] in ("NOT_FOUND", "FORBIDDEN"), place
    for route in ADDRESSES:
        reply = await send(team.app, route, token, **named_by(route, there))
        assert reply.code in ("NOT_FOUND", "FORBIDDEN"), str(route)
    assert await everything(team.app) == before


async def test_me_is_the_service_account(team: Team) -> None:
    who: Machine = await machine(team.app, team.client, "asks-for-itself", scopes=("jobs:read",))
    by_token, by_key = [
        (await team.app.me(credential)).data["service"] for credential in (await who.token(), await who.new("key"))
    ]
    assert by_token == by_key
    assert by_token["id"] == who.id
