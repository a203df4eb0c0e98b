"""Rate limits in numbers: free attempts, waiting times, and the time until a count resets."""

from __future__ import annotations

import pytest

from tests.support.application import PASSWORD, App
from tests.support.attempt_limits import DAY, WRONG, addresses, guess

pytestmark = pytest.mark.one_store


async def test_five_attempts_at_an_account_from_one_address_are_free(app: App, email: str) -> None:
    statuses = [(await guess(app, email, "198.51.100.1")).status for _ in range(6)]
    assert statuses == [401] * 5 + [429]


async def test_a_right_password_is_still_heard_as_the_fifth(app: App, email: str) -> None:
    assert [(await guess(app, email, "198.51.100.2")).status for _ in range(4)] == [401] * 4
    assert (await guess(app, email, "198.51.100.2", PASSWORD)).status == 200


async def test_ten_attempts_at_an_account_from_everywhere_are_free(app: App, email: str) -> None:
    statuses = [(await guess(app, email, address)).status for address in addresses(11)]
    assert statuses == [401] * 10 + [429]


async def test_fifty_attempts_from_an_address_at_many_accounts_are_free(app: App) -> None:
    statuses = [(await guess(app, f"unknown-{n}@acme.example", "198.51.100.3")).status for n in range(51)]
    assert statuses == [401] * 50 + [429]


async def test_an_own_sign_in_gives_an_address_nothing_back_of_what_it_tried_elsewhere(app: App, email: str) -> None:
    """Otherwise, an attacker's own account would allow unlimited guesses at all others."""
    for number in range(49):
        await guess(app, f"other-{number}@acme.example", "198.51.100.5")
    assert (await guess(app, email, "198.51.100.5", PASSWORD)).status == 200
    app.clock.advance(2)  # the wait after the fiftieth attempt, which was their own
    assert [(await guess(app, f"more-{n}@acme.example", "198.51.100.5")).status for n in range(2)] == [401, 429]


async def test_system_admins_have_the_same_five_and_ten(app: App) -> None:
    async def tried(address: str, username: str) -> int:
        body, headers = {"username": username, "password": WRONG}, {"X-Forwarded-For": address}
        return (await app.post("/api/admin/auth/sign-in", body, headers=headers)).status

    assert [await tried("203.0.113.1", "root") for _ in range(6)] == [401] * 5 + [429]
    assert [await tried(address, "unknown") for address in addresses(11)] == [401] * 10 + [429]


async def test_a_count_is_forgotten_after_a_day_of_silence_and_not_before(app: App, email: str) -> None:
    for seconds, then in ((DAY - 1, [401, 429]), (DAY + 1, [401] * 5)):
        for _ in range(5):
            await guess(app, email, "198.51.100.4")
        app.clock.advance(seconds)
        assert [(await guess(app, email, "198.51.100.4")).status for _ in then] == then
        app.clock.advance(2 * DAY)
