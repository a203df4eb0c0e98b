"""A domain has one owner at a time, and another client that claims it must wait."""

from __future__ import annotations

import pytest

from tests.support.accounts import new_user
from tests.support.application import App
from tests.support.background_jobs import days_later
from tests.support.domain_claims import HELD, claimed, proved
from tests.support.name_servers import NameServer, txt
from tests.support.people import oidc_provider
from tests.support.rules import rule
from tests.support.single_sign_on import check_no_one_got_in

DAY = 86400
pytestmark = pytest.mark.usefixtures("no_own_checks", "asked")


async def test_the_second_client_waits_and_gets_the_domain_when_it_lapses(app: App, zone: NameServer) -> None:
    first = await proved(app, zone, domain="moves.example")
    second = await claimed(app, domain=first.domain)
    both = [txt(first.name, await first.value()), txt(second.name, await second.value())]
    zone.publish(*both)
    found = await second.check()
    assert (found["state"], found["contested"], found["message"]) == ("pending", True, HELD)
    shown = await first.shown()
    assert (shown["state"], shown["contested"], "message" in shown) == ("proved", True, False)
    assert first.client not in str(found)
    assert second.client not in str(shown)
    for _ in range(20):  # nothing changes while the owner's record exists
        await days_later(app, 1.1)
        assert (await first.state(), await second.state()) == ("proved", "pending")
    zone.publish(both[1])
    await days_later(app, 1.1)
    await days_later(app, 13)
    assert (await first.state(), await second.state()) == ("failing", "pending")
    await days_later(app, 1.1)
    await days_later(app, 0.1)
    assert (await first.state(), await second.state()) == ("lapsed", "proved")
    assert (await second.shown())["contested"] is False
    assert await second.events() == ["domain_claimed", "domain_contested", "domain_moved"]
    assert (await first.events())[-2:] == ["domain_failing", "domain_lapsed"]
    # Now the roles are reversed.
    zone.publish(*both)
    found = await first.check()
    assert (found["state"], found["contested"], found["message"]) == ("lapsed", True, HELD)
    assert await second.state() == "proved"


async def test_the_second_client_gets_the_domain_when_it_is_released(app: App, zone: NameServer) -> None:
    first = await proved(app, zone)
    second = await claimed(app, domain=first.domain)
    zone.publish(txt(first.name, await first.value()), txt(second.name, await second.value()))
    await second.check()
    assert (await first.send("DELETE")).status == 200
    assert (await first.send("GET")).status == 404
    assert await second.state() == "pending"  # not before its record is found again
    assert await days_later(app, 0.1) >= 1
    assert await second.state() == "proved"


async def test_a_released_claim_no_longer_contests_the_domain(app: App, zone: NameServer) -> None:
    first = await proved(app, zone)
    second = await claimed(app, domain=first.domain)
    zone.publish(txt(first.name, await first.value()), txt(second.name, await second.value()))
    await second.check()
    assert (await first.shown())["contested"] is True
    assert (await second.send("DELETE")).status == 200
    shown = await first.shown()
    assert (shown["state"], shown["contested"]) == ("proved", False)


@rule("EMAIL-LINKS")
async def test_another_record_for_an_hour_has_no_effect(app: App, zone: NameServer) -> None:
    """An attacker who controls or breaks the domain's DNS for an hour gains nothing."""
    first = await proved(app, zone)
    second = await claimed(app, domain=first.domain)
    zone.publish(txt(second.name, await second.value()))
    assert (await second.check())["state"] == "pending"
    assert (await first.check())["state"] == "failing"
    zone.publish(txt(first.name, await first.value()))
    assert (await first.check())["state"] == "proved"
    for _ in range(16):
        await days_later(app, 1)
    assert (await first.state(), await second.state()) == ("proved", "pending")
    # A client without a record no longer contests the domain.
    assert [(await claim.shown())["contested"] for claim in (first, second)] == [False, False]


async def test_nobody_can_sign_in_with_another_clients_domain(app: App, zone: NameServer) -> None:
    """A squatter can list the domain and even trust the address, but its own client's accounts stay inaccessible."""
    first = await proved(app, zone)
    async with oidc_provider(app, domains=[first.domain], vouch=False) as squatter:
        _, email = await new_user(app, squatter.client, f"boss@{first.domain}")
        _, reply = await squatter.attempt("mallory", email)
        check_no_one_got_in(reply)
