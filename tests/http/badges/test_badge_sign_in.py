"""Sign-in with badge and PIN: what it grants and never grants, and how it ends."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.accounts import hashes_counted, settle, trail
from tests.support.application import PASSWORD, App
from tests.support.badges import AUTH, PIN, WRONG, badge_client
from tests.support.envelope import check_refusal, check_success
from tests.support.people import set_roles
from tests.support.rules import rule

pytestmark = [pytest.mark.one_store, pytest.mark.settings(MANIFEST_RATE_LIMITS="off")]
HOUR = 3600


@rule("BADGE-REACH")
async def test_the_response_of_a_badge_sign_in(app: App) -> None:
    factory = await badge_client(app)
    ada, kiosk = await factory.person("Operator", "Viewer", "Author"), await factory.device()
    await settle(app, factory.client, secondFactor={"policy": "required", "graceDays": 0})
    reply = await kiosk.sign_in(ada.badge)
    data = check_success(reply)
    assert data["user"]["roles"] == ["Operator", "Viewer"]
    assert "secondFactorDue" not in data
    for me in (
        await app.me(data["token"]),
        await app.get("/api/client/auth/me", cookie=reply.cookie("session")),
    ):
        found = check_success(me)
        assert found["roles"] == ["Operator", "Viewer"]
        assert found["session"]["method"] == "badge"
        assert found["session"]["amr"] == ["badge", "pin"]
        assert found["session"]["authenticatedAt"] is None
    await set_roles(app, factory.client, ada.id, "Admin", "Operator")
    assert (await app.me(data["token"])).status == 401  # like every session of a new Admin
    badge, pin = (
        (await factory.badge(ada.id, "temporary"))["badge"],
        await factory.temporary(ada.id),
    )  # the old ones ended
    again = check_success(await kiosk.sign_in(badge, pin, newPin="482917"))
    promoted = check_success(await app.me(again["token"]))
    assert promoted["roles"] == ["Operator"]
    assert "users:manage" not in promoted["permissions"]
    signed_in = [one for one in await trail(app, factory.client) if one.event == "signed_in"][-1]
    assert signed_in.members["method"] == "badge"
    assert signed_in.members["device"] == kiosk.id


@rule("BADGE-REACH")
async def test_it_cannot_be_used_for_sensitive_actions(app: App) -> None:
    factory = await badge_client(app)
    ada, kiosk = await factory.person(), await factory.device()
    token = (await kiosk.sign_in(ada.badge)).data["token"]
    check_refusal(
        await app.post("/api/client/auth/reauthenticate", {"password": PASSWORD}, token=token), 409, "CONFLICT"
    )
    check_refusal(await app.post("/api/client/auth/badge-pin", {"pin": "590734"}, token=token), 403, "FORBIDDEN")
    check_refusal(await app.post("/api/client/auth/second-factors/totp", token=token), 403, "FORBIDDEN")


@rule("BADGE-END")
async def test_the_shift_ends_regardless_of_refreshes(app: App) -> None:
    factory = await badge_client(app, hours=2, idleMinutes=60)
    ada, kiosk = await factory.person(), await factory.device()
    data = (await kiosk.sign_in(ada.badge)).data
    for _ in range(3):
        app.clock.advance(HOUR / 2)
        data = {**data, **(await app.refresh(data["refreshToken"])).data}
    app.clock.advance(HOUR / 2 - 1)
    assert (await app.me(data["token"])).status == 200
    app.clock.advance(1)
    assert (await app.me(data["token"])).status == 401
    assert (await app.refresh(data["refreshToken"])).status == 401


@rule("BADGE-END")
async def test_without_use_it_ends_under_all_keys(app: App) -> None:
    factory = await badge_client(app, idleMinutes=5)
    ada, kiosk = await factory.person(), await factory.device()
    reply = await kiosk.sign_in(ada.badge)
    data, cookie = reply.data, reply.cookie("session")
    for key in ("token", "cookie", "refresh"):  # each use is recorded
        app.clock.advance(4 * 60 + 50)
        if key == "token":
            assert (await app.me(data["token"])).status == 200
        elif key == "cookie":
            assert (await app.get("/api/client/auth/me", cookie=cookie)).status == 200
        else:
            data = {**data, **(await app.refresh(data["refreshToken"])).data}
    app.clock.advance(5 * 60)
    assert (await app.me(data["token"])).status == 401
    assert (await app.get("/api/client/auth/me", cookie=cookie)).status == 401
    assert (await app.refresh(data["refreshToken"])).status == 401


@rule("BADGE-END")
async def test_the_next_sign_in_on_the_device_ends_it(app: App) -> None:
    factory = await badge_client(app)
    ada, bob, kiosk = await factory.person(), await factory.person("Viewer"), await factory.device()
    other = await factory.device("Kiosk 5")
    first = (await kiosk.sign_in(ada.badge)).data["token"]
    elsewhere = (await other.sign_in(ada.badge)).data["token"]
    assert (await kiosk.sign_in(bob.badge)).status == 200
    assert (await app.me(first)).code == "INVALID_TOKEN"
    assert (await app.me(elsewhere)).status == 200


@rule("BADGE-END")
async def test_removing_a_device_ends_its_session_immediately(app: App) -> None:
    factory = await badge_client(app)
    ada, kiosk = await factory.person(), await factory.device()
    token = (await kiosk.sign_in(ada.badge)).data["token"]
    await factory.do("DELETE", f"/devices/{kiosk.id}")
    assert (await app.me(token)).code == "INVALID_TOKEN"
    check_refusal(await kiosk.sign_in(ada.badge), 401, "INVALID_TOKEN")
    check_refusal(await factory.send("DELETE", f"/devices/{kiosk.id}"), 404, "NOT_FOUND")
    removed = [one for one in await trail(app, factory.client) if one.event == "device_removed"]
    assert [one.members["sessions_ended"] for one in removed] == [1]


@rule("BADGE-REACH")
async def test_an_unused_device_is_forgotten(app: App) -> None:
    factory = await badge_client(app)
    ada, kiosk = await factory.person(), await factory.device()
    app.clock.advance(89 * 24 * HOUR)
    assert (await kiosk.sign_in(ada.badge)).status == 200
    app.clock.advance(90 * 24 * HOUR)
    check_refusal(await kiosk.sign_in(ada.badge), 401, "INVALID_TOKEN")


@rule("BADGE-REACH")
async def test_every_failure_has_the_same_response_and_one_hash(app: App) -> None:
    factory, stranger = await badge_client(app), await badge_client(app)
    ada, kiosk, alien = await factory.person(), await factory.device(), await stranger.device()
    cut = await factory.person()
    await set_roles(app, factory.client, cut.id, "Author")
    no_pin = await factory.badge((await factory.person()).id, "temporary")
    tries: dict[str, tuple[Any, str, str]] = {
        "wrong PIN": (kiosk, ada.badge, WRONG),
        "no badge": (kiosk, "MB1:x:y", PIN),
        "unknown badge": (kiosk, ada.badge[:-4] + "AAAA", PIN),
        "another client's device": (alien, ada.badge, PIN),
        "no role for it": (kiosk, cut.badge, PIN),
        "the badge as PIN": (kiosk, no_pin["badge"], no_pin["badge"][:60]),
    }
    bodies = set()
    for name, (device, badge, pin) in tries.items():
        with hashes_counted() as hashes:
            error = check_refusal(await device.sign_in(badge, pin), 401, "INVALID_CREDENTIALS")
        assert len(hashes) == 1, name
        bodies.add(error["message"])
    assert bodies == {"Invalid badge or PIN"}
    check_refusal(await app.post(AUTH, {"deviceToken": "x" * 43, "badge": ada.badge, "pin": PIN}), 401, "INVALID_TOKEN")
    await settle(app, factory.client, badge={"enabled": False})
    check_refusal(await kiosk.sign_in(ada.badge), 401, "INVALID_CREDENTIALS")


@rule("BADGE-REACH")
async def test_badge_and_pin_do_not_work_as_a_password(app: App) -> None:
    factory = await badge_client(app)
    ada = await factory.person()
    for typed in (PIN, ada.badge):
        check_refusal(await app.sign_in(ada.email, typed, factory.client), 401, "INVALID_CREDENTIALS")


async def test_a_deactivated_user_cannot_sign_in(app: App) -> None:
    factory = await badge_client(app)
    ada, kiosk = await factory.person(), await factory.device()
    token = (await kiosk.sign_in(ada.badge)).data["token"]
    path = f"/api/admin/clients/{factory.client}/users/{ada.id}/deactivate"
    assert (await app.post(path, token=await app.admin_token())).status == 200
    assert (await app.me(token)).status == 401
    check_refusal(await kiosk.sign_in(ada.badge, WRONG), 401, "INVALID_CREDENTIALS")
    check_refusal(await kiosk.sign_in(ada.badge), 403, "ACCOUNT_DISABLED")
