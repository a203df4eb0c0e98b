"""Users who manage others can issue and revoke badges, within their rank."""

from __future__ import annotations

import re

from tests.support.accounts import act_on, trail
from tests.support.application import App
from tests.support.badges import OWN_PIN, PIN, badge_client
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.people import member, set_roles
from tests.support.rules import rule

HOUR = 3600


@rule("BADGE-SECRETS")
async def test_a_badge_names_the_client_and_no_one(app: App) -> None:
    factory = await badge_client(app)
    ada = await member(app, factory.client, "Operator")
    made = await factory.badge(ada.id)
    assert re.fullmatch(rf"MB1:{factory.client}:[A-Z2-7]{{26}}", made["badge"])
    assert made["qr"].startswith("<svg ")
    [listed] = (await factory.do("GET", f"/users/{ada.id}/badges"))["items"]
    assert made["badge"] not in str(listed)
    assert made["badge"] not in str(await trail(app, factory.client))


async def test_a_user_has_one_live_badge_of_each_kind(app: App) -> None:
    factory = await badge_client(app)
    ada, kiosk = await factory.person(), await factory.device()
    replaced = check_success(await kiosk.sign_in(ada.badge))["token"]
    second = await factory.badge(ada.id)
    assert (await app.me(replaced)).code == "INVALID_TOKEN"
    check_refusal(await kiosk.sign_in(ada.badge), 401, "INVALID_CREDENTIALS")
    kept = check_success(await kiosk.sign_in(second["badge"]))["token"]
    temporary = await factory.badge(ada.id, "temporary")
    assert (await app.me(kept)).status == 200
    token = check_success(await kiosk.sign_in(temporary["badge"]))["token"]
    await factory.do("DELETE", f"/users/{ada.id}/badges/{second['id']}")
    assert (await app.me(token)).code == "INVALID_TOKEN"  # even if another badge started the session
    check_refusal(await kiosk.sign_in(second["badge"]), 401, "INVALID_CREDENTIALS")
    check_refusal(await factory.send("DELETE", f"/users/{ada.id}/badges/{second['id']}"), 404, "NOT_FOUND")
    check_success(await kiosk.sign_in(temporary["badge"]))
    app.clock.advance(12 * HOUR)
    check_refusal(await kiosk.sign_in(temporary["badge"]), 401, "INVALID_CREDENTIALS")


async def test_rank(app: App) -> None:
    factory, stranger = await badge_client(app), await badge_client(app)
    manager = await member(app, factory.client, "User Admin")
    operator, author = await member(app, factory.client, "Operator"), await member(app, factory.client, "Author")
    boss, body = await member(app, factory.client, "Admin", "Operator"), {"kind": "standard"}
    for user_id, badge, pin in ((operator.id, 201, 201), (author.id, 409, 409), (boss.id, 403, 403)):
        path = f"/users/{user_id}"
        assert (await factory.send("POST", f"{path}/badges", body, manager)).status == badge
        assert (await factory.send("POST", f"{path}/badge-pin", None, manager)).status == pin
    assert (await factory.send("POST", f"/users/{boss.id}/badges", body)).status == 201
    for method, path in (
        ("GET", "badges"), ("POST", "badges"), ("DELETE", "badges/x"), ("POST", "badge-pin"),
    ):  # fmt: skip
        body_of = body if (method, path) == ("POST", "badges") else None
        check_refusal(await factory.send(method, f"/users/{operator.id}/{path}", body_of, operator), 403, "FORBIDDEN")
        check_refusal(await stranger.send(method, f"/users/{operator.id}/{path}", body_of), 404, "NOT_FOUND")


async def test_a_temporary_pin_requires_reauthentication(app: App) -> None:
    factory = await badge_client(app)
    ada = await member(app, factory.client, "Operator")
    app.clock.advance(11 * 60)
    check_refusal(await factory.send("POST", f"/users/{ada.id}/badge-pin"), 403, "REAUTHENTICATION_REQUIRED")
    await factory.badge(ada.id)


