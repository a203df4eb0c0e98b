"""A client's usage is counted only for that client, and at most once in five minutes."""

from __future__ import annotations

from manifest_auth.clients import client_standing
from manifest_auth.clients.client_standing import Usage
from manifest_auth.licence.licence import Seats
from manifest_auth.services import RequestContext
from tests.support.accounts import act_on
from tests.support.application import App
from tests.support.people import OwnClient, member, own_client


async def used(own: OwnClient) -> Usage:
    services = own.app.services
    principal = await services.principals.by_cookie(own.client_admin.cookie)
    assert principal is not None
    return await client_standing.of_client(RequestContext(services, "r", "192.0.2.1", "", principal))


async def test_users_sessions_and_seats_of_the_client_are_counted(app: App) -> None:
    own, other = await own_client(app), await own_client(app)
    for role in ("Viewer", "Viewer", "Operator"):
        await member(app, own.identifier, role)
    gone = await member(app, own.identifier)
    await act_on(app, f"{own.identifier}/users/{gone.id}/deactivate")
    found = await used(own)
    assert (found.users, found.active_users, found.open_sessions) == (5, 5, 5)
    assert (found.seats, found.free) == (Seats(full=2, operate=1, connect=2), None)
    assert (await used(other)).users == 2


async def test_it_is_counted_at_most_once_in_five_minutes(app: App) -> None:
    own = await own_client(app)
    first = await used(own)
    await member(app, own.identifier)
    app.clock.advance(299)
    assert await used(own) == first
    app.clock.advance(1)
    assert (await used(own)).users == first.users + 1


async def test_who_did_not_sign_in_for_thirty_days_is_not_active(app: App) -> None:
    own = await own_client(app)
    app.clock.advance(30 * 86_400 - 1)
    assert (await used(own)).active_users == 2
    app.clock.advance(301)
    found = await used(own)
    assert (found.users, found.active_users, found.open_sessions) == (2, 0, 0)
