"""Badges and shared devices in the console: a secret is shown once, and revoked ones stop working."""

from __future__ import annotations

from tests.support.application import App
from tests.support.badges import ENROL, BadgeClient, badge_client
from tests.support.envelope import check_refusal, check_success
from tests.support.visitor import Page, Visitor

DEVICES = "/console/devices"


async def at_console(app: App) -> tuple[BadgeClient, Visitor]:
    """A client with badges, and its Admin in a browser."""
    factory = await badge_client(app)
    return factory, await Visitor(app).signed_in(factory.admin.email)


def copied(page: Page, name: str) -> list[str]:
    """The text that the page offers to copy, if any."""
    return [" ".join(one.text_content().split()) for one in page.tree.xpath(f"//*[@id='{name}']")]


async def test_a_new_badge_is_shown_once_and_ends_the_one_before(app: App) -> None:
    factory, visitor = await at_console(app)
    ada, kiosk = await factory.person(), await factory.device()
    path = f"/console/users/{ada.id}/badge"
    page = await visitor.submit(await visitor.get(path), path, {"act": "standard"})
    assert page.tree.xpath("//main//*[local-name()='svg']")
    assert not (await visitor.get(path)).tree.xpath("//main//*[local-name()='svg']")
    check_refusal(await kiosk.sign_in(ada.badge), 401, "INVALID_CREDENTIALS")
    [badge] = (await factory.do("GET", f"/users/{ada.id}/badges"))["items"]
    assert badge["id"] != ada.badge_id


async def test_an_ended_badge_opens_nothing(app: App) -> None:
    factory, visitor = await at_console(app)
    ada, bob, kiosk = await factory.person(), await factory.person(), await factory.device()
    path = f"/console/users/{ada.id}/badge"
    page = await visitor.get(path)
    assert (await visitor.submit(page, path, {"act": "end"}, id=bob.badge_id)).status == 303
    page = await visitor.get(path)
    for _ in range(2):  # the button can be clicked twice
        assert (await visitor.submit(page, path, {"act": "end"})).status == 303
    check_refusal(await kiosk.sign_in(ada.badge), 401, "INVALID_CREDENTIALS")
    check_success(await kiosk.sign_in(bob.badge))  # another user's badge


async def test_a_temporary_pin_is_shown_once_and_replaces_the_pin(app: App) -> None:
    factory, visitor = await at_console(app)
    ada, kiosk = await factory.person(), await factory.device()
    path = f"/console/users/{ada.id}/badge"
    [pin] = copied(await visitor.submit(await visitor.get(path), path, {"act": "pin"}), "pin-once")
    assert copied(await visitor.get(path), "pin-once") == []
    check_refusal(await kiosk.sign_in(ada.badge), 401, "INVALID_CREDENTIALS")
    temporary = await factory.badge(ada.id, "temporary")
    check_success(await kiosk.sign_in(temporary["badge"], pin, newPin="593026"))


async def test_a_device_is_enrolled_with_a_code_that_is_shown_once_and_is_removed(app: App) -> None:
    factory, visitor = await at_console(app)
    page = await visitor.submit(await visitor.get(DEVICES), DEVICES, {"act": "enrol"}, name="Kiosk 9", place="Hall B")
    [letters] = copied(page, "letters")
    assert copied(await visitor.get(DEVICES), "letters") == []
    headers = {"X-Client-ID": factory.client}
    check_success(await app.post(ENROL, {"code": letters}, headers=headers))
    check_refusal(await app.post(ENROL, {"code": letters}, headers=headers), 401, "INVALID_TOKEN")
    ada, kiosk = await factory.person(), await factory.device("Kiosk 10")
    page = await visitor.get(DEVICES)
    assert (await visitor.submit(page, DEVICES, {"act": "remove", "id": kiosk.id})).status == 303
    check_refusal(await kiosk.sign_in(ada.badge), 401, "INVALID_TOKEN")
    assert [one["name"] for one in (await factory.do("GET", "/devices"))["items"]] == ["Kiosk 9"]


async def test_a_revoked_code_enrolls_no_device(app: App) -> None:
    factory, visitor = await at_console(app)
    kept, revoked = await factory.code("Kiosk 1"), await factory.code("Kiosk 2")
    page = await visitor.get(DEVICES)
    assert (await visitor.submit(page, DEVICES, {"act": "drop", "id": revoked["id"]})).status == 303
    check_refusal(await app.post(ENROL, {"code": revoked["code"]}), 401, "INVALID_TOKEN")
    check_success(await app.post(ENROL, {"code": kept["code"]}))