async def test_a_badge_that_was_planted_does_not_open_an_admins_account(app: App) -> None:
    """Someone who issues a badge and a temporary PIN can know both."""
    factory = await badge_client(app)
    ada, kiosk = await factory.person(), await factory.device()
    check_success(await kiosk.sign_in(ada.badge))
    await set_roles(app, factory.client, ada.id, "Admin", "Operator")
    check_refusal(await kiosk.sign_in(ada.badge), 401, "INVALID_CREDENTIALS")
    assert (await factory.do("GET", f"/users/{ada.id}/badges"))["items"] == []
    [gained] = [event for event in await trail(app, factory.client) if event.event == "admin_gained"]
    assert gained.members["void"]["badges"] == 1
    again = (await factory.badge(ada.id))["badge"]
    check_refusal(await kiosk.sign_in(again), 401, "INVALID_CREDENTIALS")  # the PIN no longer exists either


@rule("BADGE-OWNER")
async def test_an_issuer_of_badge_and_pin_gets_no_lasting_access(app: App) -> None:
    """A manager who has a device issues the badge and the PIN, signs in, and replaces the PIN."""
    factory = await badge_client(app)
    ada, kiosk = await member(app, factory.client, "Operator"), await factory.device()
    badge, pin = (await factory.badge(ada.id))["badge"], await factory.temporary(ada.id)
    check_refusal(await kiosk.sign_in(badge, pin, newPin=PIN), 403, "FORBIDDEN")
    spare = (await factory.badge(ada.id, "temporary"))["badge"]
    check_success(await kiosk.sign_in(spare, pin, newPin=PIN))
    check_success(await kiosk.sign_in(spare, PIN))
    check_refusal(await kiosk.sign_in(badge, PIN), 403, "FORBIDDEN")
    app.clock.advance(72 * HOUR)
    await factory.renew()
    spare = (await factory.badge(ada.id, "temporary"))["badge"]
    check_refusal(await kiosk.sign_in(spare, PIN), 401, "INVALID_CREDENTIALS")
    mine = (await app.sign_in(ada.email, client=factory.client)).data["token"]
    check_success(await app.post(OWN_PIN, {"pin": PIN}, token=mine))
    for one in (badge, spare):
        check_success(await kiosk.sign_in(one, PIN))


@rule("BADGE-OWNER")
@matrix("gave", ["badge", "pin"])
@matrix("lost", ["account", "role", "rank"])
async def test_temporary_badges_and_pins_end_with_the_issuers_permission(app: App, gave: str, lost: str) -> None:
    """This includes a PIN that replaced the temporary one at the device, because its issuer might have replaced it."""
    factory = await badge_client(app)
    kiosk, boss = await factory.device(), await member(app, factory.client, "Admin" if lost == "rank" else "User Admin")
    ada = await member(app, factory.client, "Operator", *(("Admin",) if lost == "rank" else ()))
    by = {"badge": factory.admin, "pin": factory.admin, gave: boss}
    made = await factory.send("POST", f"/users/{ada.id}/badges", {"kind": "temporary"}, by["badge"])
    badge = check_success(made, 201)["badge"]
    pin = check_success(await factory.send("POST", f"/users/{ada.id}/badge-pin", who=by["pin"]), 201)["pin"]
    check_success(await kiosk.sign_in(badge, pin, newPin=PIN))
    check_success(await kiosk.sign_in(badge))
    if lost == "account":
        await act_on(app, f"{factory.client}/users/{boss.id}/deactivate")
    else:
        await set_roles(app, factory.client, boss.id, "User Admin" if lost == "rank" else "Operator")
    check_refusal(await kiosk.sign_in(badge), 401, "INVALID_CREDENTIALS")


async def test_a_scanner_can_end_with_enter(app: App) -> None:
    factory = await badge_client(app)
    ada, kiosk = await factory.person(), await factory.device()
    check_success(await kiosk.sign_in(f" {ada.badge}\r\n"))
