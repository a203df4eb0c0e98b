"""Rate limits by IPv6 network: /64, /56, and /48.

A caller with a /48 has one budget, not 65,536.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.accounts import hashes_counted, new_client, new_user, trail
from tests.support.application import PASSWORD, App, Reply
from tests.support.attempt_limits import WRONG, guess
from tests.support.envelope import check_refusal
from tests.support.rules import rule
from tests.support.single_sign_on import Browser, SamlProvider, saml_provider
from tests.support.smaller_limits import few_beginnings, few_events

pytestmark = pytest.mark.one_store

#: Free attempts from a /64, a /56, and a /48.
FREE = (50, 75, 100)


def subnets(count: int, site: int = 1, step: int = 1) -> list[str]:
    """One address in each of this many /64s of the site's /48; ``step`` is the distance between the /64s."""
    return [f"2001:db8:{site:x}:{n * step:x}::{n + 1:x}" for n in range(count)]


async def hashed(app: App, sources: list[str]) -> int:
    """The number of allowed guesses, each at a separate account."""
    with hashes_counted() as hashes:
        for begin in range(0, len(sources), 25):  # as many as can wait for a hash without a rejection
            part = enumerate(sources[begin : begin + 25], begin)
            await asyncio.gather(*(guess(app, f"nobody-{i}@acme.example", a) for i, a in part))
    return len(hashes)


@rule("THROTTLE-COUNTS")
async def test_150_networks_of_one_company_are_not_150_budgets(app: App) -> None:
    assert await hashed(app, subnets(150, step=256)) == FREE[2]  # each in a separate /56


@rule("THROTTLE-COUNTS")
async def test_150_networks_of_one_household_are_not_150_budgets(app: App) -> None:
    assert await hashed(app, subnets(150)) == FREE[1]


async def test_one_network_has_the_budget_of_an_ipv4_address(app: App) -> None:
    assert await hashed(app, [f"2001:db8:2:3::{n:x}" for n in range(1, 101)]) == FREE[0]
    assert await hashed(app, ["198.51.100.9"] * 100) == FREE[0]


async def test_a_network_that_waits_leaves_those_beside_it_their_own(app: App) -> None:
    """Blocked attempts aren't counted in the /56 or in the /48."""
    await hashed(app, ["2001:db8:3:100::1"] * 200)
    assert await hashed(app, ["2001:db8:3:101::1"] * 200) == FREE[1] - FREE[0]
    assert await hashed(app, ["2001:db8:3:200::1"] * 200) == FREE[2] - FREE[1]
    assert await hashed(app, ["2001:db8:3:300::1"] * 200) == 0
    assert await hashed(app, ["2001:db8:4:100::1"] * 200) == FREE[0]


async def test_wider_networks_wait_less(app: App) -> None:
    await hashed(app, subnets(150, 5, 256))
    waits = 0
    for number in range(12):
        reply = await guess(app, f"late-{number}@acme.example", "2001:db8:5:ffff::1")
        check_refusal(reply, 429, "RATE_LIMITED")
        waits = int(reply.headers["retry-after"])
        app.clock.advance(waits)
        assert (await guess(app, f"late-{number}@acme.example", "2001:db8:5:ffff::1")).status == 401
    assert waits == 15


async def test_a_device_that_signed_in_before_can_sign_in_from_a_network_that_waits(app: App) -> None:
    _, email = await new_user(app, password=PASSWORD)
    device = (await guess(app, email, "2001:db8:6:1::1", PASSWORD)).cookie("device")
    await hashed(app, subnets(150, 6, 256))
    assert (await guess(app, "viewer@acme.example", "2001:db8:6:1::1", PASSWORD)).status == 429
    assert (await guess(app, email, "2001:db8:6:1::1", PASSWORD, device)).status == 200


async def test_right_passwords_use_up_no_network(app: App) -> None:
    _, email = await new_user(app, password=PASSWORD)
    for source in subnets(3, 7):
        for _ in range(3):
            assert (await guess(app, email, source, PASSWORD)).status == 200
    assert await hashed(app, subnets(150, 7)) == FREE[1]


async def test_an_address_that_is_let_go_is_let_go_with_its_networks(app: App) -> None:
    await hashed(app, subnets(150, 8, 256))
    here = "2001:db8:8:7700::1"
    assert (await guess(app, "viewer@acme.example", here, PASSWORD)).status == 429
    body = {"address": here}
    assert (await app.post("/api/admin/throttles/clear", body, token=await app.admin_token())).status == 200
    assert (await guess(app, "viewer@acme.example", here, PASSWORD)).status == 200


async def admin_guess(app: App, number: int, address: str) -> Reply:
    body = {"username": f"nobody-{number}", "password": WRONG}
    return await app.post("/api/admin/auth/sign-in", body, headers={"X-Forwarded-For": address})


async def forgot(app: App, number: int, address: str) -> Reply:
    body = {"email": f"nobody-{number}@acme.example"}
    headers = {"X-Forwarded-For": address, "X-Client-ID": "acme"}
    return await app.post("/api/client/auth/password/forgot", body, headers=headers)


@rule("THROTTLE-COUNTS")
@pytest.mark.parametrize(("ask", "site"), [(admin_guess, 9), (forgot, 0xA)])
async def test_the_other_ways_in_count_networks_too(app: App, ask: object, site: int) -> None:
    replies = [await ask(app, number, source) for number, source in enumerate(subnets(150, site, 256))]  # type: ignore[operator]
    assert [reply.status == 429 for reply in replies].count(False) == FREE[2]


@pytest.fixture
async def okta(app: App, monkeypatch: pytest.MonkeyPatch) -> SamlProvider:
    """A provider at a client with small budgets for anonymous callers: 4, 6, and 8 for an address's networks."""
    few_events(monkeypatch, 4)
    few_beginnings(monkeypatch, 4)
    return await saml_provider(app, await new_client(app))


@rule("THROTTLE-COUNTS")
async def test_events_are_counted_by_networks_too(app: App, okta: SamlProvider) -> None:
    for source in subnets(30, 0xB, 256):
        headers = {"X-Forwarded-For": source}
        check_refusal(await okta.call(okta.response(sign="none"), headers=headers), 401, "SSO_FAILED")
    assert [e.event for e in await trail(app, okta.client)].count("sign_in_failed") == 8


async def test_sign_ins_that_are_begun_are_counted_by_networks_too(app: App, okta: SamlProvider) -> None:
    async def start(source: str) -> int:
        path = f"/api/client/auth/okta-saml?client={okta.client}&provider={okta.name}"
        return (await Browser(app).send("GET", path, headers={"X-Forwarded-For": source})).status

    assert [await start(s) for s in subnets(10, 0xC)] == [302] * 6 + [429] * 4
    assert [await start(s) for s in subnets(4, 0xC, 256)] == [429, 302, 302, 429]


class Visitor(Browser):
    """A browser somewhere in a /48."""

    async def send(self, method: str, address: str, **options: Any) -> Reply:
        headers = {**options.pop("headers", {}), "X-Forwarded-For": "2001:db8:d:1::1"}
        return await super().send(method, address, headers=headers, **options)


async def test_a_user_who_finishes_a_sign_in_gives_it_back_to_all_networks(app: App, okta: SamlProvider) -> None:
    for number in range(10):
        assert (await okta.sign_in(Visitor(app), f"user-{number}@x.example")).status == 303
