"""Rejected requests of known callers are recorded in the audit trail, up to a limit."""

from __future__ import annotations

from typing import cast

import pytest

from manifest_auth.audit.events import REFUSAL_EVERY_MS, Refusals
from manifest_auth.store import Store
from tests.support.accounts import Recorded, act_on, keys_of, new_client, new_user, trail
from tests.support.application import App, FrozenClock
from tests.support.system_admins import SystemAdmin, another, enrolled, events, sign_in, signed_in_admin

GOOD = "granite-otter-47-lantern"
ME = "/api/client/auth/me"


@pytest.fixture
async def viewer(app: App) -> tuple[str, int, str]:
    """A client, one of its users, and the user's token."""
    app.clock.advance(3 * REFUSAL_EVERY_MS / 1000)
    client = await new_client(app)
    user_id, email = await new_user(app, client, password=GOOD)
    return client, user_id, (await app.sign_in(email, GOOD, client)).data["token"]


async def refused(app: App, client: str) -> list[Recorded]:
    return [event for event in await trail(app, client) if event.event == "access_refused"]


async def test_a_missing_permission_is_one_event_a_minute_with_a_count(app: App, viewer: tuple[str, int, str]) -> None:
    client, user_id, token = viewer
    for _ in range(5):
        assert (await app.get("/api/client/audit", token=token)).status == 403
    [event] = await refused(app, client)
    assert (event.actor, event.subject, event.address) == (f"user:{user_id}", f"user:{user_id}", "192.0.2.1")
    assert event.members == {"why": "needs audit:read", "route": "/api/client/audit"}
    app.clock.advance(REFUSAL_EVERY_MS / 1000)
    assert (await app.get("/api/client/audit", token=token)).status == 403
    assert [event.members.get("kept_back") for event in await refused(app, client)] == [None, 4]
    assert (await app.me(token)).status == 200
    assert len(await refused(app, client)) == 2


async def test_a_field_of_graphql_counts_by_its_own_name(app: App, viewer: tuple[str, int, str]) -> None:
    client, _, token = viewer
    for number in range(3):
        query = f"{{ a{number}: auditEventsPage(first: 1) {{ nextCursor }} }}"
        assert (await app.graphql(query, token)).json["errors"]
    [event] = await refused(app, client)
    assert event.members == {"why": "needs audit:read", "route": "/api/client/graphql auditEventsPage"}


async def test_a_client_that_the_credential_does_not_belong_to(app: App, viewer: tuple[str, int, str]) -> None:
    client, user_id, token = viewer
    assert (await app.me(token, headers={"X-Client-ID": "globex"})).status == 403
    [event] = await refused(app, client)
    assert (event.actor, event.members["why"]) == (f"user:{user_id}", "X-Client-ID disagrees with the credential")


async def test_valid_tokens_on_the_wrong_routes(app: App, viewer: tuple[str, int, str]) -> None:
    client, user_id, token = viewer
    root = await signed_in_admin(app)
    assert (await app.get("/api/admin/clients", token=token)).status == 401
    [event] = await refused(app, client)
    assert (event.actor, event.members["why"]) == (f"user:{user_id}", "a user's token on the admin API")
    assert (await app.me(root.token)).status == 401
    name, actor, _, detail = (await events(app))[-1]
    assert (name, actor) == ("access_refused", f"admin:{root.id}")
    assert detail["why"] == "a system admin's token on the client API"
    await app.post("/api/client/auth/sign-out", token=token)
    app.clock.advance(REFUSAL_EVERY_MS / 1000)
    assert (await app.get("/api/admin/clients", token=token)).status == 401  # the token of an ended session
    assert await refused(app, client) == [event]
    before = len(await events(app))
    for forged in (token[:-4] + "AAAA", root.token[:-4] + "AAAA", "x.y.z"):
        assert (await app.get("/api/admin/clients", token=forged)).status == 401
        assert (await app.me(forged)).status == 401
    assert (len(await events(app)), len(await refused(app, client))) == (before, 1)


async def test_a_refresh_token_of_a_user_who_was_deactivated(app: App, viewer: tuple[str, int, str]) -> None:
    client, _, _ = viewer
    user_id, email = await new_user(app, client, password=GOOD)
    keys = await keys_of(app, email, password=GOOD, client=client)
    await act_on(app, f"{client}/users/{user_id}/deactivate")
    for _ in range(3):
        assert (await app.refresh(keys.refresh_token)).status == 401
    [event] = await refused(app, client)
    assert (event.actor, event.members["route"]) == (f"user:{user_id}", "/api/client/auth/refresh")


@pytest.fixture
async def me(app: App) -> SystemAdmin:
    app.clock.advance(2 * 86_400)
    return await another(await signed_in_admin(app))


async def test_a_reused_code_is_distinguished_from_an_incorrect_one(app: App, me: SystemAdmin) -> None:
    phone = await enrolled(me)
    for otp in (phone.code(), phone.code(), phone.wrong(), None):
        await sign_in(app, me.username, otp=otp)
    failed = [detail["why"] for name, _, who, detail in await events(app)
              if name == "sign_in_failed" and who == f"admin:{me.id}"]  # fmt: skip
    assert failed == ["the code was already used", "wrong code", "no code"]


def test_the_memory_for_callers_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("manifest_auth.audit.events.MOST_REMEMBERED", 3)
    clock = FrozenClock()
    told = Refusals(clock, cast(Store, None))
    assert [told.count(number) for number in range(5)] == [0, 0, 0, None, None]
    assert told.count(1) is None
    clock.advance(REFUSAL_EVERY_MS / 1000)
    assert [told.count(1), told.count(7), told.count(8), told.count(9)] == [1, 0, 0, None]
