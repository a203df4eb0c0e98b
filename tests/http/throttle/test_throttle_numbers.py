"""The throttle's limits in numbers: how many attempts are free, how long the pauses are, when a count is forgotten."""

from __future__ import annotations

import pytest

from manifest_auth.throttle import throttle
from tests.support.guessing import DAY, WRONG, addresses, guess
from tests.support.house import PASSWORD, App

MINUTE_MS = 60_000
DAY_MS = 86_400_000


def test_what_is_counted_cannot_be_cut_elsewhere_to_name_another_counter() -> None:
    """Else the first client's eleventh user and the eleventh client's first would wait for each other."""
    named = [("of", 1, 11), ("of", 11, 1), ("of", 111), ("o", "f1", 11), ("of", "", 1, 11), ("of", 1, 11, "")]
    assert len({throttle.key_of(*parts) for parts in named}) == len(named)


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
    """Else one good account would be the key to endless guesses at all others."""
    for number in range(49):
        await guess(app, f"other-{number}@acme.example", "198.51.100.5")
    assert (await guess(app, email, "198.51.100.5", PASSWORD)).status == 200
    app.clock.advance(2)  # the pause behind the fiftieth, which was the own one
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


@pytest.mark.parametrize(
    ("name", "failures", "pause"),
    [
        ("ORIGIN", 4, 0),
        ("ORIGIN", 5, 1000),
        ("ORIGIN", 6, 2000),
        ("ORIGIN", 14, 512_000),
        ("ORIGIN", 15, 15 * MINUTE_MS),
        ("ORIGIN", 99, 15 * MINUTE_MS),
        ("ORIGIN", 100, DAY_MS),
        ("ACCOUNT", 9, 0),
        ("ACCOUNT", 10, 1000),
        ("ACCOUNT", 20, 15 * MINUTE_MS),
        ("ACCOUNT", 100, DAY_MS),
        ("ADDRESS", 49, 0),
        ("ADDRESS", 50, 1000),
        ("ADDRESS", 56, MINUTE_MS),
        ("ADDRESS", 100_000, MINUTE_MS),
    ],
)
def test_how_long_the_next_attempt_waits(name: str, failures: int, pause: int) -> None:
    assert getattr(throttle, name).pause_ms(failures) == pause


def test_how_long_each_counter_remembers() -> None:
    assert throttle.ORIGIN.memory_ms == throttle.ACCOUNT.memory_ms == DAY_MS
    assert throttle.ADDRESS.memory_ms == 60 * MINUTE_MS
    assert throttle.KEPT_MS == 2 * DAY_MS  # or a sweep would forget what a counter still knows
