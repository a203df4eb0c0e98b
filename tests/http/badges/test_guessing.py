"""Guessing a PIN with a copied badge: waits, an invalid PIN after ten failures in a row, and a limit per device."""

from __future__ import annotations

import pytest

from tests.support.accounts import hashes_counted, trail
from tests.support.application import App
from tests.support.badges import PIN, WRONG, badge_client
from tests.support.envelope import check_refusal, check_success
from tests.support.rules import rule

pytestmark = pytest.mark.one_store

MINUTE, HOUR = 60, 3600


@rule("BADGE-GUESSES")
async def test_only_ten_of_1000_guesses_are_checked(app: App) -> None:
    """Whether or not the attacker waits out every pause."""
    factory = await badge_client(app)
    ada = await factory.person()
    devices = [await factory.device(f"Kiosk {number}") for number in range(20)]  # each has a separate limit
    codes: dict[str, int] = {}
    with hashes_counted() as hashes:
        for guess in range(1000):
            if not guess % 20:
                app.clock.advance(16 * MINUTE)
            reply = await devices[guess % 20].sign_in(ada.badge, f"{500_000 + guess}")
            codes[reply.code] = codes.get(reply.code, 0) + 1
    assert codes == {"INVALID_CREDENTIALS": len(hashes), "RATE_LIMITED": 1000 - len(hashes)}
    recorded = [one for one in await trail(app, factory.client) if one.subject == f"user:{ada.id}"]
    events = [one.event for one in recorded if one.event in ("sign_in_failed", "badge_pin_dead")]
    assert events.index("badge_pin_dead") == 10
    assert events.count("badge_pin_dead") == 1
    app.clock.advance(HOUR)
    check_refusal(await devices[0].sign_in(ada.badge), 401, "INVALID_CREDENTIALS")


@rule("BADGE-GUESSES")
async def test_the_waiting_times_of_a_badge(app: App) -> None:
    factory = await badge_client(app)
    ada, kiosk, unknown = await factory.person(), await factory.device(), "MB1:x:" + "A" * 26
    for badge in (ada.badge, unknown):  # the same response, so that it reveals nothing about the badge
        for _ in range(3):
            check_refusal(await kiosk.sign_in(badge, WRONG), 401, "INVALID_CREDENTIALS")
        for minutes in (1, 5, 15, 15):
            reply = await kiosk.sign_in(badge, PIN)
            check_refusal(reply, 429, "RATE_LIMITED")
            assert reply.headers["retry-after"] == str(minutes * MINUTE)
            app.clock.advance(minutes * MINUTE)
            check_refusal(await kiosk.sign_in(badge, WRONG), 401, "INVALID_CREDENTIALS")
    app.clock.advance(15 * MINUTE)
    check_success(await kiosk.sign_in(ada.badge))
    check_refusal(await kiosk.sign_in(ada.badge, WRONG), 401, "INVALID_CREDENTIALS")


@rule("BADGE-GUESSES")
async def test_the_limit_of_a_device(app: App) -> None:
    factory = await badge_client(app)
    app.clock.advance(HOUR - app.clock.ms // 1000 % HOUR)
    ada, kiosk, other = await factory.person(), await factory.device(), await factory.device("Kiosk 5")
    for number in range(30):
        check_success(await kiosk.sign_in(ada.badge))  # correct entries don't count
        badge = f"MB1:x:{number:026}".replace("0", "A").replace("1", "B")
        check_refusal(await kiosk.sign_in(badge), 401, "INVALID_CREDENTIALS")
    check_refusal(await kiosk.sign_in(ada.badge), 429, "RATE_LIMITED")
    check_success(await other.sign_in(ada.badge))
    app.clock.advance(HOUR)
    check_success(await kiosk.sign_in(ada.badge))
