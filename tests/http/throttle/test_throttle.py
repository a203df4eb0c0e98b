"""Rate limits of sign-ins count attempts before they are checked.

Responses don't reveal accounts, and no owner is locked out.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.accounts import hashes_counted, new_user, trail
from tests.support.application import PASSWORD, App, Reply, running
from tests.support.attempt_limits import ACCOUNT, ADDRESS, DAY, ORIGIN, PROXY, WRONG, addresses, besiege, guess
from tests.support.rules import rule

pytestmark = pytest.mark.one_store


@rule("DEVIATION-ONE-FACTOR")
async def test_after_the_free_attempts_even_the_right_password_has_to_wait(app: App, email: str) -> None:
    for _ in range(ORIGIN.free):
        assert (await guess(app, email, "198.51.100.1")).code == "INVALID_CREDENTIALS"
    reply = await guess(app, email, "198.51.100.1", PASSWORD)
    assert (reply.status, reply.code) == (429, "RATE_LIMITED")
    assert "set-cookie" not in reply.headers
    app.clock.advance(int(reply.headers["retry-after"]))
    assert (await guess(app, email, "198.51.100.1", PASSWORD)).status == 200


async def test_a_throttled_attempt_costs_no_hash(app: App, email: str) -> None:
    for _ in range(ORIGIN.free):
        await guess(app, email, "198.51.100.2")
    with hashes_counted() as hashes:
        for _ in range(5):
            assert (await guess(app, email, "198.51.100.2")).status == 429
    assert hashes == []


@pytest.mark.parametrize("spread", ["one address", "many addresses"])
async def test_parallel_guesses_cannot_race_the_count(app: App, email: str, spread: str) -> None:
    sources = addresses(40) if spread == "many addresses" else ["198.51.100.3"] * 40
    with hashes_counted() as hashes:
        replies = await asyncio.gather(*(guess(app, email, a, f"guess-{i}-lantern") for i, a in enumerate(sources)))
    free = ACCOUNT.free if spread == "many addresses" else ORIGIN.free
    assert len(hashes) == free
    assert sorted(r.code for r in replies) == ["INVALID_CREDENTIALS"] * free + ["RATE_LIMITED"] * (40 - free)


async def test_a_right_password_among_parallel_guesses_beyond_the_count_is_not_answered(app: App, email: str) -> None:
    sources = addresses(ACCOUNT.free)
    await asyncio.gather(*(guess(app, email, a) for a in sources))
    late = await asyncio.gather(*(guess(app, email, a, PASSWORD) for a in addresses(10, 500)))
    assert {r.code for r in late} == {"RATE_LIMITED"}


@rule("THROTTLE-NO-ORACLE")
async def test_right_and_wrong_and_unknown_are_throttled_alike(app: App, email: str) -> None:
    async def story(whose: str, last: str, client: str, number: int) -> list[tuple[int, str | None]]:
        told = []
        for i in range(ORIGIN.free + 4):
            reply = await guess(app, whose, f"203.0.113.{number}", last if i >= ORIGIN.free else WRONG, client=client)
            told.append((reply.status, reply.headers.get("retry-after")))
        return told

    wrong = await story(email, WRONG, "acme", 1)
    app.clock.advance(2 * DAY)
    assert [status for status, _ in wrong] == [401] * ORIGIN.free + [429] * 4
    assert await story(email, PASSWORD, "acme", 2) == wrong
    assert await story("nobody-at-all@acme.example", WRONG, "acme", 3) == wrong
    assert await story(email, WRONG, "no-such-client", 4) == wrong
    assert await story("viewer@globex.example", WRONG, "acme", 5) == wrong


@rule("THROTTLE-NO-ORACLE")
async def test_refusals_of_known_and_unknown_look_the_same(app: App, email: str) -> None:
    def seen(reply: Reply) -> tuple[Any, ...]:
        error = {k: v for k, v in reply.json["error"].items() if k != "requestId"}
        return reply.status, error, {k: v for k, v in reply.headers.items() if k != "x-request-id"}

    unknown = seen(await besiege(app, "still-nobody@acme.example"))
    assert seen(await besiege(app, email)) == unknown
    assert seen(await guess(app, email, "198.51.200.9", PASSWORD)) == unknown
    assert unknown[0] == 429


@rule("THROTTLE-PAUSES")
async def test_pauses_grow_and_have_an_end(app: App, email: str) -> None:
    pauses = []
    for _ in range(16):
        while (reply := await guess(app, email, "198.51.100.4")).status != 429:
            pass
        pauses.append(int(reply.headers["retry-after"]))
        app.clock.advance(pauses[-1])
    assert pauses == sorted(pauses)
    assert pauses[:4] == [1, 2, 4, 8]
    assert pauses[-1] == pauses[-2] == 15 * 60


async def test_retry_after_counts_down_with_the_clock_and_is_kept(app: App, email: str) -> None:
    for _ in range(ORIGIN.free):
        await guess(app, email, "198.51.100.5")
    for _ in range(3):
        app.clock.advance(60)
        await guess(app, email, "198.51.100.5")
    assert (await guess(app, email, "198.51.100.5")).headers["retry-after"] == "8"
    app.clock.advance(5)
    assert (await guess(app, email, "198.51.100.5")).headers["retry-after"] == "3"
    app.clock.advance(2.999)
    assert (await guess(app, email, "198.51.100.5")).headers["retry-after"] == "1"
    app.clock.advance(0.001)
    assert (await guess(app, email, "198.51.100.5", PASSWORD)).status == 200


@rule("THROTTLE-PAUSES")
async def test_silence_makes_the_count_forgotten(app: App, email: str) -> None:
    for _ in range(ORIGIN.free + 5):
        await guess(app, email, "198.51.100.6")
        app.clock.advance(60)
    app.clock.advance(DAY + 60)
    for _ in range(ORIGIN.free):
        assert (await guess(app, email, "198.51.100.6")).status == 401


async def test_a_sign_in_clears_the_count(app: App, email: str) -> None:
    for _ in range(3):
        for _ in range(ORIGIN.free - 1):
            assert (await guess(app, email, "198.51.100.7")).status == 401
        assert (await guess(app, email, "198.51.100.7", PASSWORD)).status == 200


async def test_ipv6_counts_by_its_64_bit_network(app: App, email: str) -> None:
    for i in range(ORIGIN.free):
        assert (await guess(app, email, f"2001:db8:1:2:{i}::{i + 1}")).status == 401
    assert (await guess(app, email, "2001:db8:1:2:ffff::9")).status == 429
    assert (await guess(app, email, "2001:db8:1:3::1")).status == 401


async def test_an_ipv4_address_written_as_ipv6_is_the_same_address(app: App, email: str) -> None:
    for _ in range(ORIGIN.free):
        assert (await guess(app, email, "198.51.100.8")).status == 401
    assert (await guess(app, email, "::ffff:198.51.100.8")).status == 429


@rule("THROTTLE-COUNTS")
async def test_the_account_is_counted_across_addresses(app: App, email: str) -> None:
    for address in addresses(ACCOUNT.free):
        assert (await guess(app, email, address)).status == 401
    assert (await guess(app, email, "203.0.113.77", PASSWORD)).status == 429
    assert (await guess(app, "viewer@acme.example", "203.0.113.77")).status == 401


async def test_another_spelling_of_the_address_is_the_same_account(app: App, email: str) -> None:
    for i in range(ORIGIN.free):
        spelling = email.upper() if i % 2 else email
        assert (await guess(app, spelling, "198.51.100.9", client="acme" if i % 2 else "")).status == 401
    assert (await guess(app, email.title(), "198.51.100.9")).status == 429


@rule("THROTTLE-COUNTS")
async def test_one_address_cannot_try_many_accounts(app: App, email: str) -> None:
    for i in range(ADDRESS.free):
        assert (await guess(app, f"spray-{i}@acme.example", "198.51.100.10")).status == 401
    refused = await guess(app, email, "198.51.100.10", PASSWORD)
    assert refused.status == 429
    assert (await guess(app, email, "198.51.100.11", PASSWORD)).status == 200


async def test_an_address_that_many_share_never_waits_longer_than_a_minute(app: App, email: str) -> None:
    longest = 0
    for i in range(150):
        while (reply := await guess(app, f"spray-{i}@acme.example", "198.51.100.12")).status == 429:
            longest = max(longest, int(reply.headers["retry-after"]))
            app.clock.advance(int(reply.headers["retry-after"]))
    assert longest == 60


@rule("FORWARDED")
async def test_forwarded_addresses_count_only_from_listed_proxies(app: App, database_url: str, email: str) -> None:
    async with running(database_url) as direct:
        direct.clock.ms = app.clock.ms
        for address in addresses(ORIGIN.free):
            assert (await guess(direct, email, address)).status == 401
        assert (await guess(direct, email, "203.0.113.200")).status == 429


@rule("FORWARDED")
async def test_a_made_up_hop_before_the_proxy_is_not_believed(app: App, email: str) -> None:
    for i in range(ORIGIN.free):
        assert (await guess(app, email, f"203.0.113.{i}, 198.51.100.13")).status == 401
    assert (await guess(app, email, "203.0.113.99, 198.51.100.13")).status == 429


@rule("THROTTLE-COUNTS")
async def test_counts_survive_a_restart(app: App, database_url: str, email: str) -> None:
    for _ in range(ORIGIN.free):
        await guess(app, email, "198.51.100.14")
    async with running(database_url, **PROXY) as again:
        again.clock.ms = app.clock.ms
        assert (await guess(again, email, "198.51.100.14", PASSWORD)).status == 429


@rule("THROTTLE-COUNTS")
async def test_two_nodes_share_the_count(app: App, database_url: str, email: str) -> None:
    async with running(database_url, **PROXY) as other:
        other.clock.ms = app.clock.ms
        nodes = [app, other] * 20
        with hashes_counted() as hashes:
            await asyncio.gather(*(guess(node, email, a) for node, a in zip(nodes, addresses(40), strict=True)))
    assert len(hashes) == ACCOUNT.free


@rule("AUDIT-TRAIL")
async def test_being_throttled_is_in_the_audit_trail(app: App) -> None:
    user_id, email = await new_user(app, password=PASSWORD)
    for _ in range(ORIGIN.free + 1):
        await guess(app, email, "198.51.100.15")
    last = (await trail(app, "acme"))[-1]
    assert (last.event, last.subject, last.address) == ("throttled", f"user:{user_id}", "198.51.100.15")
