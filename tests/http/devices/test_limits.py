"""Limits for new requests by address, pending ones by app, wrong user codes by user and client, and pairing codes."""

from __future__ import annotations

import pytest

from tests.support.application import App, Reply
from tests.support.envelope import check_refusal, check_success
from tests.support.headsets import Wearer, wearer
from tests.support.people import member
from tests.support.rules import rule

pytestmark = [
    pytest.mark.one_store,
    pytest.mark.settings(MANIFEST_TRUSTED_PROXIES="192.0.2.1"),
    pytest.mark.usefixtures("another_day"),
]


def check_slow_down(reply: Reply, seconds: int = 600) -> None:
    assert (reply.status, reply.json["error"]) == (429, "slow_down")
    assert 0 < int(reply.headers["retry-after"]) <= seconds


@rule("DEVICE-GUESSES")
async def test_thirty_requests_in_ten_minutes_from_one_address(app: App) -> None:
    ada = await wearer(app, code=True)
    headset = ada.headset("2001:db8:7:1::1")
    for _ in range(30):
        await headset.ask()
    check_slow_down(await headset.post("/oauth2/device_authorization"))
    check_slow_down(await headset.post("/oauth2/pairing", pairing_code="x"))
    await ada.headset("2001:db8:7:2::1").ask()
    app.clock.advance(600)
    await headset.ask()


@rule("DEVICE-GUESSES")
async def test_strangers_who_fill_all_places_keep_no_one_out(app: App) -> None:
    """The oldest request from the network with the most pending requests is dropped, but no request from another
    network.
    network."""
    ada = await wearer(app, code=True)
    early, late = ada.headset("198.51.100.98"), ada.headset("198.51.100.99")
    waits = await early.ask()
    strangers = [ada.headset(f"198.51.100.{number}") for number in range(10, 17)]
    first = await strangers[0].ask()
    app.clock.advance(1)
    for number in range(1, 199):
        await strangers[number // 30].ask()
    asked = await late.ask()
    await ada.headset("198.51.100.97").scan((await ada.begin())["qr"])
    strangers[0].device_code = first["device_code"]
    assert (await strangers[0].poll()).json["error"] == "expired_token"
    for headset, code in ((early, waits), (late, asked)):
        check_success(await ada.by_code("lookup", code["user_code"]))
        assert (await headset.poll()).json["error"] == "authorization_pending"


@rule("DEVICE-GUESSES")
async def test_ten_wrong_pairing_codes_from_one_address(app: App) -> None:
    ada = await wearer(app)
    headset = ada.headset()
    pairing = await ada.begin()
    for _ in range(9):
        assert (await headset.post("/oauth2/pairing", pairing_code="x")).status == 400
    await headset.scan(pairing["qr"])
    assert (await headset.post("/oauth2/pairing", pairing_code="x")).status == 400
    check_slow_down(await headset.post("/oauth2/pairing", pairing_code="x"))


@rule("DEVICE-GUESSES")
async def test_five_wrong_user_codes_of_a_user(app: App) -> None:
    """In any session, since one user must not exhaust the client's limit."""
    ada = await wearer(app, code=True)
    asked = await ada.headset().ask()
    for _ in range(4):
        check_refusal(await ada.by_code("lookup", "BBBB-BBBB"), 404, "NOT_FOUND")
    check_success(await ada.by_code("lookup", asked["user_code"]))
    check_refusal(await ada.by_code("deny", "BBBB-BBBB"), 404, "NOT_FOUND")
    refused = await ada.by_code("lookup", asked["user_code"])
    check_refusal(refused, 429, "RATE_LIMITED")
    assert 590 < int(refused.headers["retry-after"]) <= 600
    again = (await app.sign_in(ada.who.email, client=ada.client)).data["token"]
    other_session = Wearer(app, ada.client, ada.who._replace(token=again))
    check_refusal(await other_session.by_code("lookup", asked["user_code"]), 429, "RATE_LIMITED")


@rule("DEVICE-GUESSES")
async def test_fifty_wrong_user_codes_in_a_client_pause_it(app: App) -> None:
    ada = await wearer(app, code=True)
    for number in range(10):
        who = Wearer(app, ada.client, await member(app, ada.client, "Operator", email=f"guess{number}@x.example"))
        for _ in range(5):
            check_refusal(await who.by_code("lookup", "BBBB-BBBB"), 404, "NOT_FOUND")
    check_refusal(await ada.by_code("lookup", "BBBB-BBBB"), 429, "RATE_LIMITED")
    elsewhere = await wearer(app, code=True)
    check_refusal(await elsewhere.by_code("lookup", "BBBB-BBBB"), 404, "NOT_FOUND")
