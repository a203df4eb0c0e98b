"""The owner of an account under attack can still sign in, and every entry point is rate-limited."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.accounts import hashes_counted, new_user
from tests.support.application import PASSWORD, App, Reply
from tests.support.attempt_limits import ACCOUNT, ADDRESS, DAY, HARD_CEILING, ORIGIN, WRONG, besiege, guess
from tests.support.matrix import matrix
from tests.support.rules import rule

pytestmark = pytest.mark.one_store


async def device_of(app: App, email: str, address: str = "203.0.113.5") -> str:
    return (await guess(app, email, address, PASSWORD)).cookie("device")


@rule("THROTTLE-OWNER")
async def test_a_device_that_signed_in_before_can_sign_in_while_anonymous_callers_wait(app: App, email: str) -> None:
    device = await device_of(app, email)
    assert (await besiege(app, email)).status == 429
    assert (await guess(app, email, "198.51.100.77", PASSWORD)).status == 429
    assert (await guess(app, email, "198.51.100.77", PASSWORD, device)).status == 200


async def test_a_device_can_sign_in_when_the_attack_comes_from_its_own_address(app: App, email: str) -> None:
    device = await device_of(app, email, "203.0.113.6")
    for i in range(ADDRESS.free):
        await guess(app, f"spray-{i}@acme.example", "203.0.113.6")
    await besiege(app, email)
    assert (await guess(app, "viewer@acme.example", "203.0.113.6", PASSWORD)).status == 429
    assert (await guess(app, email, "203.0.113.6", PASSWORD)).status == 429
    assert (await guess(app, email, "203.0.113.6", PASSWORD, device)).status == 200


async def test_an_address_that_signed_in_before_can_sign_in_while_anonymous_callers_wait(app: App, email: str) -> None:
    await device_of(app, email, "203.0.113.7")
    assert (await besiege(app, email)).status == 429
    assert (await guess(app, email, "203.0.113.7", PASSWORD)).status == 200


async def test_the_owners_sign_in_does_not_free_anonymous_callers(app: App, email: str) -> None:
    device = await device_of(app, email)
    await besiege(app, email)
    assert (await guess(app, email, "198.51.100.77", PASSWORD, device)).status == 200
    assert (await guess(app, email, "198.51.100.78", PASSWORD)).status == 429


async def test_a_known_device_has_a_count_of_its_own(app: App, email: str) -> None:
    device = await device_of(app, email)
    with hashes_counted() as hashes:
        replies = await asyncio.gather(
            *(guess(app, email, f"198.51.101.{i}", f"guess-{i}-moss", device) for i in range(30))
        )
    assert len(hashes) == ORIGIN.free
    assert {r.status for r in replies} == {401, 429}


@matrix("marker", ["A" * 22, "", "x", "A" * 21 + "="])
async def test_a_made_up_device_is_unknown(app: App, email: str, marker: str) -> None:
    await device_of(app, email)
    await besiege(app, email)
    assert (await guess(app, email, "198.51.100.80", PASSWORD, marker)).status == 429


@rule("THROTTLE-OWNER")
async def test_another_persons_device_is_unknown(app: App, email: str) -> None:
    await device_of(app, email)
    other = await device_of(app, (await new_user(app, password=PASSWORD))[1], "203.0.113.9")
    await besiege(app, email)
    assert (await guess(app, email, "198.51.100.81", PASSWORD, other)).status == 429


async def test_made_up_devices_do_not_multiply_guesses(app: App, email: str) -> None:
    await device_of(app, email)
    with hashes_counted() as hashes:
        for i in range(30):
            await guess(app, email, "198.51.100.82", WRONG, f"{i:022d}")
    assert len(hashes) == ORIGIN.free


async def test_the_device_marker_is_a_cookie_no_script_can_read_and_is_kept(app: App, email: str) -> None:
    first = await guess(app, email, "203.0.113.10", PASSWORD)
    [line] = [x for x in first.headers.get_list("set-cookie") if x.startswith("device=")]
    assert {"HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=34560000"} == set(line.split("; ")[1:])
    again = await guess(app, email, "203.0.113.10", PASSWORD, first.cookie("device"))
    with pytest.raises(KeyError):
        again.cookie("device")


@rule("THROTTLE-PAUSES")
async def test_no_attack_locks_an_account_for_good(app: App, email: str) -> None:
    """The owner on a new device looks like an anonymous caller, but after the longest wait, the correct password works
    again."""
    longest = 0
    for i in range(HARD_CEILING + 20):
        while (reply := await guess(app, email, f"198.51.102.{i % 200}")).status == 429:
            longest = max(longest, int(reply.headers["retry-after"]))
            app.clock.advance(int(reply.headers["retry-after"]))
    assert longest <= DAY
    waits = int((await guess(app, email, "198.51.103.1")).headers["retry-after"])
    app.clock.advance(waits)
    assert (await guess(app, email, "198.51.103.1", PASSWORD)).status == 200


@rule("THROTTLE-PAUSES")
async def test_a_patient_attacker_gets_few_guesses_in_a_week(app: App, email: str) -> None:
    begin, tried = app.clock.ms, 0
    while app.clock.ms - begin < 7 * DAY * 1000:
        reply = await guess(app, email, f"198.51.104.{tried % 200}")
        if reply.status == 429:
            app.clock.advance(int(reply.headers["retry-after"]))
        else:
            tried += 1
    assert tried <= 5 * HARD_CEILING


async def admin_guess(app: App, address: str, password: str = WRONG, name: str = "root") -> Reply:
    body = {"username": name, "password": password}
    return await app.post("/api/admin/auth/sign-in", body, headers={"X-Forwarded-For": address})


@rule("WAYS-IN")
async def test_the_admins_sign_in_counts_before_it_hashes(app: App) -> None:
    with hashes_counted() as hashes:
        replies = await asyncio.gather(*(admin_guess(app, "203.0.113.20", f"guess-{i}-moss") for i in range(40)))
    assert len(hashes) == ORIGIN.free
    assert {r.code for r in replies} == {"INVALID_CREDENTIALS", "RATE_LIMITED"}
    assert (await admin_guess(app, "203.0.113.20", PASSWORD)).code == "RATE_LIMITED"


async def test_the_admins_sign_in_counts_across_addresses_and_unknown_names_alike(app: App) -> None:
    async def story(name: str, password: str, third: int) -> list[tuple[int, str | None]]:
        replies = [await admin_guess(app, f"203.0.{third}.{i}", WRONG, name) for i in range(ACCOUNT.free)]
        replies += [await admin_guess(app, f"203.0.{third}.99", password, name)]
        return [(r.status, r.headers.get("retry-after")) for r in replies]

    wrong = await story("root", WRONG, 20)
    assert [status for status, _ in wrong] == [401] * ACCOUNT.free + [429]
    assert await story("nobody", WRONG, 21) == wrong
    app.clock.advance(2 * DAY)
    assert await story("ROOT", PASSWORD, 22) == wrong


@rule("ADMIN-PLANE")
async def test_entry_points_are_counted_apart(app: App, email: str) -> None:
    for _ in range(ORIGIN.free + 1):
        await admin_guess(app, "203.0.113.30")
    assert (await guess(app, email, "203.0.113.30", PASSWORD)).status == 200
