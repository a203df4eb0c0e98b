"""Every successful change is in the audit trail, unless its route is exempt."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.http.bodies import send
from tests.http.tenancy.addressed_things import addressed_things, named_by
from tests.support.application import App
from tests.support.graphql_operations import things
from tests.support.people import member
from tests.support.routes import ROUTES
from tests.support.rows import rows
from tests.support.rules import rule
from tests.support.system_admins import SystemAdmin, another, signed_in_admin
from tests.support.team import Team, new_team

pytestmark = [pytest.mark.one_store, pytest.mark.still]

CHANGING = [route for route in ROUTES if route.who in ("client", "admin") and route.method != "GET"]
#: Routes of users, and routes of system admins without an equivalent for users.
WALKED = [
    route
    for route in CHANGING
    if (route.method, route.path.replace("/api/admin/clients/{client}/", "/api/client/"))
    not in {(one.method, one.path) for one in CHANGING if one is not route}
]
#: The number of routes that succeed with a body generated from the description.
LEAST = 55


async def recorded(app: App) -> list[str]:
    """The event name of each entry in every trail."""
    return [event for (event,) in await rows(app, "audit_events", "event")]


async def new_things(app: App, root: SystemAdmin) -> tuple[Team, dict[str, Any]]:
    """A client and objects for all addresses, which no action has changed."""
    team = await new_team(app)
    found = await addressed_things(team, await things(team))
    return team, found | {"client": team.client, "admin": (await another(root)).id}


@rule("AUDIT-TRAIL")
async def test_a_change_leaves_an_event(app: App) -> None:
    root, wrong, done = await another(await signed_in_admin(app)), [], 0
    team, named = await new_things(app, root)
    for route in WALKED:
        actor = await member(app, team.client, "Admin") if route.who == "client" else await root.again()
        before = Counter(await recorded(app))
        reply = await send(app, route, actor.token, **named_by(route, named))
        left = Counter(await recorded(app)) - before
        assert reply.status != 500, str(route)  # as for a missing re-authentication check
        if reply.status >= 300 or not reply.json.get("success") or reply.data == {"ended": 0}:
            continue
        done += 1
        team, named = await new_things(app, root)
        if route.is_recorded and not left:
            wrong.append(str(route))
    assert not wrong
    assert done >= LEAST
