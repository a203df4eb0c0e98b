"""Rejections and blocked attempts that must be recorded in the audit trail."""

from __future__ import annotations

import pytest

from manifest_auth import audit
from manifest_auth.audit import Event
from manifest_auth.context import Origin
from tests.support.accounts import new_client, new_user, trail
from tests.support.application import App
from tests.support.matrix import matrix
from tests.support.rules import rule
from tests.support.team import Team, new_team
from tests.support.user_management import NEW, accept, invited, reset, started_reset

GOOD = "granite-otter-47-lantern"


@rule("AUDIT-TRAIL")
async def test_an_incorrect_current_password_and_its_rate_limit(app: App) -> None:
    client = await new_client(app)
    user_id, email = await new_user(app, client, password=GOOD)
    token = (await app.sign_in(email, GOOD, client)).data["token"]
    for number in range(6):
        body = {"currentPassword": f"guess-number-{number}-x", "newPassword": NEW}
        await app.post("/api/client/auth/password", body, token=token)
    found = (await trail(app, client))[-6:]
    assert [event.event for event in found] == ["password_check_failed"] * 5 + ["throttled"]
    assert {(event.actor, event.subject) for event in found} == {(f"user:{user_id}", f"user:{user_id}")}
    assert found[-1].members["method"] == "password_change"


async def _last(team: Team) -> tuple[str, str, str]:
    event = (await trail(team.app, team.client))[-1]
    return event.event, event.subject, event.members.get("why", "")


@rule("AUDIT-TRAIL")
async def test_a_reused_link_names_its_owner_and_an_invented_one_nobody(app: App) -> None:
    team = await new_team(app)
    user_id, token = await invited(team)
    assert (await accept(app, token)).status == 200
    count = len(await trail(app, team.client))
    assert (await accept(app, "Z" * 32)).status == 401
    assert len(await trail(app, team.client)) == count
    assert (await accept(app, token)).status == 401
    event, subject, why = await _last(team)
    assert (event, subject) == ("sign_in_failed", f"user:{user_id}")
    assert why.startswith("link: used")


async def test_rate_limited_attempts_with_a_link(app: App) -> None:
    team = await new_team(app)
    user_id, _ = await new_user(app, team.client, password=GOOD)
    token = await started_reset(team, user_id)
    for number in range(6):
        await reset(app, token, f"short{number}")
    assert (await _last(team))[:2] == ("throttled", f"user:{user_id}")


async def test_a_system_admins_incorrect_password_and_its_rate_limit(app: App) -> None:
    token = await app.admin_token()
    for number in range(6):
        body = {"currentPassword": f"guess-number-{number}-x", "newPassword": NEW}
        await app.post("/api/admin/auth/password", body, token=token)
    found = (await app.get("/api/admin/audit?client=0&first=6", token=token)).data["items"]
    assert [event["event"] for event in found] == ["throttled"] + ["password_check_failed"] * 5
    assert {event["subject"] for event in found} == {found[0]["actor"]}


async def test_the_first_keys_of_an_installation(app: App) -> None:
    found = (await app.get("/api/admin/audit?client=0&event=keys_made", token=await app.admin_token())).data["items"]
    assert [event["actor"] for event in found] == ["system"]
    assert set(found[0]["detail"]["purposes"]) == {
        "access",
        "refresh",
        "admin-access",
        "admin-refresh",
        "service",
        "forms",
        "page-state",
    }


@matrix("event", [event for event in Event if event.about.of_installation])
async def test_an_event_of_the_installation_is_in_no_clients_chain(app: App, event: Event) -> None:
    client, origin = await new_client(app), Origin(app.clock.now_ms(), "system", "", "a test")
    before = await trail(app, client)
    number = int((before[0].subject).partition(":")[2])
    with pytest.raises(ValueError, match=event.value):
        await app.services.store.of(number).write(lambda unit: audit.record(unit, origin, event))
    assert await trail(app, client) == before
