"""The permission matrix for a device: its capped roles don't grow, even if its user becomes an Admin."""

from __future__ import annotations

import pytest

from tests.http.work.test_permission_matrix import HOLDERS, NEEDED_BY, WITH_PERMISSION, codes, knock, needed
from tests.support.application import App
from tests.support.envelope import check_refusal, check_success
from tests.support.graphql_operations import ARGUMENTS, Things, document, things
from tests.support.headsets import wearer
from tests.support.rows import change_rows
from tests.support.rules import rule
from tests.support.team import Team, new_team

pytestmark = [pytest.mark.one_store, pytest.mark.settings(MANIFEST_TRUSTED_PROXIES="192.0.2.1")]
OF_A_DEVICE = {"Operator", "Viewer"}


@pytest.fixture(scope="module")
async def team(app: App) -> Team:
    return await new_team(app)


@pytest.fixture(scope="module")
async def own(team: Team) -> Things:
    return await things(team)


@pytest.fixture(scope="module")
async def token(app: App, team: Team) -> str:
    """The token of a headset, for a user who was an Operator and a Viewer at first, and now has every role."""
    ada = await wearer(app, "Operator", "Viewer", client=team.client)
    _, tokens = await ada.paired()
    assert await change_rows(app, "users", {"id": ada.who.id}, roles=127) == 1  # becoming an Admin would end sessions
    assert check_success(await app.me(tokens["access_token"]))["roles"] == ["Operator", "Viewer"]
    return str(tokens["access_token"])


@rule("DEVICE-ROLES")
async def test_every_operation(app: App, team: Team, own: Things, token: str) -> None:
    for operation, permission in NEEDED_BY.items():
        body = {"query": document(operation), "variables": ARGUMENTS[operation](own)}
        reply = await app.post("/api/client/graphql", body, token=token)
        is_open = HOLDERS[permission] & OF_A_DEVICE
        assert codes(reply, operation) in (([], ["CONFLICT"]) if is_open else (["FORBIDDEN"],)), reply.text


@rule("DEVICE-ROLES")
async def test_every_route_that_needs_a_permission(team: Team, own: Things, token: str) -> None:
    for route in WITH_PERMISSION:
        reply = await knock(team, route, own, token)
        if HOLDERS[needed(route)] & OF_A_DEVICE:
            assert reply.status not in (401, 403), reply.text
        else:
            check_refusal(reply, 403, "FORBIDDEN")
