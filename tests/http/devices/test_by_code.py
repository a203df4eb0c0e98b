"""By code (RFC 8628): the device shows a code, and a person enters it, checks the device, and approves it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.accounts import act_on, settle, trail
from tests.support.application import App, running
from tests.support.envelope import check_refusal, check_success
from tests.support.headsets import DEVICE_CODE, ELSEWHERE, HERE, Headset, Wearer, wearer
from tests.support.matrix import matrix
from tests.support.oauth_callers import DESCRIPTION, form
from tests.support.people import set_roles
from tests.support.rules import rule
from tests.support.statements import counted_statements

pytestmark = [
    pytest.mark.still,
    pytest.mark.settings(MANIFEST_TRUSTED_PROXIES="192.0.2.1", MANIFEST_RATE_LIMITS="off"),
]


async def by_code(app: App, *roles: str, **pairing: Any) -> Wearer:
    return await wearer(app, *roles, code=True, **pairing)


async def approved(ada: Wearer, headset: Headset) -> None:
    asked = await headset.ask()
    check_success(await ada.by_code("approve", asked["user_code"]))


async def test_the_complete_flow(app: App) -> None:
    ada = await by_code(app, "Viewer", hours=8)
    headset = ada.headset()
    asked = await headset.ask("Quest 3")
    assert (asked["expires_in"], asked["interval"]) == (600, 5)
    assert asked["verification_uri"] == f"{app.public_url}/device"
    assert asked["verification_uri_complete"] == f"{app.public_url}/device?user_code={asked['user_code']}"
    assert await headset.polled() == "authorization_pending"
    typed = asked["user_code"].lower().replace("-", " ")
    device = check_success(await ada.by_code("lookup", typed))
    assert (device["name"], device["address"], device["sameNetwork"]) == ("Quest 3", HERE, True)
    check_success(await ada.by_code("approve", typed))
    check_refusal(await ada.by_code("lookup", typed), 404, "NOT_FOUND")
    tokens = await headset.tokens()
    me = check_success(await app.me(tokens["access_token"]))
    assert (me["roles"], tokens["scope"].split(" ")) == (["Viewer"], me["permissions"])
    renewed = (await headset.refresh(tokens["refresh_token"])).json
    assert renewed["scope"] == tokens["scope"]
    assert (await app.me(renewed["access_token"])).status == 200
    assert (await headset.revoke(renewed["refresh_token"])).status == 200
    assert (await app.me(renewed["access_token"])).code == "INVALID_TOKEN"
    assert (await headset.refresh(renewed["refresh_token"])).json["error"] == "invalid_grant"
    ended = [one for one in await trail(app, ada.client) if one.event == "signed_out"]
    assert [one.subject for one in ended] == [f"user:{ada.who.id}"]


async def test_the_metadata_describes_it(app: App) -> None:
    found = (await app.get(DESCRIPTION)).json
    assert found["device_authorization_endpoint"] == f"{app.public_url}/oauth2/device_authorization"
    assert found["pairing_endpoint"] == f"{app.public_url}/oauth2/pairing"
    assert {DEVICE_CODE, "refresh_token"} < set(found["grant_types_supported"])
    assert "none" in found["token_endpoint_auth_methods_supported"]
    assert "none" not in found["introspection_endpoint_auth_methods_supported"]


async def test_it_is_off_by_default(app: App) -> None:
    ada = await wearer(app)
    refused = await ada.headset().post("/oauth2/device_authorization")
    assert (refused.status, refused.json["error"]) == (400, "unauthorized_client")
    check_refusal(await ada.by_code("lookup", "WDJB-MJHT"), 409, "CONFLICT")


async def test_turning_it_off_prevents_approval(app: App) -> None:
    ada = await by_code(app)
    headset = ada.headset()
    asked = await headset.ask()
    await settle(app, ada.client, pairing={"code": False})
    check_refusal(await ada.by_code("approve", asked["user_code"]), 409, "CONFLICT")
    assert await headset.polled() == "authorization_pending"


@rule("DEVICE-APPROVAL")
@matrix("attack", ["another network", "an Admin alone", "a stale session", "another client"])
async def test_the_code_of_an_attacker_never_yields_a_token(app: App, attack: str) -> None:
    ada = await by_code(app, "Admin" if attack == "an Admin alone" else "Operator")
    headset = ada.headset(ELSEWHERE if attack == "another network" else HERE)
    asked, victim, status = await headset.ask(), ada, 403
    if attack == "a stale session":
        app.clock.advance(595)
        asked = await headset.ask()
        app.clock.advance(5)
    elif attack == "another client":
        victim, status = await by_code(app), 404
    assert (await victim.by_code("approve", asked["user_code"])).status == status
    assert await headset.polled() == "authorization_pending"


@rule("DEVICE-APPROVAL")
@matrix("is_on", [True, False])
async def test_another_clients_code_looks_nonexistent(app: App, is_on: bool) -> None:
    ada, eve = await by_code(app), await wearer(app, code=is_on)
    asked = await ada.headset().ask()
    for act in ("lookup", "approve", "deny"):
        seen = []
        for code in (asked["user_code"], "BBBB-BBBB"):
            with counted_statements() as statements:
                reply = await eve.by_code(act, code)
            seen.append((reply.status, reply.json["error"]["message"], len(statements)))
        assert seen[0] == seen[1]
        assert seen[0][0] == (404 if is_on else 409)


async def test_polling_too_early_slows_down_for_good_and_then_ends(app: App) -> None:
    headset = (await by_code(app)).headset()
    await headset.ask()
    assert await headset.polled(0) == "authorization_pending"
    assert await headset.polled(4.5) == "authorization_pending"
    assert await headset.polled(4.4) == "slow_down"
    assert await headset.polled(9.4) == "slow_down"
    assert await headset.polled(14.5) == "authorization_pending"
    found = [await headset.polled(1) for _ in range(10)]
    assert found == ["slow_down"] * 8 + ["expired_token"] * 2


async def test_a_code_expires_after_ten_minutes_for_both_sides(app: App) -> None:
    ada = await by_code(app)
    headset = ada.headset()
    asked = await headset.ask()
    app.clock.advance(600)
    assert await headset.polled(0) == "expired_token"
    again = Wearer(app, ada.client, ada.who._replace(token=(await app.sign_in(ada.who.email)).data["token"]))
    check_refusal(await again.by_code("approve", asked["user_code"]), 404, "NOT_FOUND")


async def test_an_approval_expires_if_the_device_is_too_late(app: App) -> None:
    ada = await by_code(app)
    headset = ada.headset()
    check_success(await ada.by_code("approve", (await headset.ask())["user_code"]))
    assert await headset.polled(600) == "expired_token"


async def test_denied_it_stays_denied(app: App) -> None:
    ada = await by_code(app)
    headset = ada.headset()
    asked = await headset.ask()
    check_success(await ada.by_code("deny", asked["user_code"]))
    check_refusal(await ada.by_code("approve", asked["user_code"]), 404, "NOT_FOUND")
    assert await headset.polled() == "access_denied"


@rule("DEVICE-CODES")
async def test_a_lost_response_is_repeated_for_ten_seconds_and_then_the_session_ends(app: App) -> None:
    ada = await by_code(app)
    headset = ada.headset()
    await approved(ada, headset)
    first = await headset.tokens()
    app.clock.advance(10)
    second = await headset.tokens()
    sessions = {(await app.me(one["access_token"])).data["session"]["id"] for one in (first, second)}
    assert len(sessions) == 1
    assert (await headset.refresh(second["refresh_token"])).status == 200
    assert await headset.polled(0.1) == "invalid_grant"
    assert (await app.me(first["access_token"])).code == "INVALID_TOKEN"
    assert (await trail(app, ada.client))[-1].event == "device_code_reused"


@rule("DEVICE-CODES")
async def test_fifty_concurrent_polls_on_two_nodes_get_one_session(app: App, database_url: str) -> None:
    ada = await by_code(app)
    headset = ada.headset()
    await approved(ada, headset)
    fields = {"grant_type": DEVICE_CODE, "client_id": headset.client_id, "device_code": headset.device_code}
    async with running(database_url, MANIFEST_TRUSTED_PROXIES="192.0.2.1") as other:
        other.goes_by_the_clock_of(app)
        polls = (form(node, "/oauth2/token", fields) for node in (app, other) for _ in range(25))
        replies = await asyncio.gather(*polls)
    assert {reply.status for reply in replies} == {200}
    found = [(await app.me(reply.json["access_token"])).data["session"]["id"] for reply in replies]
    assert len(set(found)) == 1
    opened = [one for one in await trail(app, ada.client) if '"method":"device"' in one.detail]
    assert len(opened) == 1


@rule("DEVICE-CODES")
@matrix("meanwhile", ["deactivated", "signed out everywhere", "demoted"])
async def test_what_happens_between_approval_and_the_next_poll_counts(app: App, meanwhile: str) -> None:
    ada = await by_code(app)
    headset = ada.headset()
    await approved(ada, headset)
    if meanwhile == "deactivated":
        await act_on(app, f"clients/{ada.client}/users/{ada.who.id}/deactivate".removeprefix("clients/"))
    elif meanwhile == "demoted":
        await set_roles(app, ada.client, ada.who.id, "Author")
    else:
        check_success(await app.post("/api/client/auth/sign-out-all", token=ada.who.token))
    assert [await headset.polled(0), await headset.polled(0)] == ["access_denied"] * 2


@matrix(
    ("fields", "status", "error"),
    [
        ({"client_id": "manifest.nobody"}, 401, "invalid_client"),
        ({"client_id": "app_aaaaaaaaaaaaaaaa"}, 401, "invalid_client"),
        ({"client_secret": "x"}, 401, "invalid_client"),
        ({"device_name": "<b>Quest</b>"}, 400, "invalid_request"),
        ({"device_name": "x" * 41}, 400, "invalid_request"),
    ],
)
async def test_invalid_device_requests(app: App, fields: dict[str, str], status: int, error: str) -> None:
    headset = (await by_code(app)).headset()
    refused = await headset.post("/oauth2/device_authorization", **fields)
    assert (refused.status, refused.json["error"]) == (status, error)
    assert set(refused.json) == {"error", "error_description", "request_id"}


@rule("DEVICE-CODES")
async def test_another_app_gets_nothing_with_a_code_or_a_token_that_it_found(app: App) -> None:
    ada, eve = await by_code(app), await by_code(app)
    headset = ada.headset()
    await approved(ada, headset)
    thief = Headset(app, f"manifest.{eve.client}", device_code=headset.device_code)
    path, root = f"/api/admin/clients/{ada.client}/apps", await app.admin_token()
    made = check_success(await app.post(path, {"name": "Another", "kind": "device"}, token=root), 201)
    others = (thief, Headset(app, made["id"], device_code=headset.device_code))
    for other in others:
        assert await other.polled(0) == "invalid_grant"
    tokens = await headset.tokens()
    for other in others:
        assert (await other.refresh(tokens["refresh_token"])).json["error"] == "invalid_grant"
        assert (await other.revoke(tokens["access_token"])).status == 200
        assert (await app.me(tokens["access_token"])).status == 200
    browser = (await app.sign_in(ada.who.email, client=ada.client)).data["refreshToken"]
    assert (await headset.refresh(browser)).json["error"] == "invalid_grant"
    assert (await headset.revoke(browser)).status == 200
    assert (await app.refresh(browser)).status == 200
