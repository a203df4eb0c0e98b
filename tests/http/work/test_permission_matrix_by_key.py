"""The permission matrix for machines: six service accounts with one role each, and an API key."""

from __future__ import annotations

import re

import pytest

from tests.http.work.test_permission_matrix import (
    FOR_ADMINS,
    HOLDERS,
    NEEDED_BY,
    OF_CLIENTS,
    ROLES,
    codes,
    knock,
    needed,
)
from tests.support.application import App
from tests.support.envelope import check_refusal
from tests.support.graphql_operations import ARGUMENTS, Things, document, things
from tests.support.machines import Machine, ask, machine
from tests.support.matrix import matrix, some_of
from tests.support.routes import Route
from tests.support.rules import rule
from tests.support.team import Team, new_team

pytestmark = pytest.mark.one_store
#: Machines can't be Admins.
MACHINE_ROLES = ROLES[1:]
#: Operations that no machine can perform with any role, because they would give it another way to sign in.
CLOSED_TO_MACHINES = re.compile(
    r"/api/client/(auth/|service-accounts|scim|providers|domains|directories|webhooks|apps|devices)"
)
OPEN_TO_MACHINES = {"GET /api/client/auth/me"}
#: The same for GraphQL, and for other routes. Mail isn't set up here, so the machine would get an invitation's link.
NO_MACHINE_DOES = {"resetUserPassword", "resetUserFactors", "inviteUser", "renewInvitation"}
NO_MACHINE_CALLS = {
    "POST /api/client/users/{user}/factors/reset",
    "POST /api/client/users/{user}/badges",
    "POST /api/client/users/{user}/badge-pin",
    "POST /api/client/users/{user}/invitation",
    "PATCH /api/client/settings",
}


@pytest.fixture(scope="module")
async def team(app: App) -> Team:
    return await new_team(app)


@pytest.fixture(scope="module")
async def own(team: Team) -> Things:
    return await things(team)


@pytest.fixture(scope="module")
async def machines(team: Team) -> dict[str, Machine]:
    """A service account with a key, for each role that machines can have."""
    return {role: await machine(team.app, team.client, role) for role in MACHINE_ROLES}


@rule("MACHINE-RANK")
@matrix("role", some_of(MACHINE_ROLES, "Author", "Viewer"))
@matrix("operation", NEEDED_BY)
async def test_a_cell_by_key(team: Team, own: Things, machines: dict[str, Machine], operation: str, role: str) -> None:
    reply = await ask(team.app, machines[role].key.text, document(operation), **ARGUMENTS[operation](own))
    found = codes(reply, operation)
    if role in HOLDERS[NEEDED_BY[operation]] and operation not in NO_MACHINE_DOES:
        assert found in ([], ["CONFLICT"]), reply.text
    else:
        assert found == ["FORBIDDEN"], reply.text
        assert reply.json["data"] == {operation: None}


@rule("MACHINE-RANK")
@matrix("role", some_of(MACHINE_ROLES, "Author", "Viewer"))
@matrix("route", OF_CLIENTS)
async def test_a_cell_of_rest_by_key(
    team: Team, own: Things, machines: dict[str, Machine], route: Route, role: str
) -> None:
    closed = CLOSED_TO_MACHINES.match(route.path) and str(route) not in OPEN_TO_MACHINES
    is_open = role in HOLDERS[needed(route)] and not closed and str(route) not in FOR_ADMINS | NO_MACHINE_CALLS
    reply = await knock(team, route, own, machines[role].key.text)
    if is_open:
        assert reply.status not in (401, 403), reply.text
    else:
        check_refusal(reply, 403, "FORBIDDEN")
