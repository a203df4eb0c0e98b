"""Audit events about a license, recorded once for all nodes, and about a missing seat."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from manifest_auth.cli import commands
from manifest_auth.errors import NoSeat
from manifest_auth.maintenance.licence_watch import watch
from tests.http.scim.connecting import connect, failed, shown
from tests.licence.seat_attempts import fit
from tests.licence.vendor import DAY, install, key, on_premise
from tests.support.accounts import trail
from tests.support.application import App
from tests.support.commands import in_this_process
from tests.support.people import Member
from tests.support.system_admins import events, signed_in_admin
from tests.support.user_management import ADD


async def _told(app: App) -> list[dict[str, Any]]:
    return [detail for event, _, _, detail in await events(app) if event == "license_state_changed"]


def _is(state: str, *, back: bool = False) -> dict[str, Any]:
    return {"state": state, "clockSetBack": back}


async def test_the_grace_time_and_the_end_are_told_once_for_all_nodes(premise: App) -> None:
    async with on_premise(premise.services.settings.database) as other:

        async def both() -> list[dict[str, Any]]:
            other.clock.ms = premise.clock.ms
            for node in (premise, other, premise):
                await watch(node.services)
            return await _told(premise)

        assert await both() == []  # no license yet, as in a new installation
        await install(premise, key(premise, expires_at=premise.clock.ms // 1000 + 10 * DAY))
        assert await both() == []
        premise.clock.advance(11 * DAY)
        assert await both() == [{"license": "L-1", "before": _is("valid"), "after": _is("grace")}]
        premise.clock.advance(14 * DAY)
        assert (await both())[1:] == [{"license": "L-1", "before": _is("grace"), "after": _is("expired")}]
        premise.clock.advance(-DAY)
        assert (await both())[2:] == [{"license": "L-1", "before": _is("expired"), "after": _is("expired", back=True)}]
        premise.clock.advance(DAY)
        await install(premise, key(premise, id="L-2"))
        assert (await both())[3]["after"] in (_is("valid"), _is("expired"))
        assert (await _told(premise))[-1]["after"] == _is("valid")


async def test_a_seat_that_is_not_there(premise: App) -> None:
    """REST records it in the installation's trail, and GraphQL in the client's, both with the requester as actor."""
    await install(premise, key(premise))
    token = (await premise.sign_in("admin@acme.example", client="acme")).data["token"]
    admin = Member(premise.ids["admin@acme.example"], "admin@acme.example", token, "")
    okta = await connect(premise, client="acme", admin=admin)
    await fit(premise)
    root = await signed_in_admin(premise)
    assert failed(await okta.post_user("zoe@acme.example")) == (403, None)
    assert shown(await okta.post_user("zoe@acme.example", active=False), 201)["active"] is False
    for number in range(3):
        body = {"email": f"n{number}@acme.example", "roles": ["Viewer"]}
        assert (await root.post("/api/admin/clients/acme/users", body)).status == 409
        reply = await premise.post("/api/client/graphql", {"query": ADD, "variables": {"input": body}}, token=token)
        assert reply.json["errors"]
    [(_, actor, _, detail)] = [found for found in await events(premise) if found[0] == "seat_refused"]
    assert (actor, detail["route"]) == (f"admin:{root.id}", "/api/admin/clients/{client}/users")
    assert detail["why"].startswith("The license has no free seat")
    [refused] = [event for event in await trail(premise, "acme") if event.event == "scim_refused"]
    assert (refused.actor, refused.members["why"][:28]) == (f"scim:{okta.id}", "The license has no free seat")
    [event] = [event for event in await trail(premise, "acme") if event.event == "seat_refused"]
    assert event.actor == f"user:{premise.ids['admin@acme.example']}"
    assert event.members["route"] == "/api/client/graphql addUser"


async def test_a_seat_that_is_not_there_for_a_command(premise: App, monkeypatch: pytest.MonkeyPatch) -> None:
    await install(premise, key(premise))
    await fit(premise)
    monkeypatch.setattr(commands, "started", lambda **_: contextlib.nullcontext(premise.services))
    with pytest.raises(NoSeat):
        await in_this_process("user", "roles", "viewer@acme.example", "--client", "acme", "--role", "Author")
    [refused] = [one for one in await trail(premise, "acme") if one.event == "seat_refused"]
    assert refused.actor == "system"
