"""A person approves a headset on pages without scripts, by scanning or by the code that it shows."""

from __future__ import annotations

from typing import Any

import pytest

from tests.http.pages.account.account_pages import Person, person
from tests.support.accounts import new_client, trail
from tests.support.application import PASSWORD, App
from tests.support.headsets import Headset
from tests.support.visitor import Page

pytestmark = [pytest.mark.usefixtures("another_day"), pytest.mark.one_store]
PAIR, DEVICES = "/account/devices/pair", "/account/devices"
HERE = "192.0.2.1"


async def ada_of(app: App, *roles: str, **pairing: Any) -> tuple[Person, Headset]:
    client = await new_client(app, pairing=pairing)
    ada = await person(app, client, roles=list(roles or ("Operator",)))
    return ada, Headset(app, f"manifest.{client}", HERE)


async def press(ada: Person, page: Page, action: str, fields: dict[str, str] | None = None, **holds: str) -> Page:
    """Submit the form on the page that posts to ``action`` and has these values; returns the page that follows."""
    sent = await ada.visitor.post(action, {**page.form(action, **holds).fields, **(fields or {})})
    return await ada.visitor.follow(sent)


def typed(page: Page) -> str:
    return str(page.tree.xpath("string(//code[@class='typed'])"))


async def test_by_scanning(app: App) -> None:
    ada, headset = await ada_of(app)
    shown = await press(ada, await ada.visitor.get(PAIR), PAIR, act="begin")
    assert shown.status == 200
    assert shown.tree.xpath("//*[@class='qr-code']/*[local-name()='svg']")
    asked = await headset.scan(typed(shown), "Quest 3")
    look = await ada.visitor.get(shown.links()["The device shows a number"])
    assert "Quest 3" in look.text
    approved = await press(ada, look, PAIR, {"match": asked["match"]}, act="approve")
    assert "Device approved" in approved.text
    await headset.tokens()
    done = await ada.visitor.get(f"{PAIR}?pairing={look.form(PAIR, act='approve').fields['pairing']}")
    assert "Device signed in" in done.text
    listed = await ada.visitor.get(DEVICES)
    assert "Quest 3" in listed.text
    [session] = listed.tree.xpath("//input[@name='session']/@value")
    ended = await press(ada, listed, DEVICES, session=session)
    assert "Device signed out." in ended.text
    assert (await headset.poll()).json["error"] == "invalid_grant"


async def test_by_scanning_with_a_proof_that_is_too_old_by_then(app: App) -> None:
    ada, headset = await ada_of(app)
    app.clock.advance(595)
    shown = await press(ada, await ada.visitor.get(PAIR), PAIR, act="begin")
    asked = await headset.scan(typed(shown))
    look = await ada.visitor.get(shown.links()["The device shows a number"])
    app.clock.advance(5)
    question = await press(ada, look, PAIR, {"match": asked["match"]}, act="approve")
    approved = await press(ada, question, "/reauthenticate", {"currentPassword": PASSWORD})
    assert "Device approved" in approved.text


async def test_another_code_is_shown_by_a_button_and_the_first_is_void(app: App) -> None:
    ada, headset = await ada_of(app)
    first = await press(ada, await ada.visitor.get(PAIR), PAIR, act="begin")
    second = await press(ada, first, PAIR, act="renew")
    assert typed(first) != typed(second)
    refused = await headset.post("/oauth2/pairing", pairing_code=typed(first))
    assert refused.json["error"] == "invalid_grant"
    await headset.scan(typed(second))


async def test_a_wrong_number_is_told_and_the_device_is_rejected(app: App) -> None:
    ada, headset = await ada_of(app)
    shown = await press(ada, await ada.visitor.get(PAIR), PAIR, act="begin")
    asked = await headset.scan(typed(shown))
    look = await ada.visitor.get(shown.links()["The device shows a number"])
    wrong = "00" if asked["match"] != "00" else "01"
    refused = await press(ada, look, PAIR, {"match": wrong}, act="approve")
    assert refused.status == 409
    assert refused.problems == ["The number doesn't match, so the device was rejected. Start again."]
    assert "Device rejected" in refused.text


async def test_by_the_code_on_the_device_after_a_new_proof(app: App) -> None:
    ada, headset = await ada_of(app, code=True)
    asked = await headset.ask("Quest 3")
    app.clock.advance(540)
    asked = await headset.ask("Quest 3")
    app.clock.advance(120)
    page = await ada.visitor.get(f"/device?user_code={asked['user_code']}")
    assert asked["user_code"] in page.text
    confirm = await press(ada, page, "/device")
    assert confirm.heading == "Approve this device?"
    sent = await ada.visitor.post("/device/confirm", confirm.form("/device/confirm", act="approve").fields)
    question = await ada.visitor.get(sent.location)
    done = await press(ada, question, "/reauthenticate", {"currentPassword": PASSWORD})
    assert "Device approved." in done.text
    await headset.tokens()


async def test_an_unknown_code_is_rejected_in_place_and_refusing_a_device_is_told(app: App) -> None:
    ada, headset = await ada_of(app, code=True)
    page = await ada.visitor.get("/device")
    refused = await press(ada, page, "/device", {"user_code": "BBBB-BBBB"})
    assert (refused.status, refused.problems) == (400, ["No device shows this code"])
    asked = await headset.ask()
    confirm = await press(ada, page, "/device", {"user_code": asked["user_code"].lower()})
    done = await press(ada, confirm, "/device/confirm", act="deny")
    assert "Device rejected." in done.text
    assert (await trail(app, ada.client))[-1].event == "device_denied"


async def test_where_it_is_off_the_pages_lead_to_the_other_way(app: App) -> None:
    ada, _ = await ada_of(app)
    assert (await ada.visitor.get("/device")).links()["Show a code to scan"] == PAIR
    ben, _ = await ada_of(app, scan=False, code=True)
    assert (await ben.visitor.get(PAIR)).links()["Enter a code"] == "/device"
