"""A domain stays verified as long as its DNS record exists."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.accounts import new_client, new_user
from tests.support.application import App
from tests.support.background_jobs import check_domains, days_later, drop_old_domains
from tests.support.domain_claims import Claimed, after_each_look, claimed, offered, proved
from tests.support.name_servers import NameServer, txt
from tests.support.people import oidc_provider, session_of
from tests.support.rules import rule

DAY = 86400
pytestmark = [pytest.mark.usefixtures("no_own_checks", "asked"), pytest.mark.one_store]


async def test_the_record_is_checked_once_a_day(app: App, zone: NameServer) -> None:
    claim = await proved(app, zone)
    first = (await claim.shown())["checkedAt"]
    await days_later(app, 21.9 / 24)
    assert (await claim.shown())["checkedAt"] == first
    await days_later(app, 4.2 / 24)
    found = await claim.shown()
    assert found["checkedAt"] > first
    assert (found["state"], found["failingSince"]) == ("proved", None)
    await check_domains(app)
    assert (await claim.shown())["checkedAt"] == found["checkedAt"]
    assert await claim.events() == ["domain_claimed", "domain_proved"]


async def test_only_one_of_two_processes_checks(app: App, zone: NameServer) -> None:
    zone.publish()
    for _ in range(2):
        await days_later(app, 40)  # domains of other tests lapse
    claim = await proved(app, zone)
    app.clock.advance(1.2 * DAY)
    looks = await asyncio.gather(*(check_domains(app) for _ in range(5)))
    assert sum(looks) == 1
    assert await claim.state() == "proved"


async def test_a_missing_record_is_reported_and_lapses_after_two_weeks(app: App, zone: NameServer) -> None:
    claim = await proved(app, zone)
    zone.publish()
    await days_later(app, 1.1)
    found = await claim.shown()
    assert (found["state"], found["proof"]) == ("failing", "dns")
    assert found["lapsesAt"] is not None
    for _ in range(13):
        await days_later(app, 1)
        assert await claim.state() == "failing"
    await days_later(app, 1.1)
    found = await claim.shown()
    assert (found["state"], found["proof"], found["lapsesAt"]) == ("lapsed", None, None)
    assert await claim.events() == ["domain_claimed", "domain_proved", "domain_failing", "domain_lapsed"]
    zone.publish(txt(claim.name, await claim.value()))
    assert (await claim.check())["state"] == "proved"


async def test_it_lapses_at_the_announced_time(app: App, zone: NameServer) -> None:
    """Notices and the lapse don't wait for a daily check."""
    claim = await proved(app, zone)
    zone.publish()
    await days_later(app, 1.1)
    began = app.clock.ms
    assert (await claim.shown())["failingSince"] is not None
    for day in (1, 7, 14):
        app.clock.ms = began + day * DAY * 1000 - 1
        await check_domains(app)
        before = (await claim.shown())["checkedAt"]
        app.clock.ms += 1
        await check_domains(app)
        found = await claim.shown()
        assert found["checkedAt"] > before
        assert found["state"] == ("lapsed" if day == 14 else "failing")


async def test_a_restored_record_resets_the_claim(app: App, zone: NameServer) -> None:
    claim = await proved(app, zone)
    zone.publish()
    await days_later(app, 1.1)
    await days_later(app, 12)
    assert await claim.state() == "failing"
    zone.publish(txt(claim.name, await claim.value()))
    await days_later(app, 1.1)
    found = await claim.shown()
    assert (found["state"], found["failingSince"]) == ("proved", None)
    zone.publish()
    for days in (1.1, 13):
        await days_later(app, days)
        assert await claim.state() == "failing"  # the two weeks start again


@rule("EMAIL-LINKS")
async def test_after_a_lapse_linked_users_can_sign_in_and_new_ones_cannot(app: App, zone: NameServer) -> None:
    client = await new_client(app)
    async with oidc_provider(app, client, domains=[f"{client}.example"], vouch=False) as company:
        claim = Claimed(app, client, f"{client}.example")
        zone.publish(txt(claim.name, await claim.value()))
        assert (await claim.check())["state"] == "proved"
        (linked, address), (_, other) = [await new_user(app, client) for _ in range(2)]
        assert (await session_of(await company.sign_in("ada", address)))["user"]["id"] == linked
        assert await offered(app, address) == client
        zone.publish()
        await days_later(app, 1.1)
        assert await claim.state() == "failing"
        assert await offered(app, address) == client  # it's valid the whole time
        await days_later(app, 15)
        assert await claim.state() == "lapsed"
        assert await offered(app, address) is None
        assert (await session_of(await company.sign_in("ada", address)))["user"]["id"] == linked
        assert "the domain is not verified" in await company.refused("bob", other)


async def test_an_approval_during_a_check_stays(app: App, zone: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    claim = await claimed(app)
    zone.publish()

    async def vouch() -> None:
        await claim.send("POST", "/vouch", {"reason": "known to us for years"})

    after_each_look(monkeypatch, app, vouch)
    await claim.check()
    shown = await claim.shown()
    assert (shown["state"], shown["proof"]) == ("proved", "vouched")


async def test_an_approved_domain_has_no_expiry_and_no_checks(app: App, zone: NameServer) -> None:
    claim = await claimed(app)
    assert (await claim.send("POST", "/vouch", {"reason": "known to us for years"})).status == 200
    zone.publish()
    for days in (1.1, 20, 400):
        await days_later(app, days)
        found = await claim.shown()
        assert (found["state"], found["proof"], found["checkedAt"]) == ("proved", "vouched", None)
    assert (await claim.check())["state"] == "proved"
    other = await claimed(app, domain=claim.domain)
    zone.publish(txt(other.name, await other.value()))
    assert (await other.check())["state"] == "pending"
    assert (await claim.send("DELETE")).status == 200
    assert (await other.check())["state"] == "proved"


async def test_unverified_claims_are_removed_after_a_month(app: App, zone: NameServer) -> None:
    client = await new_client(app)
    forgotten, kept = await claimed(app, client), await proved(app, zone, client, f"kept.{client}.example")
    async with oidc_provider(app, client, domains=[f"named.{client}.example"], vouch=False):
        named = Claimed(app, client, f"named.{client}.example")
        zone.publish(txt(kept.name, await kept.value()))
        app.clock.advance(29 * DAY)
        await drop_old_domains(app)
        assert await forgotten.state() == "pending"
        app.clock.advance(2 * DAY)
        await drop_old_domains(app)
        assert (await forgotten.send("GET")).status == 404
        assert (await kept.state(), await named.state()) == ("proved", "pending")
        assert (await forgotten.events())[-1] == "domain_released"
