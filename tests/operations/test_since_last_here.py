"""Events of the user's own account since the previous sign-in, without events of others."""

from __future__ import annotations

import pytest

from manifest_auth.audit import Event
from manifest_auth.clients import audit_views
from manifest_auth.clients.audit_views import SinceLastHere
from manifest_auth.services import RequestContext
from tests.http.sign_in.continued import child_of, id_of, signed_in
from tests.support.application import App
from tests.support.people import member, own_client
from tests.support.rules import rule
from tests.support.visitor import Visitor

#: Events about a user that don't give access to the account, because they are routine or followed by one that is shown.
OF_NO_USE = {
    Event.SIGNED_OUT, Event.PASSWORD_REHASHED, Event.USER_CREATED, Event.ADMIN_ROLE_WITHHELD, Event.MAIL_FAILED,
    Event.SECOND_FACTOR_BEGUN, Event.PASSKEY_RENAMED, Event.REAUTHENTICATED, Event.PAIRING_BEGUN, Event.PAIRING_CLAIMED,
    Event.THROTTLES_CLEARED, Event.APP_REFUSED, Event.SCIM_USER_REMOVED, Event.SCIM_USER_RELEASED,
}  # fmt: skip


async def look(app: App, cookie: str) -> SinceLastHere:
    principal = await app.services.principals.by_cookie(cookie)
    assert principal is not None
    return await audit_views.look(RequestContext(app.services, "r", "192.0.2.1", "", principal))


async def test_the_first_session_has_nothing_to_tell(app: App) -> None:
    own = await own_client(app)
    assert await look(app, own.client_admin.cookie) == SinceLastHere(None, [], is_all=True)


async def test_it_tells_what_happened_to_their_own_account_and_not_this_sign_in(app: App) -> None:
    own = await own_client(app)
    viewer = await member(app, own.identifier)
    began = app.clock.now_ms()
    app.clock.advance(60)
    await app.sign_in(viewer.email, "wrong-password-here", client=own.identifier)
    app.clock.advance(60)
    path = f"/api/admin/clients/{own.identifier}/users/{viewer.id}/roles"
    await app.send("PUT", path, {"roles": ["Author"]}, token=await app.admin_token())
    await app.sign_in(own.client_admin.email, "wrong-password-here", client=own.identifier)
    app.clock.advance(60)
    cookie = (await app.sign_in(viewer.email, client=own.identifier)).cookie("session")
    found = await look(app, cookie)
    assert (found.since, found.is_all) == (began, True)
    told = [(event.event, event.actor.partition(":")[0]) for event in found.events]
    assert told == [("user_roles_changed", "admin"), ("sign_in_failed", "anonymous"), ("signed_in", "anonymous")]
    assert found.events[1].address == "192.0.2.1"


async def test_another_session_that_is_opened_in_the_meantime_is_told(app: App) -> None:
    own = await own_client(app)
    app.clock.advance(60)
    mine = (await app.sign_in(own.client_admin.email, client=own.identifier)).cookie("session")
    app.clock.advance(60)
    await app.sign_in(own.client_admin.email, client=own.identifier)
    events = (await look(app, mine)).events
    assert [event.event for event in events] == ["signed_in", "signed_in"]
    assert events[0].at == app.clock.now_ms()


async def test_a_session_of_an_app_is_no_sign_in_of_its_own(app: App) -> None:
    ada, before, _ = await signed_in(app)
    app.clock.advance(60)
    mine = (await ada.sign_in()).cookie("session")
    began = [(await look(app, cookie)).since for cookie in (before.cookie, mine)]
    child = await child_of(Visitor(app, {"session": mine}), ada.client)
    assert [(await look(app, cookie)).since for cookie in (before.cookie, mine)] == began
    principal = await app.services.principals.by_session(await id_of(app, child["token"]))
    assert principal is not None
    ctx = RequestContext(app.services, "r", "192.0.2.1", "", principal)
    assert (await audit_views.look(ctx)).since == began[1]


async def test_a_long_trail_is_not_searched_without_end(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    own = await own_client(app)
    app.clock.advance(60)
    for _ in range(5):
        await app.sign_in(own.clerk.email, "wrong-password-here", client=own.identifier)
    mine = (await app.sign_in(own.client_admin.email, client=own.identifier)).cookie("session")
    monkeypatch.setattr("manifest_auth.audit.query.STEP", 1)
    monkeypatch.setattr(audit_views, "_STEPS", 2)
    assert (await look(app, mine)).is_all is False


async def test_a_reset_of_ones_second_factors_is_told_with_who_and_when(app: App) -> None:
    own = await own_client(app)
    viewer = await member(app, own.identifier)
    app.clock.advance(60)
    path = f"/api/client/users/{viewer.id}/factors/reset"
    done = await app.post(path, {"reason": "Lost phone"}, token=own.client_admin.token)
    assert done.status == 200, done.text
    at = app.clock.now_ms()
    app.clock.advance(60)
    cookie = (await app.sign_in(viewer.email, client=own.identifier)).cookie("session")
    told = [(event.event, event.actor, event.at) for event in (await look(app, cookie)).events]
    assert told[0] == ("second_factor_reset", f"user:{own.client_admin.id}", at)


@rule("BADGE-OWNER")
def test_every_event_about_a_user_is_told_or_known_not_to_matter() -> None:
    about_users = {event for event in Event if "%(whom)s" in event.about.told}
    noticeable = {event for event in Event if event.about.account}
    assert about_users == noticeable | OF_NO_USE
    assert not OF_NO_USE & noticeable
