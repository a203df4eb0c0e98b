"""A client's devices are enrolled with a single-use code, listed, and removed."""

from __future__ import annotations

import asyncio
import re

import pytest

from tests.support.accounts import act_on, settle, trail
from tests.support.application import App
from tests.support.badges import ENROL, badge_client
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.people import member, set_roles
from tests.support.rules import rule

pytestmark = pytest.mark.settings(MANIFEST_TRUSTED_PROXIES="192.0.2.1")


@rule("BADGE-SECRETS")
async def test_a_code_enrolls_one_device(app: App) -> None:
    factory = await badge_client(app)
    code = await factory.code("Kiosk 4", "Hall B")
    assert re.fullmatch(rf"MD1:{factory.client}:[A-Z2-7]{{26}}", code["code"])
    assert re.fullmatch("[BCDFGHJKLMNPQRSTVWXZ]{10}", code["typed"].replace("-", ""))
    assert [one["id"] for one in (await factory.do("GET", "/devices/enrolments"))["items"]] == [code["id"]]
    replies = await asyncio.gather(*(app.post(ENROL, {"code": code["code"].lower()}) for _ in range(5)))
    [made] = [reply.data for reply in replies if reply.status == 200]
    assert {reply.code for reply in replies if reply.status != 200} == {"INVALID_TOKEN"}
    [listed] = (await factory.do("GET", "/devices"))["items"]
    assert (listed["id"], listed["name"], listed["place"]) == (made["deviceId"], "Kiosk 4", "Hall B")
    assert (await factory.do("GET", "/devices?q=hall"))["items"] == [listed]
    assert made["deviceToken"] not in str(listed)
    assert (await factory.do("GET", "/devices/enrolments"))["items"] == []
    [event] = [one for one in await trail(app, factory.client) if one.event == "device_enrolled"]
    assert (event.subject, event.members["by"]) == (f"device:{made['deviceId']}", f"user:{factory.admin.id}")


@rule("BADGE-REACH")
@matrix("lost", ["account", "role"])
async def test_a_code_ends_with_its_creators_permission(app: App, lost: str) -> None:
    factory = await badge_client(app)
    maker = await member(app, factory.client, "User Admin")
    code = check_success(await factory.send("POST", "/devices/enrolments", {"name": "Kiosk"}, maker), 201)["code"]
    if lost == "account":
        await act_on(app, f"{factory.client}/users/{maker.id}/deactivate")
    else:
        await set_roles(app, factory.client, maker.id, "Operator")
    check_refusal(await app.post(ENROL, {"code": code}), 401, "INVALID_TOKEN")


@rule("BADGE-SECRETS")
async def test_letters_need_the_client(app: App) -> None:
    factory, stranger = await badge_client(app), await badge_client(app)
    typed = (await factory.code())["typed"]
    for headers in ({}, {"X-Client-ID": stranger.client}, {"X-Client-ID": "no-such"}):
        check_refusal(await app.post(ENROL, {"code": typed}, headers=headers), 401, "INVALID_TOKEN")
    as_typed = typed.lower().replace("-", " ")
    check_success(await app.post(ENROL, {"code": as_typed}, headers={"X-Client-ID": factory.client}))


@rule("BADGE-SECRETS")
async def test_it_works_for_ten_minutes(app: App) -> None:
    factory = await badge_client(app)
    late, dropped, off = await factory.code(), await factory.code(), await factory.code()
    await factory.do("DELETE", f"/devices/enrolments/{dropped['id']}")
    check_refusal(await factory.send("DELETE", f"/devices/enrolments/{dropped['id']}"), 404, "NOT_FOUND")
    await settle(app, factory.client, badge={"enabled": False})
    check_refusal(await app.post(ENROL, {"code": off["code"]}), 401, "INVALID_TOKEN")
    await settle(app, factory.client, badge={"enabled": True})
    app.clock.advance(600)
    for code in (late, dropped):
        check_refusal(await app.post(ENROL, {"code": code["code"]}), 401, "INVALID_TOKEN")


@rule("BADGE-SECRETS")
async def test_wrong_codes_are_counted_by_address(app: App) -> None:
    factory = await badge_client(app)
    app.clock.advance(600 - app.clock.ms // 1000 % 600)
    here = {"X-Forwarded-For": "198.51.100.7"}
    for _ in range(10):
        check_refusal(await app.post(ENROL, {"code": "BCDFGHJKLM"}, headers=here), 401, "INVALID_TOKEN")
    right = {"code": (await factory.code())["code"]}
    check_refusal(await app.post(ENROL, right, headers=here), 429, "RATE_LIMITED")
    check_success(await app.post(ENROL, right, headers={"X-Forwarded-For": "203.0.113.9"}))


async def test_only_managers_can_enroll_devices(app: App) -> None:
    factory, stranger = await badge_client(app), await badge_client(app)
    kiosk, viewer = await factory.device(), await member(app, factory.client, "Viewer")
    body = {"name": "Kiosk", "place": ""}
    for method, path, sent in (
        ("GET", "/devices", None), ("DELETE", f"/devices/{kiosk.id}", None), ("GET", "/devices/enrolments", None),
        ("POST", "/devices/enrolments", body), ("DELETE", "/devices/enrolments/x", None),
    ):  # fmt: skip
        check_refusal(await factory.send(method, path, sent, viewer), 403, "FORBIDDEN")
    check_refusal(await stranger.send("DELETE", f"/devices/{kiosk.id}"), 404, "NOT_FOUND")
    assert (await stranger.do("GET", "/devices"))["items"] == []
    twin = f"/api/admin/clients/{factory.client}/devices"
    listed = check_success(await app.get(twin, token=await app.admin_token()))
    assert [one["id"] for one in listed["items"]] == [kiosk.id]
    await settle(app, factory.client, stepUp="management")
    app.clock.advance(11 * 60)
    check_refusal(await factory.send("POST", "/devices/enrolments", body), 403, "REAUTHENTICATION_REQUIRED")
    await settle(app, factory.client, badge={"enabled": False})
    check_refusal(await app.post(f"{twin}/enrolments", body, token=await app.admin_token(fresh=True)), 409, "CONFLICT")


async def test_devices_of_a_suspended_client_are_rejected(app: App) -> None:
    factory = await badge_client(app)
    ada, kiosk, code = await factory.person(), await factory.device(), await factory.code()
    path = f"/api/admin/clients/{factory.client}/suspend"
    assert (await app.post(path, token=await app.admin_token())).status == 200
    check_refusal(await kiosk.sign_in(ada.badge), 401, "INVALID_TOKEN")
    check_refusal(await app.post(ENROL, {"code": code["code"]}), 401, "INVALID_TOKEN")
