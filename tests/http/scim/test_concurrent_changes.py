"""Clients that change one group at the same time, at two nodes, lose no change."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from tests.http.scim.connecting import BULK, USER, Connection, connect, shown
from tests.support.application import App, running
from tests.support.rounds import repeated

pytestmark = [pytest.mark.settings(MANIFEST_RATE_LIMITS="off"), pytest.mark.timeout(1_800)]

#: Members of the group, clients, and changes in total.
SIZE, CLIENTS, CHANGES = repeated((5_000, 20, 1_000), (200, 10, 60))


@pytest.fixture(scope="module")
async def other(app: App, database_url: str) -> AsyncIterator[App]:
    async with running(database_url, MANIFEST_RATE_LIMITS="off") as node:
        node.goes_by_the_clock_of(app)
        yield node


async def people(of: Connection, number: int) -> list[str]:
    """Create this many users; returns their IDs."""
    found: list[str] = []
    for first in range(0, number, 100):
        operations = [
            {
                "method": "POST",
                "path": "/Users",
                "bulkId": f"b{one}",
                "data": {"schemas": [USER], "userName": f"u{one}@plant.example", "active": True},
            }
            for one in range(first, min(first + 100, number))
        ]
        made = shown(await of.send("POST", "/Bulk", {"schemas": [BULK], "Operations": operations}))["Operations"]
        assert {str(one["status"]) for one in made} == {"201"}, made[:3]
        found += [one["location"].rpartition("/")[2] for one in made]
    return found


async def test_the_members_are_exact(app: App, other: App) -> None:
    of = await connect(app, groupRoles=[{"group": "Line", "roles": ["Operator"]}])
    users = await people(of, SIZE)
    first = set(users[: SIZE // 2])
    group = await of.group("Line", *sorted(first))

    async def client(number: int) -> set[str]:
        """Change the membership of every ``CLIENTS``-th user; returns those that are members at the end."""
        own, mind = users[number::CLIENTS], random.Random(number)
        inside = first & set(own)
        at = replace(of, app=(app, other)[number % 2])
        for _ in range(CHANGES // CLIENTS):
            out = mind.sample(sorted(inside), min(len(inside), mind.randrange(3)))
            new = mind.sample(sorted(set(own) - inside), 2)
            inside = inside - set(out) | set(new)
            as_okta = [{"op": "remove", "path": f'members[value eq "{one}"]'} for one in out]
            as_entra = [{"op": "Remove", "path": "members", "value": [{"value": one} for one in out]}] if out else []
            added = {"op": "Add", "path": "members", "value": [{"value": one} for one in new]}
            reply = await at.patch(f"/Groups/{group}", *mind.choice((as_okta, as_entra)), added)
            assert reply.status == 204, reply.text
        return inside

    expected = set().union(*await asyncio.gather(*map(client, range(CLIENTS))))
    for node in (app, other):
        found = (await replace(of, app=node).get(f"/Groups/{group}"))["members"]
        assert len(found) == len(expected)
        assert {one["value"] for one in found} == expected
