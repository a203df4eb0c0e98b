"""Rejected PINs, temporary PINs, and their stored form."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.accounts import trail
from tests.support.application import App
from tests.support.badges import OWN_PIN, PIN, WRONG, badge_client, fits
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.people import member
from tests.support.rows import rows
from tests.support.rules import rule

pytestmark = [pytest.mark.one_store, pytest.mark.settings(MANIFEST_RATE_LIMITS="off")]


@rule("BADGE-GUESSES")
@matrix(
    "pin",
    ["12345", "48291a", "٤٨٢٩١٥", "111111", "345678", "876543", "121212", "1231231", "240189", "19991231", "159753"],
)
async def test_guessable_pins_are_rejected(app: App, pin: str) -> None:
    factory = await badge_client(app)
    ada = await member(app, factory.client, "Operator")
    error = check_refusal(await app.post(OWN_PIN, {"pin": pin}, token=ada.token), 400, "VALIDATION_ERROR")
    assert [one["field"] for one in error["details"]] == ["pin"]


async def test_a_temporary_pin_is_replaced_by_its_first_use(app: App) -> None:
    factory = await badge_client(app, pinLength=8)
    ada = await member(app, factory.client, "Operator")
    badge, kiosk = (await factory.badge(ada.id, "temporary"))["badge"], await factory.device()
    pin = await factory.temporary(ada.id)
    assert len(pin) == 8
    for more in ({}, {"newPin": PIN}, {"newPin": "11111111"}, {"newPin": pin}):
        error = check_refusal(await kiosk.sign_in(badge, pin, **more), 400, "VALIDATION_ERROR")
        assert [one["field"] for one in error["details"]] == ["newPin"]
    assert (await kiosk.sign_in(badge, pin, newPin="48291507")).status == 200
    check_refusal(await kiosk.sign_in(badge, pin), 401, "INVALID_CREDENTIALS")
    check_refusal(await kiosk.sign_in(badge, "48291507", newPin="74820361"), 400, "VALIDATION_ERROR")
    assert (await kiosk.sign_in(badge, "48291507")).status == 200
    events = [one.event for one in await trail(app, factory.client) if one.event.startswith("badge")]
    assert events == ["badge_issued", "badge_pin_reset", "badge_pin_set"]


async def test_a_temporary_pin_lasts_72_hours_and_ends_what_was_open(app: App) -> None:
    factory = await badge_client(app)
    ada, kiosk = await factory.person(), await factory.device()
    token = (await kiosk.sign_in(ada.badge)).data["token"]
    pin = await factory.temporary(ada.id)
    assert (await app.me(token)).code == "INVALID_TOKEN"
    check_refusal(await kiosk.sign_in(ada.badge), 401, "INVALID_CREDENTIALS")
    app.clock.advance(72 * 3600)
    check_refusal(await kiosk.sign_in(ada.badge, pin, newPin=WRONG), 401, "INVALID_CREDENTIALS")


@rule("BADGE-SECRETS")
async def test_a_pin_that_its_user_sets_ends_what_was_open(app: App) -> None:
    factory = await badge_client(app)
    ada, kiosk = await factory.person(), await factory.device()
    at_kiosk = check_success(await kiosk.sign_in(ada.badge))["token"]
    token = (await app.sign_in(ada.email, client=factory.client)).data["token"]
    check_success(await app.post(OWN_PIN, {"pin": WRONG}, token=token))
    check_refusal(await app.me(at_kiosk), 401, "INVALID_TOKEN")
    assert (await app.me(token)).status == 200


async def test_equal_pins_have_different_hashes_and_need_the_secret_key(app: App) -> None:
    factory = await badge_client(app)
    await factory.person()
    await factory.person()

    stored = [pin for (pin,) in await rows(app, "badge_pins", "hash")]
    assert len(set(stored)) == len(stored) > 1
    for one in stored:  # without the key, the correct PIN doesn't match
        assert not await fits(app, one, PIN)


async def test_only_users_who_can_have_a_badge_can_have_a_pin(app: App) -> None:
    factory, off = await badge_client(app), await badge_client(app, enabled=False)
    author = await member(app, factory.client, "Author")
    check_refusal(await app.post(OWN_PIN, {"pin": PIN}, token=author.token), 409, "CONFLICT")
    operator = await member(app, off.client, "Operator")
    check_refusal(await app.post(OWN_PIN, {"pin": PIN}, token=operator.token), 409, "CONFLICT")
    app.clock.advance(11 * 60)
    check_refusal(await app.post(OWN_PIN, {"pin": PIN}, token=author.token), 403, "REAUTHENTICATION_REQUIRED")


@rule("BADGE-GUESSES")
async def test_the_tenth_incorrect_pin_in_a_row_blocks_the_pin_and_not_the_account(app: App) -> None:
    factory = await badge_client(app)
    ada, kiosk = await factory.person(), await factory.device()
    for _ in range(9):
        check_refusal(await kiosk.sign_in(ada.badge, WRONG), 401, "INVALID_CREDENTIALS")
    assert (await kiosk.sign_in(ada.badge)).status == 200  # the count starts again
    replies = await asyncio.gather(*(kiosk.sign_in(ada.badge, WRONG) for _ in range(12)))
    assert {reply.code for reply in replies} == {"INVALID_CREDENTIALS"}
    check_refusal(await kiosk.sign_in(ada.badge), 401, "INVALID_CREDENTIALS")
    assert (await app.sign_in(ada.email, client=factory.client)).status == 200
    pin = (await factory.do("GET", f"/users/{ada.id}/badges"))["pin"]
    assert pin["deadAt"] is not None
    temporary, badge = await factory.temporary(ada.id), await factory.badge(ada.id, "temporary")
    assert (await kiosk.sign_in(badge["badge"], temporary, newPin=PIN)).status == 200
    dead = [one.subject for one in await trail(app, factory.client) if one.event == "badge_pin_dead"]
    assert dead == [f"user:{ada.id}"]
